#include "common/serving.hpp"

#include "common/clock.hpp"
#include "common/run.hpp"

#include "tests/common/helpers.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <csignal>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using namespace asio::experimental::awaitable_operators;
using namespace tests;

namespace {

const tcp::endpoint anywhere(asio::ip::address_v4::loopback(), 0);

// The two ends of a connection.
struct connection {
    explicit connection(const asio::any_io_executor& executor) : near(executor), far(executor)
    {
        tcp::acceptor acceptor(executor, anywhere);
        near.connect(acceptor.local_endpoint());
        acceptor.accept(far);
    }

    tcp::socket near;
    tcp::socket far;
};

// While it lives, the process can open nothing more, until room_for_one() is called.
class shortage {
public:
    shortage()
    {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        auto now = before_;
        now.rlim_cur = 200;
        ::setrlimit(RLIMIT_NOFILE, &now);
        for (int next = 0; next >= 0; next = ::open("/dev/null", O_RDONLY)) {
            if (next > 0) {
                taken_.push_back(next);
            }
        }
    }

    ~shortage()
    {
        for (const int each : taken_) {
            ::close(each);
        }
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }

    shortage(const shortage&) = delete;
    shortage& operator=(const shortage&) = delete;

    void room_for_one()
    {
        ::close(taken_.back());
        taken_.pop_back();
    }

private:
    rlimit before_{};
    std::vector<int> taken_;
};

error_code code_of(const std::exception_ptr& failure)
{
    try {
        std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
        return error.code();
    }
}

}  // namespace

TEST_CASE("accept gives the next connection")
{
    bool accepted = false;
    common::run([](bool& done) -> awaitable<void> {
        tcp::acceptor acceptor(co_await asio::this_coro::executor, anywhere);
        tcp::socket client(acceptor.get_executor());
        client.connect(acceptor.local_endpoint());
        auto socket = co_await common::accept(acceptor);
        done = socket && socket->remote_endpoint() == client.local_endpoint();
    }(accepted));
    CHECK(accepted);
}

TEST_CASE("accept gives nothing once the acceptor is closed, before or while it waits")
{
    const auto mode = any_mode();
    int nothings = 0;
    common::run(
        [](int& count) -> awaitable<void> {
            tcp::acceptor acceptor(co_await asio::this_coro::executor, anywhere);
            const auto wait = [&]() -> awaitable<void> {
                const auto socket = co_await common::accept(acceptor);
                count += socket ? 0 : 1;
            };
            const auto close = [&]() -> awaitable<void> {
                co_await common::sleep_for(10ms);
                acceptor.close();
            };
            co_await (wait() && close());
            co_await wait();
        }(nothings),
        mode);
    CHECK(nothings == 2);
}

TEST_CASE("accept that is cancelled throws operation_aborted")
{
    const auto mode = any_mode();
    bool aborted = false;
    common::run(
        [](bool& result) -> awaitable<void> {
            const auto executor = co_await asio::this_coro::executor;
            tcp::acceptor acceptor(executor, anywhere);
            const auto wait = [&]() -> awaitable<void> { co_await common::accept(acceptor); };
            side_task task(executor, wait());
            co_await common::yield();
            task.cancel();
            co_await common::sleep_for(1ms);
            result = task.aborted();
        }(aborted),
        mode);
    CHECK(aborted);
}

TEST_CASE("accept throws what no wait will mend")
{
    error_code error;
    common::run([](error_code& result) -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        tcp::acceptor deaf(executor);
        deaf.open(tcp::v4());  // and does not listen
        const auto wait = [&]() -> awaitable<void> { co_await common::accept(deaf); };
        side_task task(executor, wait());
        co_await common::sleep_for(10ms);
        REQUIRE(task.ended());
        result = code_of(task.failure());
    }(error));
    CHECK(error == asio::error::invalid_argument);
}

TEST_CASE("accept gets over a shortage of descriptors, and looks every 50 ms whether it is over")
{
#ifdef __SANITIZE_ADDRESS__
    SKIP("the sanitizers want descriptors themselves");
#endif
    duration accepted_at{};
    run_virtually([](duration& result) -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        tcp::acceptor acceptor(executor, anywhere);
        tcp::socket client(executor);
        client.connect(acceptor.local_endpoint());
        shortage none_left;
        const auto wait = [&]() -> awaitable<void> {
            const auto socket = co_await common::accept(acceptor);
            result = socket ? common::elapsed() : duration::max();
        };
        const auto make_room = [&]() -> awaitable<void> {
            co_await common::sleep_for(120ms);
            none_left.room_for_one();
        };
        co_await (wait() && make_room());
    }(accepted_at));
    CHECK(accepted_at == 150ms);
}

TEST_CASE("raise_descriptor_limit raises the soft limit to the hard one")
{
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    auto low = before;
    low.rlim_cur = before.rlim_max - 1;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    CHECK(common::raise_descriptor_limit() == before.rlim_max);
    rlimit after{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &after) == 0);
    CHECK(after.rlim_cur == before.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("send completes at once where there is room")
{
    trace notes;
    common::run([](trace& said) -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        connection ends(executor);
        side_task other(executor, note_after(0s, said, "other"));
        co_await common::send(ends.near, "hello", 1s);
        said.emplace_back("sent");
        std::string received(5, ' ');
        asio::read(ends.far, asio::buffer(received));
        said.push_back(received);
        co_await common::sleep_for(1ms);
    }(notes));
    CHECK(notes == trace{"sent", "hello", "other"});
}

