#include "common/barrier.hpp"

#include "tests/common/started.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <vector>

using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using common::barrier;
using common::broken_barrier;
using tests::started;
using tests::asio::awaitable;

namespace asio = boost::asio;

namespace {

constexpr std::size_t nowhere = 99;

awaitable<void> arrive(barrier& meeting, std::size_t& place)
{
    place = nowhere;
    place = co_await meeting.arrive_and_wait();
}

}  // namespace

TEST_CASE("barrier: needs at least one party, and one alone never waits")
{
    CHECK_THROWS_AS(barrier(0), std::invalid_argument);
    auto main = []() -> awaitable<void> {
        barrier alone(1);
        tests::check_equal(co_await alone.arrive_and_wait(), 0);
        tests::check_equal(co_await alone.arrive_and_wait(), 0);
        CHECK(alone.waiting() == 0);
    };
    tests::run(main);
}

TEST_CASE("barrier: opens when all have arrived, and tells each its place")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        barrier meeting(3);
        std::size_t first = nowhere;
        std::size_t second = nowhere;
        for (int generation = 0; generation < 3; ++generation) {
            const started a(executor, arrive(meeting, first));
            const started b(executor, arrive(meeting, second));
            co_await common::sleep_for(1s);
            CHECK(first == nowhere);
            CHECK(meeting.waiting() == 2);
            tests::check_equal(co_await meeting.arrive_and_wait(), 2);  // at once
            CHECK(first == nowhere);
            CHECK(meeting.waiting() == 0);
            co_await tests::settle();
            CHECK(first == 0);
            CHECK(second == 1);
        }
    };
    tests::run(main);
}

TEST_CASE("barrier: generations don't mix when the last to arrive comes again at once")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        barrier meeting(2);
        std::vector<int> phases;
        auto worker = [&](common::duration work) -> awaitable<void> {
            for (int phase = 0; phase < 3; ++phase) {
                co_await common::sleep_for(work);
                co_await meeting.arrive_and_wait();
                phases.push_back(phase);
            }
        };
        const started slow(executor, worker(10ms));
        const started fast(executor, worker(0ms));
        co_await common::sleep_for(1s);
        CHECK(phases == std::vector{0, 0, 1, 1, 2, 2});

        std::size_t waits = nowhere;
        const started a(executor, arrive(meeting, waits));
        co_await meeting.arrive_and_wait();
        std::size_t next = nowhere;
        const started b(executor, arrive(meeting, next));  // before a has run
        CHECK(meeting.waiting() == 1);
        co_await tests::settle();
        CHECK(waits == 0);
        CHECK(next == nowhere);
        co_await meeting.arrive_and_wait();
        co_await tests::settle();
        CHECK(next == 0);
    };
    tests::run(main);
}

TEST_CASE("barrier: a cancelled arrival is withdrawn, and the places behind it close up")
{
    const auto type = GENERATE(
        asio::cancellation_type::terminal, asio::cancellation_type::partial,
        asio::cancellation_type::total);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        barrier meeting(3);
        std::vector<std::size_t> places(3, nowhere);
        started a(executor, tests::hearing_all(arrive(meeting, places[0])));
        const started b(executor, arrive(meeting, places[1]));
        a.cancel(type);
        CHECK(meeting.waiting() == 1);
        co_await tests::settle();
        CHECK(a.aborted());
        CHECK_FALSE(meeting.broken());
        const started c(executor, arrive(meeting, places[2]));
        co_await tests::settle();
        CHECK(b.running());
        tests::check_equal(co_await meeting.arrive_and_wait(), 2);
        co_await tests::settle();
        CHECK(places == std::vector<std::size_t>{nowhere, 0, 1});
    };
    tests::run(main);
}

TEST_CASE("barrier: a cancellation after the opening is too late")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        barrier meeting(2);
        std::size_t place = nowhere;
        started waiting(executor, arrive(meeting, place));
        co_await meeting.arrive_and_wait();
        waiting.cancel();
        co_await tests::settle();
        CHECK(waiting.finished());
        CHECK(place == 0);
        CHECK(meeting.waiting() == 0);
    };
    tests::run(main);
}

