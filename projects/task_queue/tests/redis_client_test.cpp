// hiredis on Asio's loop, against a real Redis: replies, cancellation, and connections that end.

#include "task_queue/redis_client.hpp"
#include "common/gather.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"
#include "task_queue/tests/redis_server.hpp"
#include "tests/common/slow_lookup.hpp"
#include "tests/support/program.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <unistd.h>

namespace asio = boost::asio;
using asio::awaitable;
using namespace std::chrono_literals;
using namespace task_queue;
using task_queue::tests::redis_server;
using ::tests::slow_lookup;

namespace {

// Runs `body` beside a client that keeps its connection.
void with_client(const redis_server& server, std::function<awaitable<void>(redis_client&)> body)
{
    const auto main = [&]() -> awaitable<void> {
        redis_client client(redis_address(server.address()), true);
        co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
            both.spawn(client.run());
            co_await body(client);
            both.cancel();
        });
    };
    common::run(main(), common::clock_mode::steady);
}

// One word after another: GCC 12 has trouble with a braced list beside a co_await.
template <class... Words>
std::vector<std::string> words(Words... each)
{
    std::vector<std::string> all;
    (all.emplace_back(each), ...);
    return all;
}

awaitable<std::string> error_of(awaitable<redis_reply> command)
{
    try {
        co_await std::move(command);
        co_return "none";
    } catch (const redis_error& error) {
        co_return std::string("redis: ") + error.what();
    } catch (const connection_lost&) {
        co_return "lost";
    } catch (const common::timeout_error&) {
        co_return "timeout";
    }
}

// A port that nobody has just now.
unsigned short free_port()
{
    asio::io_context loop;
    const asio::ip::tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
    return acceptor.local_endpoint().port();
}

}  // namespace

TEST_CASE("redis: every kind of reply arrives")
{
    redis_server server;
    server.start();
    with_client(server, [](redis_client& redis) -> awaitable<void> {
        auto reply = co_await redis.command(words("SET", "key", std::string("a\0b\r\n", 5)));
        CHECK(reply.text == "OK");
        reply = co_await redis.command(words("GET", "key"));
        CHECK(reply.is == redis_reply::kind::text);
        CHECK(reply.text == std::string("a\0b\r\n", 5));
        reply = co_await redis.command(words("GET", "nothing"));
        CHECK(reply.is == redis_reply::kind::nil);
        reply = co_await redis.command(words("INCRBY", "number", "-42"));
        CHECK(reply.is == redis_reply::kind::number);
        CHECK(reply.number == -42);
        reply = co_await redis.command(words("EVAL", "return {1, {'x', {}}, false}", "0"));
        REQUIRE(reply.elements.size() == 3);
        CHECK(reply.elements[1].elements.at(0).text == "x");
        CHECK(reply.elements[1].elements.at(1).is == redis_reply::kind::array);
        CHECK(reply.elements[2].is == redis_reply::kind::nil);
        const auto error = co_await error_of(redis.command(words("NO_SUCH_COMMAND")));
        CHECK(error.starts_with("redis: ERR unknown command"));
    });
}

TEST_CASE("redis: ten megabytes there and back, and a thousand commands at once, in their order")
{
    redis_server server;
    server.start();
    with_client(server, [](redis_client& redis) -> awaitable<void> {
        const std::string large(10'000'000, 'x');
        co_await redis.command(words("SET", "large", large));
        const auto reply = co_await redis.command(words("GET", "large"));
        CHECK(reply.text == large);

        std::vector<awaitable<redis_reply>> all;
        for (int i = 0; i < 1000; ++i) {
            all.push_back(redis.command(words("INCR", "count")));
        }
        const auto replies = co_await common::gather(std::move(all));
        for (std::size_t i = 0; i < replies.size(); ++i) {
            CHECK(replies[i].number == static_cast<long long>(i) + 1);
        }
    });
}