TEST_CASE("send gets all bytes through to a peer that reads slowly")
{
    std::string received;
    const std::string bytes(20'000'000, 'x');
    common::run([](const std::string& all, std::string& result) -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        connection ends(executor);
        const auto read = [&]() -> awaitable<void> {
            result.resize(all.size());
            co_await common::sleep_for(10ms);
            co_await asio::async_read(ends.far, asio::buffer(result), asio::deferred);
        };
        co_await (common::send(ends.near, all, 1min) && read());
    }(bytes, received));
    CHECK(received == bytes);
}

TEST_CASE("send to a peer that does not read times out")
{
    error_code error;
    duration took{};
    run_virtually([](error_code& result, duration& time) -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        const common::real_work hold(50ms);
        connection ends(executor);
        const std::string bytes(20'000'000, 'x');
        side_task task(executor, common::send(ends.near, bytes, 5s));
        while (!task.ended()) {
            co_await common::sleep_for(100ms);
        }
        result = code_of(task.failure());
        time = task.ended_at();
    }(error, took));
    CHECK(error == asio::error::timed_out);
    CHECK(took == 5s);
}

TEST_CASE("send to a peer that is gone throws")
{
    error_code error;
    common::run([](error_code& result) -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        connection ends(executor);
        ends.far.set_option(tcp::socket::linger(true, 0));
        ends.far.close();
        side_task task(executor, common::send(ends.near, "hello", 5s));
        co_await common::sleep_for(1ms);
        REQUIRE(task.ended());
        result = code_of(task.failure());
    }(error));
    CHECK(error == asio::error::connection_reset);
}

TEST_CASE("hang_up delivers what was sent last, whatever of the peer's has not been read")
{
    const auto mode = any_mode();
    std::string received;
    error_code end;
    common::run(
        [](std::string& result, error_code& last) -> awaitable<void> {
            const common::real_work hold(50ms);
            connection ends(co_await asio::this_coro::executor);
            const std::string unread(100'000, 'x');
            asio::write(ends.far, asio::buffer(unread));
            co_await common::send(ends.near, "goodbye", 1s);
            const auto hang_up = [&]() -> awaitable<void> {
                co_await common::hang_up(ends.near, 1min);
                ends.near.close();
            };
            const auto go_on = [&]() -> awaitable<void> {
                co_await common::sleep_for(50ms);
                asio::write(ends.far, asio::buffer(unread));
                ends.far.shutdown(tcp::socket::shutdown_send);
            };
            co_await (hang_up() && go_on());
            asio::read(ends.far, asio::dynamic_buffer(result), last);
        }(received, end),
        mode);
    CHECK(received == "goodbye");
    CHECK(end == asio::error::eof);
}

TEST_CASE("hang_up does not wait for an end that has been read already")
{
    duration took = duration::max();
    run_virtually([](duration& result) -> awaitable<void> {
        const common::real_work hold(50ms);
        connection ends(co_await asio::this_coro::executor);
        ends.far.shutdown(tcp::socket::shutdown_send);
        std::string nothing(1, ' ');
        const auto [error, size] = co_await ends.near.async_read_some(
            asio::buffer(nothing), asio::as_tuple(asio::deferred));
        REQUIRE(error == asio::error::eof);
        co_await common::hang_up(ends.near, 5s);
        result = common::elapsed();
    }(took));
    CHECK(took == 0s);
}

TEST_CASE("hang_up waits for its patience, and no longer, for a peer that stays")
{
    duration took{};
    run_virtually([](duration& result) -> awaitable<void> {
        const common::real_work hold(50ms);
        connection ends(co_await asio::this_coro::executor);
        co_await common::hang_up(ends.near, 5s);
        result = common::elapsed();
    }(took));
    CHECK(took == 5s);
}

TEST_CASE("hang_up lets others run while there is something to read")
{
    int turns = 0;
    common::run([](int& count) -> awaitable<void> {
        connection ends(co_await asio::this_coro::executor);
        const std::string unread(100'000, 'x');
        asio::write(ends.far, asio::buffer(unread));
        ends.far.shutdown(tcp::socket::shutdown_send);
        bool gone = false;
        const auto hang_up = [&]() -> awaitable<void> {
            co_await common::hang_up(ends.near, 1min);
            gone = true;
        };
        const auto run = [&]() -> awaitable<void> {
            while (!gone) {
                ++count;
                co_await common::yield();
            }
        };
        co_await (hang_up() && run());
    }(turns));
    CHECK(turns > 20);  // of 4 KiB each
}

TEST_CASE("hang_up does not mind a peer that is gone")
{
    common::run([]() -> awaitable<void> {
        connection ends(co_await asio::this_coro::executor);
        ends.far.set_option(tcp::socket::linger(true, 0));
        ends.far.close();
        co_await common::hang_up(ends.near, 1min);
    }());
}

TEST_CASE("hang_up can be cancelled")
{
    bool ended = false;
    common::run([](bool& result) -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        connection ends(executor);
        side_task task(executor, common::hang_up(ends.near, 1min));
        co_await common::sleep_for(1ms);
        task.cancel();
        co_await common::sleep_for(1ms);
        result = task.ended();
    }(ended));
    CHECK(ended);
}

TEST_CASE("a stop signal is heard once, and the next has its usual effect")
{
    const int number = GENERATE(SIGINT, SIGTERM, SIGHUP);
    struct sigaction after{};
    common::run([](int signal) -> awaitable<void> {
        common::stop_signal stop(co_await asio::this_coro::executor);
        stop.add(SIGHUP);
        std::raise(signal);
        co_await stop.wait();
    }(number));
    REQUIRE(::sigaction(number, nullptr, &after) == 0);
    CHECK(after.sa_handler == SIG_DFL);
}
