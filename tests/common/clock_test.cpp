#include "common/clock.hpp"

#include "common/run.hpp"
#include "tests/common/helpers.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <thread>

namespace asio = boost::asio;
using asio::cancellation_type;
using common::clock_mode;
using steady = std::chrono::steady_clock;
using tests::awaitable;
using tests::side_task;
using tests::trace;
using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;

namespace {

// Hears every type of cancellation, and then sleeps.
awaitable<void> sleep_cancellable(common::duration pause)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await common::sleep_for(pause);
}

awaitable<void> block_for(std::chrono::milliseconds pause)
{
    std::this_thread::sleep_for(pause);
    co_return;
}

awaitable<common::duration> read_elapsed()
{
    co_return common::elapsed();
}

// The exit status of a program that asks for the clock with LESSON_CLOCK set to `value`.
int exit_status_with_clock(const char* value)
{
    std::fflush(nullptr);  // or the child would have it to print, too
    const auto child = ::fork();
    if (child == 0) {
        ::setenv("LESSON_CLOCK", value, 1);
        static_cast<void>(std::freopen("/dev/null", "w", stderr));
        ::on_exit([](int status, void*) { ::_exit(status); }, nullptr);  // before Catch2's handlers
        common::clock_mode_from_environment();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("clock modes are parsed from their names")
{
    CHECK(common::parse_clock_mode("") == clock_mode::steady);
    CHECK(common::parse_clock_mode("steady") == clock_mode::steady);
    CHECK(common::parse_clock_mode("virtual") == clock_mode::virtual_time);
    CHECK_THROWS_AS(common::parse_clock_mode("Virtual"), std::invalid_argument);
    CHECK_THROWS_AS(common::parse_clock_mode("virtual "), std::invalid_argument);
}

TEST_CASE("the clock mode comes from LESSON_CLOCK")
{
    ::unsetenv("LESSON_CLOCK");
    CHECK(common::clock_mode_from_environment() == clock_mode::steady);
    ::setenv("LESSON_CLOCK", "virtual", 1);
    CHECK(common::clock_mode_from_environment() == clock_mode::virtual_time);
    ::setenv("LESSON_CLOCK", "steady", 1);
    CHECK(common::clock_mode_from_environment() == clock_mode::steady);
    ::unsetenv("LESSON_CLOCK");
}

TEST_CASE("a LESSON_CLOCK that names no clock ends the program with status 2")
{
    CHECK(exit_status_with_clock("sundial") == 2);
    CHECK(exit_status_with_clock("virtual") == 0);
}

TEST_CASE("a virtual sleep takes no time, and the clock says that it did")
{
    const auto main = []() -> awaitable<void> {
        const auto start = common::now();
        co_await common::sleep_for(24h);
        CHECK(common::now() - start == 24h);
        CHECK(common::elapsed() == 24h);

        co_await common::sleep_until(start + 30h);
        CHECK(common::elapsed() == 30h);
    };
    tests::run_virtually(main());
}

TEST_CASE("a steady sleep takes as long as it says")
{
    const auto main = []() -> awaitable<void> {
        const auto start = common::now();
        co_await common::sleep_for(20ms);
        CHECK(common::now() - start >= 20ms);
        CHECK(common::elapsed() >= 20ms);

        co_await common::sleep_until(start + 40ms);
        CHECK(common::now() - start >= 40ms);
    };
    const auto start = steady::now();
    common::run(main(), clock_mode::steady);
    CHECK(steady::now() - start >= 40ms);
}

TEST_CASE("virtual time does not pass while coroutines run")
{
    const auto main = []() -> awaitable<void> {
        std::this_thread::sleep_for(2ms);
        for (int turn = 0; turn < 100; ++turn) {
            co_await common::yield();
        }
        CHECK(common::elapsed() == 0s);
    };
    tests::run_virtually(main());
}

// The deadlines count from one start, and all sleep before the second is due: a machine that is
// busy between two calls must not reorder them.
TEST_CASE("sleepers wake in the order of time")
{
    const auto mode = tests::any_mode();
    trace notes;
    const auto note_at = [&](common::time_point due, std::string_view note) -> awaitable<void> {
        co_await common::sleep_until(due);
        notes.emplace_back(note);
    };
    const auto main = [&]() -> awaitable<void> {
        const auto start = common::now();
        co_await (
            note_at(start + 320ms, "third") && note_at(start, "first") &&
            note_at(start + 340ms, "fourth") && note_at(start + 300ms, "second"));
    };
    common::run(main(), mode);
    CHECK(notes == trace{"first", "second", "third", "fourth"});
}

TEST_CASE("sleepers due at the same instant wake in the order in which they went to sleep")
{
    trace notes;
    const auto sleep_until_two = [&](common::duration begin,
                                     std::string_view name) -> awaitable<void> {
        co_await common::sleep_for(begin);
        co_await common::sleep_until(common::time_point(2s));
        notes.emplace_back(name);
    };
    const auto main = [&]() -> awaitable<void> {
        co_await (
            sleep_until_two(900ms, "last") && sleep_until_two(100ms, "second") &&
            sleep_until_two(500ms, "fourth") && sleep_until_two(0ms, "first") &&
            sleep_until_two(100ms, "third"));
        CHECK(common::elapsed() == 2s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"first", "second", "third", "fourth", "last"});
}

TEST_CASE("on the steady clock, too, equal deadlines keep the order in which they went to sleep")
{
    trace notes;
    trace expected;
    const auto note_at = [&](common::time_point due, std::string note) -> awaitable<void> {
        co_await common::sleep_until(due);
        notes.push_back(std::move(note));
    };
    const auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        const auto due = common::now() + 20ms;
        for (int sleeper = 0; sleeper < 100; ++sleeper) {
            expected.push_back(std::to_string(sleeper));
            asio::co_spawn(executor, note_at(due, expected.back()), asio::detached);
        }
        co_await common::sleep_until(due);
        CHECK(common::now() >= due);
    };
    common::run(main(), clock_mode::steady);
    CHECK(notes == expected);
}

TEST_CASE("whoever wakes runs on before later sleepers wake")
{
    trace notes;
    const auto wake_and_yield = [&]() -> awaitable<void> {
        co_await common::sleep_for(1s);
        for (int turn = 0; turn < 10; ++turn) {
            co_await common::yield();
        }
        notes.emplace_back("yielded");
        CHECK(common::elapsed() == 1s);
    };
    const auto main = [&]() -> awaitable<void> {
        co_await (tests::note_after(1001ms, notes, "later") && wake_and_yield());
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"yielded", "later"});
}

