#include "api_client/http_pool.hpp"

#include "with_script.hpp"

#include "common/gather.hpp"
#include "common/timeout.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace asio::experimental::awaitable_operators;
using api::answer;
using api::cut_to;
using api::ending;
using api::heard;
using api::late;
using api::raw;
using api::scripted_server;
using http::failure;
using tests::awaitable;
using tests::check_equal;
using tests::failure_of;
using tests::get;
using tests::post;
using tests::with_script;
using namespace std::chrono_literals;

namespace {

const auto hello = answer(200, "hello");

// The first request on the first connection is answered well, and then `what` happens to the next.
// On other connections all is well.
api::script well_once_then(api::reply what)
{
    return [what = std::move(what), seen = 0](const heard& request) mutable {
        return request.connection == 1 && ++seen == 2 ? what : hello;
    };
}

}  // namespace

TEST_CASE("an exchange sends what was asked, and gives what was answered")
{
    http::fields extra;
    extra.add("X-Served-By", "the test");
    const auto script = api::in_order({answer(201, "made", extra)});
    with_script(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        auto what = post(server.at("/orders?fast=1"), "two coffees");
        what.headers.add("X-Guest", "Ada");
        const auto got = co_await pool.exchange(what);

        CHECK(got.status == 201);
        CHECK(got.reason == "Created");
        CHECK(got.body == "made");
        REQUIRE(got.headers.find("x-served-by") != nullptr);
        CHECK(*got.headers.find("x-served-by") == "the test");

        REQUIRE(server.requests().size() == 1);
        const auto& seen = server.requests().front();
        CHECK(seen.method == "POST");
        CHECK(seen.target == "/orders?fast=1");
        CHECK(seen.body == "two coffees");
        REQUIRE(seen.headers.find("X-Guest") != nullptr);
        CHECK(*seen.headers.find("X-Guest") == "Ada");
        REQUIRE(seen.headers.find("Host") != nullptr);
        CHECK(*seen.headers.find("Host") == server.at("/").authority());
    });
}

TEST_CASE("a connection is kept, and used for the next exchange")
{
    with_script(api::in_order({hello}), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        for (int number = 1; number <= 5; ++number) {
            const auto got = co_await pool.exchange(get(server.at("/")));
            CHECK(got.body == "hello");
            CHECK(got.on_kept_connection == (number > 1));
        }
        CHECK(server.accepted() == 1);
        CHECK(pool.opened() == 1);
        CHECK(pool.kept() == 1);
        CHECK(pool.in_use() == 0);
    });
}

TEST_CASE("exchanges at the same time have connections of their own, up to the limit")
{
    const auto slow = [](const heard&) { return late(1s, hello); };
    with_script(slow, [](scripted_server& server) -> awaitable<void> {
        http::pool_limits limits;
        limits.connections_per_host = 3;
        http::pool pool(limits);
        const auto start = common::now();
        std::vector<awaitable<http::response>> exchanges;
        for (int number = 0; number < 7; ++number) {
            exchanges.push_back(pool.exchange(get(server.at("/"))));
        }
        const auto got = co_await common::gather(std::move(exchanges));
        CHECK(common::now() - start == 3s);  // 3, 3 and 1
        CHECK(server.accepted() == 3);
        CHECK(pool.kept() == 3);
    });
}

TEST_CASE("a pool in which a host may have no connection is refused")
{
    http::pool_limits limits;
    limits.connections_per_host = 0;
    CHECK_THROWS_AS(http::pool(limits), std::invalid_argument);
}

TEST_CASE("a connection that the server has closed meanwhile is not used, not even for a POST")
{
    // The end comes a second after the first answer.
    auto then_the_end = hello;
    then_the_end.parts.push_back(api::reply::part{1s, ""});
    then_the_end.then = ending::close;
    const auto script = api::in_order({then_the_end, hello});
    with_script(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        (void)co_await pool.exchange(get(server.at("/")));
        CHECK(pool.kept() == 1);
        co_await common::sleep_for(2s);
        const auto got = co_await pool.exchange(post(server.at("/"), "x"));
        CHECK(got.status == 200);
        CHECK_FALSE(got.on_kept_connection);
        CHECK(server.accepted() == 2);
        CHECK(server.requests().size() == 2);
    });
}

