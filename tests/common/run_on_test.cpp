#include "common/run_on.hpp"

#include "tests/common/helpers.hpp"

#include <boost/asio/thread_pool.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

using boost::asio::awaitable;
using common::run_on;
using tests::any_cancellation;
using tests::side_task;

namespace asio = boost::asio;

namespace {

awaitable<std::thread::id> thread_after_an_await()
{
    co_await common::yield();
    co_return std::this_thread::get_id();
}

awaitable<std::unique_ptr<std::string>> letter()
{
    co_return std::make_unique<std::string>("from the pool");
}

// Blocks its thread until it may end, and then awaits twice: a cancellation could arrive at the
// first, and the second would throw.
awaitable<int> work(std::promise<void>& begun, std::shared_future<void> may_end)
{
    begun.set_value();
    may_end.wait();
    co_await common::yield();
    co_await common::yield();
    co_return 42;
}

}  // namespace

TEST_CASE("run_on runs the work on the pool, and comes back to the caller's thread")
{
    asio::thread_pool pool(2);
    const auto here = std::this_thread::get_id();
    const auto main = [&]() -> awaitable<void> {
        const auto there = co_await run_on(pool.get_executor(), thread_after_an_await());
        CHECK(there != here);
        CHECK(std::this_thread::get_id() == here);
        co_await common::yield();
        CHECK(std::this_thread::get_id() == here);
    };
    common::run(main(), common::clock_mode::steady);
}

TEST_CASE("run_on gives a result that can only be moved, and what the work throws")
{
    asio::thread_pool pool(1);
    const auto main = [&]() -> awaitable<void> {
        const auto written = co_await run_on(pool.get_executor(), letter());
        CHECK(*written == "from the pool");

        std::string message;
        try {
            co_await run_on(pool.get_executor(), tests::fail_at_once("out of paper"));
        } catch (const std::runtime_error& failure) {
            message = failure.what();
        }
        CHECK(message == "out of paper");
    };
    common::run(main(), common::clock_mode::steady);
}

TEST_CASE("run_on leaves the loop free while the work blocks its thread")
{
    asio::thread_pool pool(1);
    std::promise<void> begun;
    std::promise<void> may_end;
    int result = 0;
    const auto wait_for_work = [&]() -> awaitable<void> {
        result = co_await run_on(pool.get_executor(), work(begun, may_end.get_future().share()));
    };
    const auto main = [&]() -> awaitable<void> {
        const side_task waiting(co_await asio::this_coro::executor, wait_for_work());
        begun.get_future().wait();
        co_await common::sleep_for(std::chrono::milliseconds(1));
        CHECK_FALSE(waiting.ended());
        may_end.set_value();  // if the loop were blocked, this would never come
        while (!waiting.ended()) {
            co_await common::sleep_for(std::chrono::milliseconds(1));
        }
        CHECK(result == 42);
    };
    common::run(main(), common::clock_mode::steady);
}

TEST_CASE("run_on: cancelling the caller does not reach the work, whose result is the result")
{
    const auto type = any_cancellation();
    asio::thread_pool pool(1);
    std::promise<void> begun;
    std::promise<void> may_end;
    int result = 0;
    bool went_on = false;
    const auto wait_for_work = [&]() -> awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        result = co_await run_on(pool.get_executor(), work(begun, may_end.get_future().share()));
        co_await common::yield();
        went_on = true;
    };
    const auto main = [&]() -> awaitable<void> {
        side_task waiting(co_await asio::this_coro::executor, wait_for_work());
        begun.get_future().wait();
        waiting.cancel(type);
        co_await common::sleep_for(std::chrono::milliseconds(1));
        CHECK_FALSE(waiting.ended());
        may_end.set_value();
        while (!waiting.ended()) {
            co_await common::sleep_for(std::chrono::milliseconds(1));
        }
        CHECK(result == 42);
        CHECK(waiting.aborted());
        CHECK_FALSE(went_on);
    };
    common::run(main(), common::clock_mode::steady);
}

TEST_CASE("run_on: the work of a caller that was cancelled before never begins")
{
    asio::thread_pool pool(1);
    std::promise<void> begun;
    std::promise<void> may_end;
    may_end.set_value();
    const auto wait_for_work = [&]() -> awaitable<void> {
        co_await common::yield();  // hears nothing of the cancellation that comes meanwhile
        (void)co_await run_on(pool.get_executor(), work(begun, may_end.get_future().share()));
    };
    const auto main = [&]() -> awaitable<void> {
        side_task waiting(co_await asio::this_coro::executor, wait_for_work());
        waiting.cancel();
        while (!waiting.ended()) {
            co_await common::sleep_for(std::chrono::milliseconds(1));
        }
        CHECK(waiting.aborted());
    };
    common::run(main(), common::clock_mode::steady);
    pool.join();
    CHECK(begun.get_future().wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
}