TEST_CASE("barrier: in thousands of races against a timer both pass or none")
{
    const bool opener_first = GENERATE(true, false);
    int opened = 0;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        barrier meeting(2);
        auto opener = [&]() -> awaitable<void> {
            co_await common::sleep_for(10ms);
            co_await meeting.arrive_and_wait();
        };
        auto racer = [&](bool& passed) -> awaitable<void> {
            auto arrive_and_tell = [&]() -> awaitable<void> {
                co_await meeting.arrive_and_wait();
                passed = true;
            };
            co_await (arrive_and_tell() || common::sleep_for(10ms));
        };
        for (int race = 0; race < 2000; ++race) {
            bool passed = false;
            std::vector<started> both;
            if (opener_first) {
                both.emplace_back(executor, opener());
                both.emplace_back(executor, racer(passed));
            } else {
                both.emplace_back(executor, racer(passed));
                both.emplace_back(executor, opener());
            }
            auto& opening = both[opener_first ? 0 : 1];
            co_await common::sleep_for(20ms);
            REQUIRE(opening.finished() == passed);
            REQUIRE(meeting.waiting() == (passed ? 0 : 1));
            opened += passed;
            opening.cancel();
            co_await tests::settle();
            REQUIRE(meeting.waiting() == 0);
        }
    };
    tests::run(main);
    CHECK((opened == 0 || opened == 2000));
}

TEST_CASE("barrier: abort breaks those who wait and all who come, until it is reset")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        barrier meeting(3);
        const started a(executor, meeting.arrive_and_wait());
        const started b(executor, meeting.arrive_and_wait());
        meeting.abort();
        CHECK(meeting.broken());
        CHECK(meeting.waiting() == 0);
        const started c(executor, meeting.arrive_and_wait());
        co_await tests::settle();
        CHECK(a.failed_with<broken_barrier>());
        CHECK(b.failed_with<broken_barrier>());
        CHECK(c.failed_with<broken_barrier>());

        meeting.reset();
        CHECK_FALSE(meeting.broken());
        std::size_t place = nowhere;
        const started d(executor, arrive(meeting, place));
        const started e(executor, meeting.arrive_and_wait());
        tests::check_equal(co_await meeting.arrive_and_wait(), 2);
        co_await tests::settle();
        CHECK(place == 0);
        CHECK(e.finished());
    };
    tests::run(main);
}

TEST_CASE("barrier: reset breaks those who wait, and starts afresh")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        barrier meeting(2);
        const started a(executor, meeting.arrive_and_wait());
        meeting.reset();
        CHECK_FALSE(meeting.broken());
        std::size_t place = nowhere;
        const started b(executor, arrive(meeting, place));
        co_await tests::settle();
        CHECK(a.failed_with<broken_barrier>());
        CHECK(b.running());
        tests::check_equal(co_await meeting.arrive_and_wait(), 1);
        co_await tests::settle();
        CHECK(place == 0);
    };
    tests::run(main);
}

TEST_CASE("barrier: who had passed before an abort has passed")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        barrier meeting(2);
        const started a(executor, meeting.arrive_and_wait());
        co_await meeting.arrive_and_wait();
        meeting.abort();
        co_await tests::settle();
        CHECK(a.finished());
    };
    tests::run(main);
}

TEST_CASE("barrier: 50 000 parties need no stack")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        barrier meeting(50'000);
        std::vector<std::size_t> places(49'999, nowhere);
        for (auto& place : places) {
            const started waiting(executor, arrive(meeting, place));
        }
        co_await meeting.arrive_and_wait();
        co_await tests::settle();
        for (std::size_t each = 0; each < places.size(); ++each) {
            REQUIRE(places[each] == each);
        }
    };
    tests::run(main);
}

TEST_CASE("barrier: the event loop may be destroyed with arrivals, and the barrier before it")
{
    barrier lasting(3);
    {
        asio::io_context loop;
        const started a(loop.get_executor(), lasting.arrive_and_wait());
        const started b(loop.get_executor(), lasting.arrive_and_wait());
        loop.poll();
        CHECK(lasting.waiting() == 2);
    }
    CHECK(lasting.waiting() == 0);

    asio::io_context loop;
    auto shorter = std::make_unique<barrier>(3);
    started a(loop.get_executor(), shorter->arrive_and_wait());
    const started b(loop.get_executor(), shorter->arrive_and_wait());
    loop.poll();
    shorter.reset();
    a.cancel();
    loop.poll();
    CHECK(a.running());
}