TEST_CASE("a pause of zero or less lets the coroutines run that are ready")
{
    const auto mode = tests::any_mode();
    const auto pause = GENERATE(0ns, -1ns, -24h, common::duration::min());
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        asio::post(executor, [&] { notes.emplace_back("ready"); });
        co_await common::sleep_for(pause);
        notes.emplace_back("slept");
    };
    common::run(main(), mode);
    CHECK(notes == trace{"ready", "slept"});
}

TEST_CASE("virtual time does not go back for a deadline that has passed")
{
    const auto main = []() -> awaitable<void> {
        co_await common::sleep_for(5s);
        co_await common::sleep_until(common::time_point(2s));
        CHECK(common::elapsed() == 5s);
        co_await common::sleep_until(common::time_point::min());
        CHECK(common::elapsed() == 5s);
        co_await common::sleep_for(-1s);
        CHECK(common::elapsed() == 5s);
    };
    tests::run_virtually(main());
}

TEST_CASE("the longest pause does not overflow")
{
    const auto mode = tests::any_mode();
    bool woke = false;
    const auto sleep_forever = [&]() -> awaitable<void> {
        co_await common::sleep_for(common::duration::max());
        woke = true;
    };
    const auto main = [&]() -> awaitable<void> {
        co_await common::sleep_for(1ms);
        side_task forever(co_await asio::this_coro::executor, sleep_forever());
        co_await common::sleep_for(10ms);
        CHECK_FALSE(forever.ended());
        forever.cancel();
        co_await common::sleep_for(1ms);
        CHECK(forever.aborted());
    };
    common::run(main(), mode);
    CHECK_FALSE(woke);
}