TEST_CASE("a connection on which another protocol has begun is not used again")
{
    const auto switched =
        raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n", ending::keep);
    with_script(api::in_order({switched, hello}), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        const auto first = co_await pool.exchange(get(server.at("/")));
        CHECK(first.status == 101);
        CHECK(pool.kept() == 0);
        const auto second = co_await pool.exchange(get(server.at("/")));
        CHECK(second.body == "hello");
        CHECK_FALSE(second.on_kept_connection);
    });
}

TEST_CASE("closed in the moment of the request, it is replaced for a request that may be repeated")
{
    for (const auto then : {ending::close, ending::reset}) {
        with_script(well_once_then(raw("", then)), [](scripted_server& server) -> awaitable<void> {
            http::pool pool;
            (void)co_await pool.exchange(get(server.at("/")));
            const auto got = co_await pool.exchange(get(server.at("/again")));
            CHECK(got.body == "hello");
            CHECK_FALSE(got.on_kept_connection);
            CHECK(server.accepted() == 2);
            CHECK(server.requests().size() == 3);
        });
    }
}

TEST_CASE("closed in the moment of a POST, the server may have done it, and it is not repeated")
{
    const auto script = well_once_then(raw("", ending::close));
    with_script(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        (void)co_await pool.exchange(get(server.at("/")));
        check_equal(
            co_await failure_of(pool.exchange(post(server.at("/"), "x"))), failure::no_answer);
        CHECK(server.requests().size() == 2);
        CHECK(pool.kept() == 0);
    });
    with_script(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        (void)co_await pool.exchange(get(server.at("/")));
        auto with_key = post(server.at("/"), "x");
        with_key.headers.add("Idempotency-Key", "7");
        const auto got = co_await pool.exchange(with_key);
        CHECK(got.status == 200);
        CHECK(server.requests().size() == 3);
    });
}

TEST_CASE("what is to be sent only once is not repeated, and the error says that one may")
{
    const auto script = well_once_then(raw("", ending::close));
    with_script(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        (void)co_await pool.exchange(get(server.at("/")));
        auto once = get(server.at("/once"));
        once.only_once = true;
        bool was_kept = false;
        try {
            (void)co_await pool.exchange(once);
            FAIL("there was no answer");
        } catch (const http::exchange_error& error) {
            CHECK(error.kind() == failure::no_answer);
            was_kept = error.on_kept_connection();
        }
        CHECK(was_kept);
        CHECK(server.requests().size() == 2);
    });
    with_script(api::in_order({raw("")}), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        try {
            (void)co_await pool.exchange(get(server.at("/")));
            FAIL("there was no answer");
        } catch (const http::exchange_error& error) {
            CHECK_FALSE(error.on_kept_connection());
        }
    });
}

TEST_CASE("a request for a new connection takes no kept one, and leaves it where it is")
{
    with_script(api::in_order({hello}), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        (void)co_await pool.exchange(get(server.at("/")));
        auto apart = get(server.at("/"));
        apart.new_connection = true;
        const auto got = co_await pool.exchange(apart);
        CHECK_FALSE(got.on_kept_connection);
        CHECK(server.accepted() == 2);
        CHECK(pool.kept() == 2);
    });
}

TEST_CASE("on a new connection an end without an answer is a failure, and not repeated")
{
    with_script(api::in_order({raw("")}), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        check_equal(co_await failure_of(pool.exchange(get(server.at("/")))), failure::no_answer);
        CHECK(server.requests().size() == 1);
    });
}

TEST_CASE("nobody listens: no connection")
{
    with_script(api::in_order({hello}), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        server.refuse();
        check_equal(
            co_await failure_of(pool.exchange(get(server.at("/")))), failure::no_connection);
        server.listen();
        const auto got = co_await pool.exchange(get(server.at("/")));
        CHECK(got.body == "hello");
        CHECK(server.requests().size() == 1);
    });
}

TEST_CASE("an answer that ends in the middle is cut off, wherever that is")
{
    const std::string whole = hello.parts.front().bytes;
    for (std::size_t size = 1; size < whole.size(); ++size) {
        for (const auto then : {ending::close, ending::reset}) {
            INFO("after " << size << " bytes");
            const auto script = api::in_order({cut_to(size, hello, then), hello});
            with_script(script, [](scripted_server& server) -> awaitable<void> {
                http::pool pool;
                check_equal(
                    co_await failure_of(pool.exchange(get(server.at("/")))), failure::cut_off);
                CHECK(pool.kept() == 0);
                const auto got = co_await pool.exchange(get(server.at("/")));
                CHECK(got.body == "hello");
            });
        }
    }
}

