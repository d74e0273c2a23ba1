// 005 · Tasks: starting now, collecting later
//
// Idea     co_spawn starts a coroutine beside its caller; a token says who gets the result.
// asyncio  `task = asyncio.create_task(bake())`, `task.cancel()`, `asyncio.TaskGroup`
// Before   004_exception_handling.cpp
// Run      ./learn run 5
// Read     docs/progression.md, lesson 005, beside this file

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/promise.hpp>
#include <boost/asio/experimental/use_promise.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <exception>
#include <future>
#include <stdexcept>
#include <string>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace {

// Says when it starts, and when it has ended or is cancelled. It rethrows the exception that tells
// it: a coroutine that is cancelled has no result to give.
awaitable<int> bake(std::string what, int loaves)
{
    common::log(what, "in the oven");
    try {
        co_await common::sleep_for(100ms);
    } catch (const boost::system::system_error&) {
        common::log(what, "taken out half done");
        throw;
    }
    common::log(what, "baked");
    co_return loaves;
}

// detached gives the result to nobody. That suits work whose end and failure are of no interest.
awaitable<void> play_a_tune()
{
    co_await common::sleep_for(50ms);
    common::log("radio", "ends its tune");
}

// co_spawn does not wait: what it starts and this coroutine go on side by side. A handler gets what
// the coroutine threw, or its result.
//
// Pitfall: asyncio's create_task only schedules the task, which begins once its creator suspends.
// Here it begins inside co_spawn, and runs to its first suspension before co_spawn returns.
awaitable<void> with_a_handler()
{
    common::section("A handler is told; with detached, nobody is");
    const auto executor = co_await asio::this_coro::executor;
    asio::co_spawn(executor, play_a_tune(), asio::detached);  // ends by itself, and cannot fail
    common::log("baker", "spawns the rye");
    asio::co_spawn(executor, bake("rye", 3), [](std::exception_ptr failure, int loaves) {
        common::log("handler", "{} loaves, failed is {}", loaves, failure != nullptr);
    });
    common::log("baker", "goes on while the rye is baking");
    co_await common::sleep_for(200ms);
}

// A promise is the nearest thing to asyncio's task: it is there while the work goes on, and is
// awaited when the result is wanted. Pitfall: it owns its coroutine, and cancels it when it goes
// out of scope.
awaitable<void> with_a_promise()
{
    common::section("A promise is awaited later, or dropped");
    const auto executor = co_await asio::this_coro::executor;
    auto spelt = asio::co_spawn(executor, bake("spelt", 4), asio::experimental::use_promise);
    {
        const auto dropped =
            asio::co_spawn(executor, bake("brioche", 5), asio::experimental::use_promise);
        co_await common::sleep_for(50ms);
        common::log(
            "baker", "lets go of the brioche, the spelt completed is {}", spelt.completed());
    }
    const int loaves = co_await spelt(asio::deferred);
    common::log("baker", "awaited the spelt: {} loaves", loaves);
}

// A std::future is how ordinary code gets the result, on another thread as a rule. get() blocks, so
// on the loop's own thread it may be called only when the result is there: it would wait for a loop
// that it keeps from running.
awaitable<void> with_a_future()
{
    common::section("A future is for ordinary code");
    const auto executor = co_await asio::this_coro::executor;
    std::future<int> barley = asio::co_spawn(executor, bake("barley", 6), asio::use_future);
    const bool at_once = barley.wait_for(0s) == std::future_status::ready;
    co_await common::sleep_for(200ms);
    const bool later = barley.wait_for(0s) == std::future_status::ready;
    common::log("baker", "ready at once is {}, ready later is {}", at_once, later);
    common::log("baker", "{} loaves from get()", barley.get());
}

// Cancelling by hand takes a signal, and a slot of it bound to the handler. emit() asks; the
// coroutine finds out at its co_await, as an exception, and the handler is told. Pitfall: the slot
// points into the signal, so `stop` must outlive the coroutine. This one awaits nothing more once
// it is cancelled.
awaitable<void> cancel_by_hand()
{
    common::section("A signal cancels");
    const auto executor = co_await asio::this_coro::executor;
    asio::cancellation_signal stop;
    const auto handler = [](std::exception_ptr failure, int) {
        common::log("handler", "ended with an exception is {}", failure != nullptr);
    };
    asio::co_spawn(
        executor, bake("bagels", 12), asio::bind_cancellation_slot(stop.slot(), handler));
    co_await common::sleep_for(50ms);
    common::log("baker", "wants the oven back");
    stop.emit(asio::cancellation_type::terminal);
    co_await common::yield();
}

awaitable<void> deliver(std::string street)
{
    common::log(street, "is on the way");
    co_await common::sleep_for(100ms);
    common::log(street, "delivered");
}

awaitable<void> break_down(std::string street)
{
    co_await common::sleep_for(50ms);
    throw std::runtime_error("no petrol in " + street);
}

// A task group ends when every task in it has. So nothing outlives the call, and no result is lost.
// The first failure cancels the other tasks, and what they threw comes out together.
awaitable<void> structured()
{
    common::section("A group ends when all its tasks have");
    co_await common::with_task_group([](common::task_group& van) -> awaitable<void> {
        van.spawn(deliver("Mill Lane"));
        van.spawn(deliver("High Street"));
        common::log("van", "both are spawned");
        co_return;
    });
    common::log("baker", "both are delivered");

    common::section("A group's errors come as a group");
    try {
        co_await common::with_task_group([](common::task_group& van) -> awaitable<void> {
            van.spawn(deliver("Mill Lane"));
            van.spawn(break_down("High Street"));
            co_return;
        });
    } catch (const common::exception_group& failures) {
        common::log("baker", "{}", failures.what());
    }
}

awaitable<void> bakery()
{
    co_await with_a_handler();
    co_await with_a_promise();
    co_await with_a_future();
    co_await cancel_by_hand();
    co_await structured();
}

}  // namespace

int main()
{
    common::run(bakery());
}