TEST_CASE("virtual time ends at its last instant")
{
    const auto main = []() -> awaitable<void> {
        co_await common::sleep_for(1s);
        co_await common::sleep_for(common::duration::max());
        CHECK(common::now() == common::time_point::max());
        co_await common::sleep_for(1s);
        CHECK(common::now() == common::time_point::max());
    };
    tests::run_virtually(main());
}

TEST_CASE("a cancelled sleep throws operation_aborted and leaves nothing behind")
{
    const auto mode = tests::any_mode();
    const auto type = tests::any_cancellation();
    const auto main = [&]() -> awaitable<void> {
        side_task sleeper(co_await asio::this_coro::executor, sleep_cancellable(24h));
        co_await common::sleep_for(1ms);
        sleeper.cancel(type);
        CHECK_FALSE(sleeper.ended());  // it ends from the event loop
        co_await common::yield();
        co_await common::yield();
        CHECK(sleeper.aborted());
    };
    const auto whole = [&]() -> awaitable<common::duration> {
        co_await main();
        co_return common::elapsed();
    };
    const auto took = common::run(whole(), mode);
    CHECK(took < 24h);
    if (mode == clock_mode::virtual_time) {
        CHECK(took == 1ms);
    }
}

TEST_CASE("a sleeper that was cancelled does not hold the run up")
{
    std::optional<side_task> sleeper;
    common::time_point end;
    const auto main = [&]() -> awaitable<void> {
        sleeper.emplace(co_await asio::this_coro::executor, common::sleep_for(24h));
        co_await common::sleep_for(1s);
        sleeper->cancel();
        co_await common::sleep_for(1s);
        end = common::now();
    };
    tests::run_virtually(main());
    CHECK(end == common::time_point(2s));
    CHECK(sleeper->aborted());
    CHECK(sleeper->ended_at() == 1s);
}

TEST_CASE("a coroutine that has reset nothing sleeps on through partial and total cancellation")
{
    const auto type = GENERATE(cancellation_type::partial, cancellation_type::total);
    const auto main = [&]() -> awaitable<void> {
        side_task sleeper(co_await asio::this_coro::executor, common::sleep_for(2s));
        co_await common::sleep_for(1s);
        sleeper.cancel(type);
        co_await common::sleep_for(2s);
        CHECK(sleeper.ended());
        CHECK_FALSE(sleeper.failure());
        CHECK(sleeper.ended_at() == 2s);
    };
    tests::run_virtually(main());
}

TEST_CASE("a sleeper that is due and cancelled at the same instant has slept")
{
    const auto main = []() -> awaitable<void> {
        // This coroutine wakes first, and cancels the other, which is out of the queue by then.
        const auto executor = co_await asio::this_coro::executor;
        auto slept = false;
        const auto sleep = [&]() -> awaitable<void> {
            co_await common::sleep_until(common::time_point(1s));
            slept = true;
        };
        std::optional<side_task> sleeper;
        asio::post(executor, [&] { sleeper.emplace(executor, sleep()); });
        co_await common::sleep_until(common::time_point(1s));
        sleeper->cancel();
        co_await common::sleep_for(1s);
        CHECK(sleeper->ended_at() == 1s);
        CHECK(slept);
    };
    tests::run_virtually(main());
}

TEST_CASE("cancelling one of many sleepers leaves the others asleep")
{
    const auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        side_task first(executor, common::sleep_for(1s));
        side_task second(executor, common::sleep_for(1s));
        side_task third(executor, common::sleep_for(1s));
        co_await common::yield();
        second.cancel();
        co_await common::sleep_for(2s);
        CHECK(second.ended_at() == 0s);
        CHECK(first.ended_at() == 1s);
        CHECK(third.ended_at() == 1s);
        CHECK_FALSE(first.aborted());
        CHECK_FALSE(third.aborted());
    };
    tests::run_virtually(main());
}