TEST_CASE("a body that is shorter than its length is cut off")
{
    const auto script = api::in_order({raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")});
    with_script(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        check_equal(co_await failure_of(pool.exchange(get(server.at("/")))), failure::cut_off);
    });
}

TEST_CASE("what comes after the answer is not taken for the next one")
{
    const std::string other = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong";
    auto at_once = hello;
    at_once.parts.front().bytes += other;
    auto later = hello;
    later.parts.push_back(api::reply::part{1s, other});
    for (const auto& spoilt : {at_once, later}) {
        with_script(api::in_order({spoilt, hello}), [](scripted_server& server) -> awaitable<void> {
            http::pool pool;
            const auto first = co_await pool.exchange(get(server.at("/")));
            CHECK(first.body == "hello");
            co_await common::sleep_for(2s);
            const auto second = co_await pool.exchange(get(server.at("/")));
            CHECK(second.body == "hello");
            CHECK(server.accepted() == 2);
        });
    }
}

TEST_CASE("what is not HTTP is refused")
{
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    for (const auto& garbage :
         {std::string("SSH-2.0-OpenSSH_9.2\r\n"), std::string(1000, '\0'),
          "HTTP/1.1 two hundred OK\r\n\r\n" + ok, ok + "Content-Length: many\r\n\r\nhello",
          ok + "Content-Length: -1\r\n\r\n",
          ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", ok + "no colon here\r\n\r\n",
          ok + "Transfer-Encoding: chunked\r\n\r\nnot a length\r\nhello\r\n0\r\n\r\n",
          ok + "X: " + std::string(100'000, 'x') + "\r\n\r\n"}) {
        INFO(garbage.substr(0, 80));
        with_script(api::in_order({raw(garbage)}), [](scripted_server& server) -> awaitable<void> {
            http::pool pool;
            check_equal(
                co_await failure_of(pool.exchange(get(server.at("/")))), failure::malformed);
            CHECK(pool.kept() == 0);
        });
    }
}

TEST_CASE("a body may be as long as the limit, and no longer, announced or not")
{
    const std::string body(1000, 'x');
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1f4\r\n" +
                                body.substr(500) + "\r\n1f4\r\n" + body.substr(500) +
                                "\r\n0\r\n\r\n";
    const std::string unannounced = "HTTP/1.1 200 OK\r\n\r\n" + body;
    for (const auto& reply : {answer(200, body), raw(chunked, ending::keep), raw(unannounced)}) {
        with_script(api::in_order({reply}), [&](scripted_server& server) -> awaitable<void> {
            http::pool pool;
            auto what = get(server.at("/"));
            what.body_limit = 1000;
            const auto got = co_await pool.exchange(what);
            CHECK(got.body == body);
            what.body_limit = 999;
            check_equal(co_await failure_of(pool.exchange(what)), failure::too_large);
            CHECK(pool.kept() == 0);
        });
    }
}

TEST_CASE("what has come of a body is counted, whole or not, and what has not come is not")
{
    const std::string header = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n";
    const std::string part(100, 'x');
    auto never_more = raw(header + part);
    never_more.parts.push_back(api::reply::part{1h, ""});
    struct example {
        api::reply reply;
        std::size_t limit;
        std::size_t received;
    };
    const std::vector<example> examples = {
        {answer(200, part), 1000, 100},
        {raw(header + part), 1000, 100},   // cut off
        {never_more, 1000, 100},           // not in time
        {raw(chunked + part), 1000, 100},  // cut off
        {raw("HTTP/1.1 200 OK\r\n\r\n" + part), 1000, 100},
        {raw(header), 999, 0},   // too large, by its header
        {raw(header), 1000, 0},  // cut off
        {raw(""), 1000, 0}};     // no answer
    for (const auto& [reply, limit, expected] : examples) {
        INFO(reply.parts.front().bytes);
        INFO(limit);
        std::size_t received = 7;
        with_script(api::in_order({reply}), [&](scripted_server& server) -> awaitable<void> {
            http::pool pool;
            auto what = get(server.at("/"));
            what.body_limit = limit;
            what.received = &received;
            try {
                (void)co_await common::with_timeout(30s, pool.exchange(what));
            } catch (const http::exchange_error&) {
            } catch (const common::timeout_error&) {
            }
        });
        CHECK(received == 7 + expected);
    }
    // Some of a body comes with the header, before anybody knows that it is too large.
    std::size_t received = 0;
    with_script(
        api::in_order({raw(header + part)}), [&](scripted_server& server) -> awaitable<void> {
            http::pool pool;
            auto what = get(server.at("/"));
            what.body_limit = 999;
            what.received = &received;
            check_equal(co_await failure_of(pool.exchange(what)), failure::too_large);
        });
    CHECK(received == 100);
}

TEST_CASE("what comes beside the body of chunks is limited, too")
{
    const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    const std::string much(1'000'000, 'x');
    const auto extension = head + "5;x=" + much + "\r\nhello\r\n0\r\n\r\n";
    const auto trailer = head + "5\r\nhello\r\n0\r\nX: " + much + "\r\n\r\n";
    for (const auto& bytes : {extension, trailer}) {
        with_script(api::in_order({raw(bytes)}), [](scripted_server& server) -> awaitable<void> {
            http::pool pool;
            check_equal(
                co_await failure_of(pool.exchange(get(server.at("/")))), failure::malformed);
        });
    }
}

TEST_CASE("a server can answer before it has read the whole request, and its answer counts")
{
    tests::run([]() -> awaitable<void> {
        const common::real_work sockets(20ms);
        const auto executor = co_await asio::this_coro::executor;
        tcp::acceptor door(executor, {asio::ip::address_v4::loopback(), 0});
        const auto refuse = [&]() -> awaitable<void> {
            auto peer = co_await door.async_accept(asio::deferred);
            std::string head(4096, ' ');
            co_await peer.async_read_some(asio::buffer(head), asio::deferred);
            const std::string too_large =
                "HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large";
            co_await asio::async_write(peer, asio::buffer(too_large), asio::deferred);
            peer.close();
        };
        http::pool pool;
        const http::url where(fmt::format("http://127.0.0.1:{}/", door.local_endpoint().port()));
        const auto send = [&]() -> awaitable<void> {
            const auto got = co_await pool.exchange(post(where, std::string(20'000'000, 'x')));
            CHECK(got.status == 413);
            CHECK(got.body == "too large");
            CHECK(pool.kept() == 0);
        };
        co_await (refuse() && send());
    });
}

TEST_CASE("two exchanges at once can be counted together")
{
    auto slow = answer(200, std::string(100, 'x'));
    const auto bytes = slow.parts.front().bytes;
    slow.parts.clear();
    slow.parts.push_back({0s, bytes.substr(0, bytes.size() - 50)});
    slow.parts.push_back({1s, bytes.substr(bytes.size() - 50)});
    std::size_t received = 0;
    with_script(api::in_order({slow}), [&](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        auto what = get(server.at("/"));
        what.received = &received;
        co_await (pool.exchange(what) && pool.exchange(what));
    });
    CHECK(received == 200);
}

TEST_CASE("a huge length costs no memory before its bytes come")
{
    const auto script = api::in_order(
        {raw("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello")});
    with_script(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        check_equal(co_await failure_of(pool.exchange(get(server.at("/")))), failure::too_large);
    });
}

TEST_CASE("the answer after 100 Continue is the one that counts")
{
    auto reply = raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n");
    reply.parts.push_back(api::reply::part{1s, hello.parts.front().bytes});
    reply.then = ending::keep;
    with_script(api::in_order({reply}), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        const auto got = co_await pool.exchange(get(server.at("/")));
        CHECK(got.status == 200);
        CHECK(got.body == "hello");
        CHECK(pool.kept() == 1);
    });
}

TEST_CASE("the answer to HEAD has a length and no body, and 204 has neither")
{
    const auto script = [](const heard& request) {
        return request.method == "HEAD"
                   ? raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ending::keep)
                   : raw("HTTP/1.1 204 No Content\r\n\r\n", ending::keep);
    };
    with_script(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        const auto head = co_await pool.exchange(http::request(server.at("/"), "HEAD"));
        CHECK(head.status == 200);
        CHECK(head.body.empty());
        const auto gone = co_await pool.exchange(http::request(server.at("/"), "DELETE"));
        CHECK(gone.status == 204);
        CHECK(server.accepted() == 1);
    });
}

