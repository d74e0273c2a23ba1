#include "common/run.hpp"

#include "common/clock.hpp"
#include "tests/common/helpers.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <memory>
#include <thread>

namespace asio = boost::asio;
using common::clock_mode;
using tests::awaitable;
using namespace std::chrono_literals;

namespace {

struct no_default {
    explicit no_default(int number) : value(number) {}
    int value;
};

awaitable<no_default> make_no_default()
{
    co_return no_default(7);
}

awaitable<std::unique_ptr<int>> make_move_only()
{
    co_await common::yield();
    co_return std::make_unique<int>(8);
}

awaitable<std::thread::id> thread_of_run()
{
    co_await common::sleep_for(1ms);
    co_return std::this_thread::get_id();
}

// Keeps LESSON_CLOCK at a value, and leaves it unset.
class clock_variable {
public:
    explicit clock_variable(const char* value) { ::setenv("LESSON_CLOCK", value, 1); }
    ~clock_variable() { ::unsetenv("LESSON_CLOCK"); }
    clock_variable(const clock_variable&) = delete;
    clock_variable& operator=(const clock_variable&) = delete;
};

}  // namespace

TEST_CASE("run gives the result of main")
{
    CHECK(common::run(tests::value_after(1ms, 42), tests::any_mode()) == 42);
}

TEST_CASE("run runs a main without a result")
{
    const auto mode = tests::any_mode();
    bool done = false;
    const auto main = [&]() -> awaitable<void> {
        co_await common::sleep_for(1ms);
        done = true;
    };
    common::run(main(), mode);
    CHECK(done);
}

TEST_CASE("a result of run needs no default constructor")
{
    CHECK(common::run(make_no_default(), tests::any_mode()).value == 7);
}

TEST_CASE("a result of run need not be copyable")
{
    CHECK(*common::run(make_move_only(), tests::any_mode()) == 8);
}

TEST_CASE("an exception that leaves main comes out of run")
{
    const auto mode = tests::any_mode();
    CHECK_THROWS_AS(common::run(tests::fail_at_once("broken"), mode), std::runtime_error);
    CHECK_THROWS_AS(common::run(tests::fail_after(1ms, "broken"), mode), std::runtime_error);
}

TEST_CASE("an exception of a completion handler comes out of run")
{
    const auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        asio::post(executor, [] { throw tests::given_up(); });
        co_await common::sleep_for(24h);
    };
    CHECK_THROWS_AS(common::run(main(), tests::any_mode()), tests::given_up);
}

TEST_CASE("run waits for what main has spawned")
{
    const auto mode = tests::any_mode();
    tests::trace notes;
    const auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        asio::co_spawn(executor, tests::note_after(3ms, notes, "spawned"), asio::detached);
        notes.emplace_back("main");
    };
    common::run(main(), mode);
    CHECK(notes == tests::trace{"main", "spawned"});
}

TEST_CASE("run waits for a coroutine that another thread will resume")
{
    const auto mode = tests::any_mode();
    asio::thread_pool pool(1);
    bool resumed = false;
    const auto wait_for_pool = [&]() -> awaitable<void> {
        auto job = asio::post(asio::bind_executor(pool, asio::deferred));
        co_await std::move(job);
        std::this_thread::sleep_for(10ms);
        co_await common::yield();  // back on the run's thread
        pool.join();  // its thread may still be in the call that posted to the run's io_context
        resumed = true;
    };
    const auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        asio::co_spawn(executor, wait_for_pool(), asio::detached);
    };
    common::run(main(), mode);
    CHECK(resumed);
}

TEST_CASE("run runs on the calling thread")
{
    CHECK(common::run(thread_of_run(), tests::any_mode()) == std::this_thread::get_id());
}

TEST_CASE("a failed run destroys what was suspended, and resumes none of it")
{
    const auto mode = tests::any_mode();
    tests::trace notes;
    const auto sleeper = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "destroyed");
        co_await common::sleep_for(24h);
        notes.emplace_back("resumed");
    };
    const auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        asio::co_spawn(executor, sleeper(), asio::detached);
        co_await common::yield();
        throw tests::given_up();
    };
    CHECK_THROWS_AS(common::run(main(), mode), tests::given_up);
    CHECK(notes == tests::trace{"destroyed"});
}

TEST_CASE("a failed run destroys what waits on a strand")
{
    const auto mode = tests::any_mode();
    tests::trace notes;
    const auto sleeper = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "destroyed");
        co_await common::sleep_for(24h);
    };
    const auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        asio::co_spawn(asio::make_strand(executor), sleeper(), asio::detached);
    };
    tests::abandon(main(), mode);
    CHECK(notes == tests::trace{"destroyed"});
}

TEST_CASE("a coroutine that a failed run destroys can still read the clock and end real work")
{
    struct reader {
        common::real_work work;
        common::duration& read;
        ~reader() { read = common::elapsed(); }
    };
    common::duration read{};
    const auto sleeper = [&]() -> awaitable<void> {
        const reader local{{}, read};
        co_await common::sleep_for(24h);
    };
    const auto main = [&]() -> awaitable<void> {
        co_await common::sleep_for(2s);
        const auto executor = co_await asio::this_coro::executor;
        asio::co_spawn(executor, sleeper(), asio::detached);
    };
    const auto fail = [&]() -> awaitable<void> {
        co_await main();
        co_await common::yield();
        throw tests::given_up();
    };
    CHECK_THROWS_AS(tests::run_virtually(fail()), tests::given_up);
    CHECK(read == 2s);
}

TEST_CASE("each run begins at time zero")
{
    const auto main = []() -> awaitable<common::duration> {
        const auto begin = common::elapsed();
        co_await common::sleep_for(1h);
        co_return begin;
    };
    CHECK(tests::run_virtually(main()) == 0s);
    CHECK(tests::run_virtually(main()) == 0s);
}

TEST_CASE("a run inside a run has its own clock, and then the outer one goes on")
{
    const auto main = []() -> awaitable<void> {
        co_await common::sleep_for(1s);
        const auto before = common::now();
        CHECK(tests::run_virtually(tests::value_after(1h, 5)) == 5);
        CHECK(common::now() == before);

        const auto real_start = std::chrono::steady_clock::now();
        CHECK(common::run(tests::value_after(5ms, 6), clock_mode::steady) == 6);
        CHECK(std::chrono::steady_clock::now() - real_start >= 5ms);
        CHECK(common::elapsed() == 1s);

        co_await common::sleep_for(1s);
        CHECK(common::elapsed() == 2s);
    };
    tests::run_virtually(main());
}

TEST_CASE("a run inside a run that fails leaves the outer one its clock")
{
    const auto main = []() -> awaitable<void> {
        co_await common::sleep_for(1s);
        CHECK_THROWS_AS(tests::run_virtually(tests::fail_after(1h, "broken")), std::runtime_error);
        co_await common::sleep_for(1s);
        CHECK(common::elapsed() == 2s);
    };
    tests::run_virtually(main());
}

TEST_CASE("without a mode, run takes the clock that LESSON_CLOCK names")
{
    const auto main = []() -> awaitable<common::duration> {
        co_await common::sleep_for(24h);
        co_return common::elapsed();
    };
    const clock_variable variable("virtual");
    CHECK(common::run(main()) == 24h);
}

TEST_CASE("without LESSON_CLOCK, run is on the steady clock")
{
    const clock_variable variable("");
    const auto start = std::chrono::steady_clock::now();
    CHECK(common::run(tests::value_after(10ms, 1)) == 1);
    CHECK(std::chrono::steady_clock::now() - start >= 10ms);
}