TEST_CASE("sleepers on the steady clock wake when due, however others come, go and are cancelled")
{
    const auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        const auto start = common::now();
        std::optional<side_task> day(std::in_place, executor, common::sleep_for(24h));
        co_await common::yield();
        side_task earlier(executor, common::sleep_for(400ms));
        side_task earliest(executor, common::sleep_for(300ms));
        co_await common::yield();
        earliest.cancel();  // the first to be due is gone
        co_await common::sleep_for(330ms);
        CHECK(earliest.aborted());
        CHECK(common::now() - start >= 330ms);

        day->cancel();
        while (!day->ended()) {
            co_await common::yield();
        }
        day.reset();
        co_await common::sleep_for(100ms);
        CHECK(earlier.ended());
        CHECK_FALSE(earlier.aborted());
        CHECK(earlier.ended_at() >= 400ms);
    };
    common::run(main(), clock_mode::steady);
}

TEST_CASE("a sleep of nothing does not overtake a sleeper that is due")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        side_task sleeper(executor, tests::note_after(5ms, notes, "due"));
        co_await common::yield();
        co_await block_for(10ms);  // the loop has no chance to notice
        co_await common::sleep_for(0ms);
        notes.emplace_back("slept for nothing");
        CHECK(sleeper.ended());
    };
    common::run(main(), clock_mode::steady);
    CHECK(notes == trace{"due", "slept for nothing"});
}