TEST_CASE("a connection is not kept when the server says so, or when only its end ends the answer")
{
    for (const auto* const bytes :
         {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
          "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\n\r\nhello"}) {
        INFO(bytes);
        with_script(api::in_order({raw(bytes)}), [](scripted_server& server) -> awaitable<void> {
            http::pool pool;
            const auto got = co_await pool.exchange(get(server.at("/")));
            CHECK(got.body == "hello");
            CHECK(pool.kept() == 0);
        });
    }
}

TEST_CASE("a connection that has lain for too long is dropped")
{
    with_script(api::in_order({hello}), [](scripted_server& server) -> awaitable<void> {
        http::pool_limits limits;
        limits.kept_for = 10s;
        http::pool pool(limits);
        (void)co_await pool.exchange(get(server.at("/")));
        co_await common::sleep_for(10s);
        (void)co_await pool.exchange(get(server.at("/")));
        CHECK(server.accepted() == 1);
        co_await common::sleep_for(11s);
        (void)co_await pool.exchange(get(server.at("/")));
        CHECK(server.accepted() == 2);
        CHECK(server.connected() == 1);
    });
}

TEST_CASE("of too many kept connections the oldest is closed")
{
    const auto script = api::in_order({hello});
    with_script(script, [&](scripted_server& one) -> awaitable<void> {
        const auto with_other = [&](scripted_server& other) -> awaitable<void> {
            http::pool_limits limits;
            limits.kept = 1;
            http::pool pool(limits);
            (void)co_await pool.exchange(get(one.at("/")));
            (void)co_await pool.exchange(get(other.at("/")));
            CHECK(pool.kept() == 1);
            (void)co_await pool.exchange(get(other.at("/")));
            CHECK(other.accepted() == 1);
            (void)co_await pool.exchange(get(one.at("/")));
            CHECK(one.accepted() == 2);
        };
        co_await api::with_server(script, with_other);
    });
}