TEST_CASE(
    "redis: a command that is cancelled leaves at once, and the next ones get their own replies")
{
    redis_server server;
    server.start();
    const auto body = [](redis_client& redis, redis_client& other) -> awaitable<void> {
        for (int i = 0; i < 20; ++i) {
            // Redis keeps this one until the other client brings what it waits for. By then it is
            // cancelled, and its reply comes before that of the next one.
            const auto key = fmt::format("key-{}", i);
            auto slow = redis.command(words("BLPOP", key, "0"));
            const auto how = co_await error_of(common::with_timeout(1ms, std::move(slow)));
            CHECK(how == "timeout");
            co_await other.command(words("RPUSH", key, "late"));
            const auto echo = co_await redis.command(words("ECHO", std::to_string(i)));
            CHECK(echo.text == std::to_string(i));
        }
    };
    with_client(server, [&](redis_client& redis) -> awaitable<void> {
        redis_client other(redis_address(server.address()), true);
        co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
            both.spawn(other.run());
            co_await body(redis, other);
            both.cancel();
        });
    });
}

TEST_CASE("redis: a loop that goes away with commands under way leaves nothing behind")
{
    redis_server server;
    server.start();
    const auto before = support::open_descriptors(::getpid());
    for (int i = 0; i < 20; ++i) {
        struct enough {};
        const auto main = [&]() -> awaitable<void> {
            redis_client client(redis_address(server.address()), true);
            const auto block = [&]() -> awaitable<void> {
                co_await client.command(words("BLPOP", "nothing", "0"));
            };
            const auto leave = [&]() -> awaitable<void> {
                co_await client.wait_until_connected();
                co_await common::sleep_for(std::chrono::milliseconds(i % 3));
                asio::post(co_await asio::this_coro::executor, [] { throw enough(); });
            };
            co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
                both.spawn(client.run());
                both.spawn(block());
                both.spawn(leave());
                co_return;
            });
        };
        CHECK_THROWS_AS(common::run(main(), common::clock_mode::steady), enough);
    }
    CHECK(support::open_descriptors(::getpid()) == before);
}

TEST_CASE(
    "redis: after a crash and a restart there is a new connection, and no descriptor is left over")
{
    redis_server server;
    server.start();
    std::size_t before = 0;
    with_client(server, [&](redis_client& redis) -> awaitable<void> {
        co_await redis.command(words("SET", "key", "value"));
        for (int i = 0; i < 5; ++i) {
            std::vector<awaitable<std::string>> blocked;
            for (int j = 0; j < 10; ++j) {
                blocked.push_back(error_of(redis.command(words("BLPOP", "nothing", "0"))));
            }
            const auto crash = [&]() -> awaitable<std::string> {
                co_await common::sleep_for(20ms);
                server.kill();
                co_return "crash";
            };
            blocked.push_back(crash());
            const auto ends = co_await common::gather(std::move(blocked));
            CHECK(std::count(ends.begin(), ends.end(), "lost") == 10);

            server.start();
            const auto reply = co_await redis.command(words("GET", "key"));
            CHECK(reply.text == "value");
            const auto open = support::open_descriptors(::getpid());
            if (i == 0) {
                before = open;
            }
            CHECK(open == before);
        }
    });
}

TEST_CASE(
    "redis: to write to a connection that has just gone is an error, and not the end of the "
    "program")
{
    redis_server server;
    server.start();
    std::signal(SIGPIPE, SIG_DFL);
    with_client(server, [&](redis_client& redis) -> awaitable<void> {
        co_await redis.command(words("PING"));
        server.kill();  // the loop has not seen it when the command is sent
        const auto how = co_await error_of(redis.command(words("PING")));
        CHECK(how == "lost");
    });
}

TEST_CASE("redis: a thousand refused connections leave no descriptor behind")
{
    redis_server server;  // is not started
    common::run(
        [&]() -> awaitable<void> {
            const auto executor = co_await asio::this_coro::executor;
            std::size_t before = 0;
            // Bound, and not listening: it refuses, and nobody else gets the port.
            asio::ip::tcp::acceptor deaf(executor, asio::ip::tcp::v4());
            deaf.bind({asio::ip::address_v4::loopback(), 0});
            const auto port = deaf.local_endpoint().port();
            for (int i = 0; i < 1000; ++i) {
                if (i == 1) {
                    before = support::open_descriptors(::getpid());  // with those of the loop
                }
                redis_connection refused(executor, "127.0.0.1", port);
                const auto how = co_await error_of(refused.command(words("PING")));
                CHECK(how == "lost");
                CHECK(refused.why() == "Connection refused");
            }
            CHECK(support::open_descriptors(::getpid()) == before);
            CHECK_THROWS_AS(redis_connection(executor, "/no/such/socket"), connection_lost);
        }(),
        common::clock_mode::steady);
}