TEST_CASE("a hundred thousand sleeps of a second end at once")
{
    const auto main = []() -> awaitable<void> {
        for (int second = 0; second < 100'000; ++second) {
            co_await common::sleep_for(1s);
        }
        CHECK(common::elapsed() == 100'000s);
    };
    tests::run_virtually(main());
}

TEST_CASE("the steady clock counts from the beginning of the run")
{
    const auto main = []() -> awaitable<void> {
        const auto begin = common::now() - common::elapsed();
        co_await common::sleep_for(5ms);
        CHECK(common::elapsed() >= 5ms);
        CHECK(begin + 5ms <= steady::now());
    };
    std::this_thread::sleep_for(5ms);
    const auto before = steady::now();
    common::run(main(), clock_mode::steady);
    CHECK(common::run(read_elapsed(), clock_mode::steady) <= steady::now() - before);
}

TEST_CASE("outside a run the clock is the steady one, from the beginning of the program")
{
    const auto before = steady::now();
    const auto read = common::now();
    CHECK(before <= read);
    CHECK(read <= steady::now());

    const auto elapsed = common::elapsed();
    CHECK(elapsed > 0s);
    std::this_thread::sleep_for(2ms);
    CHECK(common::elapsed() >= elapsed + 2ms);
}

TEST_CASE("after a run the clock is the steady one again")
{
    const auto before = common::elapsed();
    tests::run_virtually(common::sleep_for(24h * 365 * 100));
    const auto read = common::now();
    CHECK(read <= steady::now());
    CHECK(common::elapsed() >= before);
    CHECK(common::elapsed() < 24h * 365);

    common::duration in_thread{};
    std::thread([&] { in_thread = common::elapsed(); }).join();
    CHECK(in_thread >= before);
    CHECK(in_thread < 24h * 365);
}

TEST_CASE("another thread reads the clock of the run that is going on")
{
    const auto main = []() -> awaitable<void> {
        co_await common::sleep_for(3h);
        common::duration elapsed{};
        common::time_point now;
        std::thread([&] {
            elapsed = common::elapsed();
            now = common::now();
        }).join();
        CHECK(elapsed == 3h);
        CHECK(now == common::now());
    };
    tests::run_virtually(main());
}

TEST_CASE("another thread may read the clock while runs begin, time moves, and runs end")
{
    std::atomic<bool> stop = false;
    std::atomic<int> reads = 0;
    std::atomic<common::duration> least = common::duration::max();
    std::thread reader([&] {
        while (!stop) {
            least = std::min(least.load(), common::elapsed());
            ++reads;
        }
    });
    const auto main = []() -> awaitable<void> {
        for (int step = 0; step < 5; ++step) {
            co_await common::sleep_for(1us);
        }
    };
    for (int run = 0; run < 3000 || reads < 1000; ++run) {
        common::run(main(), run % 2 == 0 ? clock_mode::virtual_time : clock_mode::steady);
    }
    for (const int before = reads; reads < before + 1000;) {
        std::this_thread::yield();
    }
    stop = true;
    reader.join();
    CHECK(least.load() >= 0s);
}

TEST_CASE("two runs at once in two threads have a clock each")
{
    const auto main = [](common::duration step) -> awaitable<common::duration> {
        for (int turn = 0; turn < 1000; ++turn) {
            co_await common::sleep_for(step);
        }
        co_return common::elapsed();
    };
    const auto outer = [&]() -> awaitable<void> {
        co_await common::sleep_for(1s);
        common::duration other{};
        std::thread([&] { other = tests::run_virtually(main(1h)); }).join();
        CHECK(other == 1000h);
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(outer());

    common::duration first{};
    std::thread thread([&] { first = tests::run_virtually(main(1s)); });
    const auto second = tests::run_virtually(main(2s));
    thread.join();
    CHECK(first == 1000s);
    CHECK(second == 2000s);
}

TEST_CASE("on a plain io_context a sleep is on the steady clock")
{
    asio::io_context context;
    side_task sleeper(context.get_executor(), common::sleep_for(20ms));
    side_task by_deadline(context.get_executor(), common::sleep_until(common::now() + 20ms));
    const auto start = steady::now();
    context.run();
    CHECK(steady::now() - start >= 15ms);
    CHECK(sleeper.ended());
    CHECK(by_deadline.ended());
}

TEST_CASE("on a plain io_context a cancelled sleep throws operation_aborted")
{
    const auto type = tests::any_cancellation();
    asio::io_context context;
    side_task sleeper(context.get_executor(), sleep_cancellable(24h));
    context.poll();
    sleeper.cancel(type);
    context.run();
    CHECK(sleeper.aborted());
}

TEST_CASE("a plain io_context inside a virtual run is on the steady clock")
{
    const auto main = []() -> awaitable<void> {
        co_await common::sleep_for(1s);
        asio::io_context plain;
        side_task sleeper(plain.get_executor(), common::sleep_for(20ms));
        const auto start = steady::now();
        plain.run();
        CHECK(steady::now() - start >= 20ms);
        CHECK(sleeper.ended());
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("a thread pool's coroutine beside a virtual run sleeps on the steady clock")
{
    const auto main = []() -> awaitable<void> {
        const common::real_work hold;
        asio::thread_pool pool(1);
        const auto start = steady::now();
        auto sleeper = asio::co_spawn(pool, common::sleep_for(20ms), asio::deferred);
        co_await std::move(sleeper);
        CHECK(steady::now() - start >= 20ms);
        CHECK(common::elapsed() == 0s);
    };
    tests::run_virtually(main());
}

TEST_CASE("a strand of a virtual run is on virtual time")
{
    const auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        side_task on_strand(asio::make_strand(executor), common::sleep_for(24h));
        co_await common::sleep_for(48h);
        CHECK(on_strand.ended());
        CHECK(on_strand.ended_at() == 24h);
    };
    tests::run_virtually(main());
}

TEST_CASE("a sleep on a strand can be cancelled")
{
    const auto main = []() -> awaitable<void> {
        const auto strand = asio::make_strand(co_await asio::this_coro::executor);
        side_task on_strand(strand, common::sleep_for(24h));
        co_await common::sleep_for(1s);
        on_strand.cancel();
        co_await common::sleep_for(1s);
        CHECK(on_strand.aborted());
        CHECK(on_strand.ended_at() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("yield lets every coroutine run that is ready, in order")
{
    const auto mode = tests::any_mode();
    trace notes;
    const auto take_turns = [&](std::string_view name) -> awaitable<void> {
        for (int turn = 0; turn < 3; ++turn) {
            notes.emplace_back(name);
            co_await common::yield();
        }
    };
    const auto main = [&]() -> awaitable<void> {
        co_await (take_turns("a") && take_turns("b") && take_turns("c"));
    };
    common::run(main(), mode);
    CHECK(notes == trace{"a", "b", "c", "a", "b", "c", "a", "b", "c"});
}

TEST_CASE("a coroutine that is cancelled while it yields goes on to its next await")
{
    trace notes;
    const auto work = [&]() -> awaitable<void> {
        co_await common::yield();
        notes.emplace_back("yielded");
        co_await common::yield();
        notes.emplace_back("went on");
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, work());
        task.cancel();
        co_await common::sleep_for(1s);
        CHECK(task.aborted());
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"yielded"});
}

TEST_CASE("seconds_since measures by the clock of the run")
{
    const auto main = []() -> awaitable<void> {
        const auto start = common::now();
        co_await common::sleep_for(1500ms);
        CHECK(common::seconds_since(start) == 1.5);
        CHECK(common::seconds_since(common::now()) == 0.0);
    };
    tests::run_virtually(main());
}

TEST_CASE("virtual time waits while there is real work")
{
    const auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        side_task sleeper(executor, common::sleep_for(1h));
        asio::thread_pool pool(1);
        const auto start = steady::now();
        {
            const common::real_work hold;
            auto job = asio::co_spawn(pool, block_for(20ms), asio::deferred);
            co_await std::move(job);
            CHECK(steady::now() - start >= 20ms);
            CHECK(common::elapsed() == 0s);
            CHECK_FALSE(sleeper.ended());
        }
        co_await common::sleep_for(2h);
        CHECK(sleeper.ended_at() == 1h);
        CHECK(common::elapsed() == 2h);
    };
    tests::run_virtually(main());
}

TEST_CASE("virtual time waits for the last of several pieces of real work")
{
    const auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        side_task sleeper(executor, common::sleep_for(1h));
        asio::thread_pool pool(2);
        const auto work = [&](std::chrono::milliseconds pause) -> awaitable<void> {
            const common::real_work hold;
            auto job = asio::co_spawn(pool, block_for(pause), asio::deferred);
            co_await std::move(job);
            CHECK(common::elapsed() == 0s);
        };
        co_await (work(5ms) && work(30ms) && work(15ms));
        CHECK(common::elapsed() == 0s);
        CHECK_FALSE(sleeper.ended());
        co_await common::sleep_for(1h);
        CHECK(sleeper.ended_at() == 1h);
    };
    tests::run_virtually(main());
}

TEST_CASE("virtual time waits for real work that ends within its patience")
{
    const auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        side_task sleeper(executor, common::sleep_for(1h));
        asio::thread_pool pool(1);
        {
            const common::real_work hold(10min);
            const common::real_work less(1ms);  // the most patient one counts
            auto job = asio::co_spawn(pool, block_for(20ms), asio::deferred);
            co_await std::move(job);
            CHECK(common::elapsed() == 0s);
            CHECK_FALSE(sleeper.ended());
        }
        co_await common::sleep_for(2h);
        CHECK(sleeper.ended_at() == 1h);
    };
    tests::run_virtually(main());
}

TEST_CASE("virtual time moves on when nothing happens within the patience of real work")
{
    const auto main = []() -> awaitable<void> {
        const common::real_work hold(20ms);
        const auto start = steady::now();
        co_await common::sleep_for(1h);
        CHECK(steady::now() - start >= 20ms);
        CHECK(common::elapsed() == 1h);
        co_await common::sleep_for(1h);
        CHECK(steady::now() - start >= 40ms);
        CHECK(common::elapsed() == 2h);
    };
    tests::run_virtually(main());
}

TEST_CASE("real work holds its own run only, and nothing outside a run or on the steady clock")
{
    const common::real_work outside;
    const auto hold_and_sleep = []() -> awaitable<void> {
        const common::real_work hold;
        co_await common::sleep_for(1ms);
    };
    common::run(hold_and_sleep(), clock_mode::steady);

    const auto nested = []() -> awaitable<void> {
        const common::real_work hold;
        tests::run_virtually(common::sleep_for(24h));
        CHECK(common::elapsed() == 0s);
        co_return;
    };
    tests::run_virtually(nested());
}

TEST_CASE("a raw steady_timer waits for real in a virtual run")
{
    const auto main = []() -> awaitable<void> {
        const auto start = steady::now();
        asio::steady_timer timer(co_await asio::this_coro::executor, 20ms);
        co_await timer.async_wait(asio::deferred);
        CHECK(steady::now() - start >= 20ms);
        CHECK(common::elapsed() == 0s);
    };
    tests::run_virtually(main());
}

TEST_CASE("virtual time moves on while a coroutine waits for input")
{
    namespace local = asio::local;
    char received = 0;
    const auto receive = [&](local::stream_protocol::socket socket) -> awaitable<void> {
        auto read = asio::async_read(socket, asio::buffer(&received, 1), asio::deferred);
        co_await std::move(read);
    };
    const auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        local::stream_protocol::socket near(executor);
        local::stream_protocol::socket far(executor);
        local::connect_pair(near, far);
        side_task receiver(executor, receive(std::move(far)));
        co_await common::sleep_for(24h);
        CHECK_FALSE(receiver.ended());

        const char sent = 'x';
        asio::write(near, asio::buffer(&sent, 1));
        const common::real_work hold;
        while (!receiver.ended()) {
            co_await common::yield();
        }
        CHECK(common::elapsed() == 24h);
    };
    tests::run_virtually(main());
    CHECK(received == 'x');
}