TEST_CASE("what would break a header open is not sent")
{
    const std::vector<http::field> bad_fields = {
        {"X", "a\r\nY: b"},
        {"X\r\nY", "b"},
        {"X Y", "b"},
        {"", "b"},
        {"Content-Length", "5"},
        {"transfer-encoding", "chunked"},
        {"Host", "elsewhere"}};
    with_script(api::in_order({hello}), [&](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        std::vector<http::request> refused;
        refused.emplace_back(server.at("/"), "GET / HTTP/1.1\r\nX:");
        refused.emplace_back(server.at("/"), "");
        for (const auto& [name, value] : bad_fields) {
            refused.emplace_back(server.at("/"));
            refused.back().headers.add(name, value);
        }
        std::size_t thrown = 0;
        for (const auto& each : refused) {
            try {
                (void)co_await pool.exchange(each);
            } catch (const std::invalid_argument&) {
                ++thrown;
            }
        }
        CHECK(thrown == refused.size());
        CHECK(server.requests().empty());
    });
}

TEST_CASE("a name is looked up, and its addresses are tried in turn")
{
    with_script(api::in_order({hello}), [](scripted_server& server) -> awaitable<void> {
        const common::real_work lookup;  // in a thread of Asio's
        http::pool pool;
        const http::url by_name(fmt::format("http://localhost:{}/", server.at("/").port()));
        const auto got = co_await pool.exchange(get(by_name));
        CHECK(got.body == "hello");
    });
}

TEST_CASE("who looks up a name can be cancelled, though the lookup cannot")
{
    with_script(api::in_order({hello}), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        const http::url by_name(fmt::format("http://localhost:{}/", server.at("/").port()));
        bool timed_out = false;
        try {
            (void)co_await common::with_timeout(0s, pool.exchange(get(by_name)));
        } catch (const common::timeout_error&) {
            timed_out = true;
        }
        CHECK(timed_out);
        CHECK(pool.in_use() == 0);
        CHECK(server.accepted() == 0);
    });
}