TEST_CASE(
    "redis: a server that hangs is given up after the limit, and asked again on a new connection")
{
    redis_server server;
    server.start();
    with_client(server, [&](redis_client& redis) -> awaitable<void> {
        co_await redis.command(words("PING"));
        server.signal(SIGSTOP);
        const auto how = co_await error_of(redis.command(words("PING"), 100ms));
        CHECK(how == "lost");
        CHECK_FALSE(redis.connected());
        server.signal(SIGCONT);
        const auto reply = co_await redis.command(words("PING"));
        CHECK(reply.text == "PONG");
    });
}

TEST_CASE("redis: a script that Redis has forgotten is told again")
{
    redis_server server;
    server.start();
    with_client(server, [](redis_client& redis) -> awaitable<void> {
        for (int i = 0; i < 3; ++i) {
            const auto reply = co_await redis.run_script(
                "return KEYS[1] .. ARGV[1]", words("key "), words("argument"));
            CHECK(reply.text == "key argument");
            co_await redis.command(words("SCRIPT", "FLUSH"));
        }
        const auto error = co_await error_of(redis.run_script("syntax error", words(), words()));
        CHECK(error.starts_with("redis: ERR"));
        const auto passes = co_await error_of(
            redis.run_script("return redis.error_reply('OOM no memory')", words(), words()));
        CHECK(passes == "lost");
        const auto reply = co_await redis.command(words("PING"));
        CHECK(reply.text == "PONG");
    });
}

TEST_CASE("redis: over TCP, with a password")
{
    redis_server server(free_port(), {"--requirepass", "pass word"});
    server.start();
    ::setenv("REDISCLI_AUTH", "pass word", 1);
    with_client(server, [](redis_client& redis) -> awaitable<void> {
        const auto reply = co_await redis.command(words("PING"));
        CHECK(reply.text == "PONG");
    });
    ::setenv("REDISCLI_AUTH", "wrong", 1);
    with_client(server, [](redis_client& redis) -> awaitable<void> {
        while (!redis.trouble().starts_with("WRONGPASS")) {
            co_await common::sleep_for(1ms);
        }
        const auto how = co_await error_of(common::with_timeout(1ms, redis.command(words("PING"))));
        CHECK(how == "timeout");
    });
    ::unsetenv("REDISCLI_AUTH");
}

TEST_CASE("redis: a client that looks up the name of its server can be cancelled at once")
{
    const int ended = slow_lookup::ended;
    const auto main = [&]() -> awaitable<void> {
        redis_client client(redis_address("slow.test:6379"), true);
        co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
            both.spawn(client.run());
            while (slow_lookup::begun == 0) {
                co_await common::sleep_for(1ms);
            }
            both.cancel();
        });
        CHECK(slow_lookup::ended == ended);
        slow_lookup::may_end.release();
    };
    slow_lookup::begun = 0;
    common::run(main(), common::clock_mode::steady);
}

TEST_CASE("redis: addresses")
{
    CHECK(redis_address("localhost:6379").host == "localhost");
    CHECK(redis_address("localhost:6379").port == "6379");
    CHECK(redis_address("[::1]:1").host == "::1");
    CHECK(redis_address("unix:/run/redis").path == "/run/redis");
    CHECK(redis_address("unix:./socket").path == "./socket");
    for (const auto* const bad :
         {"", "localhost", "localhost:", ":6379", "localhost:0", "localhost:65536", "localhost:x",
          "localhost:1x"}) {
        INFO(bad);
        CHECK_THROWS_AS(redis_address(bad), std::invalid_argument);
    }
}