TEST_CASE("an event loop destroyed with sleepers destroys them and wakes none")
{
    trace notes;
    const auto sleep = [&](std::string_view name) -> awaitable<void> {
        const tests::last_words words(notes, name);
        co_await common::sleep_for(24h);
        notes.emplace_back("woke");
    };
    const auto main = [&]() -> awaitable<void> { co_await (sleep("slept") && sleep("slept")); };
    SECTION("virtual")
    {
        tests::abandon(main(), clock_mode::virtual_time);
    }
    SECTION("steady")
    {
        tests::abandon(main(), clock_mode::steady);
    }
    SECTION("plain io_context")
    {
        tests::abandon(main());
    }
    CHECK(notes == trace{"slept", "slept"});
}

TEST_CASE("a sleeper can be destroyed between its waking and its turn")
{
    trace notes;
    const auto sleep = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "slept");
        co_await common::sleep_until(common::time_point(1s));
        notes.emplace_back("woke");
    };
    const auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        asio::post(executor, [&, executor] { asio::co_spawn(executor, sleep(), asio::detached); });
        co_await common::sleep_until(common::time_point(1s));
        throw tests::given_up();
    };
    CHECK_THROWS_AS(tests::run_virtually(main()), tests::given_up);
    CHECK(notes == trace{"slept"});
}

TEST_CASE("a cancellation signal may die before the event loop of the sleeper bound to it")
{
    const auto mode = tests::any_mode();
    trace notes;
    const auto sleep = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "slept");
        co_await common::sleep_for(24h);
    };
    const auto main = [&]() -> awaitable<void> {
        side_task sleeper(co_await asio::this_coro::executor, sleep());
        co_await common::yield();
        throw tests::given_up();  // takes the signal along, the sleeper still sleeps
    };
    CHECK_THROWS_AS(common::run(main(), mode), tests::given_up);
    CHECK(notes == trace{"slept"});
}
