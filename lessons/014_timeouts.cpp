// 014 · Timeouts, cancellation, and leaving in good order
//
// Idea     A deadline asks work to stop. What the work makes of that is its own decision.
// asyncio  `async with asyncio.timeout(0.1)`, `task.cancel()`, `asyncio.shield(work())`
// Before   013_subprocess.cpp
// Run      ./learn run 14
// Read     docs/progression.md, lesson 014, beside this file

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/log.hpp"
#include "common/queue.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <csignal>
#include <exception>
#include <random>
#include <utility>

namespace asio = boost::asio;
using asio::awaitable;
using boost::system::system_error;
using namespace asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

// Each step gets what those before it have left. with_timeout cancels the step that takes longer,
// waits until it has ended, and then throws.
awaitable<void> one_deadline()
{
    common::section("One deadline, three steps");
    const auto deadline = common::now() + 250ms;
    try {
        auto takes = 50ms;
        for (int step = 1; step <= 3; ++step, takes *= 2) {
            co_await common::with_timeout(deadline - common::now(), common::sleep_for(takes));
            common::log("courier", "step {} is done", step);
        }
    } catch (const common::timeout_error& late) {
        common::log("courier", "{}", late.what());
    }
}

// A cancellation is an exception in the await where the coroutine is suspended, and then in every
// further one, until the coroutine resets its cancellation state. Cleanup that awaits does that
// first. It stands after the catch block, in which co_await is not allowed.
awaitable<void> tour()
{
    auto where = "on the road";
    std::exception_ptr cancelled;
    try {
        co_await common::sleep_for(100ms);
        where = "at the door";
        co_await common::sleep_for(200ms);
        common::log("courier", "has delivered");
    } catch (const system_error&) {
        common::log("courier", "is called back {}", where);
        cancelled = std::current_exception();
    }
    if (cancelled) {
        co_await asio::this_coro::reset_cancellation_state();
        co_await common::sleep_for(50ms);
        common::log("courier", "has brought the parcel back");
        std::rethrow_exception(cancelled);  // there was no delivery, and who asked is told so
    }
}

awaitable<void> by_hand()
{
    common::section("Cancelled by hand");
    asio::cancellation_signal call_back;
    common::event ended;
    const auto report = [&ended](std::exception_ptr failure) {
        common::log("depot", "the tour {}", failure ? "was cancelled" : "is done");
        ended.set();
    };
    asio::co_spawn(
        co_await asio::this_coro::executor, tour(),
        asio::bind_cancellation_slot(call_back.slot(), report));
    co_await common::sleep_for(150ms);
    call_back.emit(asio::cancellation_type::terminal);
    co_await ended.wait();  // until then the tour refers to call_back
}

// What must not be left half done runs as a coroutine of its own, with a cancellation slot to which
// nobody emits. The caller hears nothing meanwhile; had it one more await, that would throw.
awaitable<void> tour_to_the_end()
{
    auto shielded = asio::co_spawn(
        co_await asio::this_coro::executor, tour(),
        asio::bind_cancellation_slot(asio::cancellation_slot(), asio::deferred));
    co_await std::move(shielded);
}

// Brings an order every 0.10 s, as long as the kitchen takes them.
awaitable<void> waiter(common::queue<int>& orders, const bool& open)
{
    int order = 1;
    while (open) {
        co_await orders.put(order++);
        co_await common::sleep_for(100ms);
    }
    common::log("waiter", "finds the kitchen closed");
}

awaitable<void> cook(common::queue<int>& orders, common::duration pace)
{
    while (true) {
        const int order = co_await orders.get();
        co_await common::sleep_for(pace);
        common::log("cook", "order {} is ready", order);
        orders.task_done();
    }
}

// Completes at Ctrl-C, or at what `kill PID` sends.
awaitable<void> signalled(asio::signal_set& signals)
{
    const int number = co_await signals.async_wait(asio::deferred);
    common::log("kitchen", "hears {}", number == SIGINT ? "SIGINT" : "SIGTERM");
}

// At the first signal nothing more is taken. What was taken is finished, unless a second signal or
// the deadline comes first. Then the group cancels who is left, and the destructors run.
awaitable<void> kitchen(common::duration pace)
{
    asio::signal_set signals(co_await asio::this_coro::executor, SIGINT, SIGTERM);
    common::queue<int> orders;
    bool open = true;
    const auto evening = [&](common::task_group& staff) -> awaitable<void> {
        staff.spawn(waiter(orders, open));
        staff.spawn(cook(orders, pace));
        co_await signalled(signals);
        open = false;
        co_await (orders.join() || signalled(signals) || common::sleep_for(250ms));
        common::log("kitchen", "locks up");
        staff.cancel();
    };
    co_await common::with_task_group(evening);
}

// What Ctrl-C and `kill PID` do, this does to its own program.
awaitable<void> send(int number, int times)
{
    for (int sent = 0; sent < times; ++sent) {
        co_await common::sleep_for(120ms);
        std::raise(number);
    }
}

// The pauses double, because who is overloaded needs fewer calls. Half of each is left to chance,
// so that those who failed together do not come back together. A cancellation is no failure to try
// again after: the caller does not want the answer any more.
awaitable<void> call_until_answered(std::minstd_rand chance)
{
    auto longest = 20ms;
    for (int call = 1;; ++call, longest *= 2) {
        try {
            co_await common::sleep_for(60ms);
            if (call <= 3) {
                throw system_error(asio::error::connection_refused);
            }
            common::log("caller", "call {} is answered", call);
            co_return;
        } catch (const system_error& failure) {
            if (failure.code() == asio::error::operation_aborted) {
                throw;
            }
        }
        std::uniform_int_distribution between(longest.count() / 2, longest.count());
        const std::chrono::milliseconds pause(between(chance));
        common::log("caller", "call {} fails; waits {} ms", call, pause.count());
        co_await common::sleep_for(pause);
    }
}

awaitable<void> retries()
{
    common::section("Again, and later each time");
    co_await call_until_answered(std::minstd_rand(30'000));
    try {
        co_await common::with_timeout(10ms, call_until_answered(std::minstd_rand(40'000)));
    } catch (const common::timeout_error&) {
        common::log("caller", "hangs up");
    }
}

// Pitfall: catch (...) takes a cancellation for one more failure. The loop goes on, each await in
// it throws at once, and in the end there is a result: nobody learns that time was up.
awaitable<void> ring_at_every_door()
{
    for (int door = 1; door <= 4; ++door) {
        try {
            co_await common::sleep_for(100ms);
            common::log("postman", "door {} opens", door);
        } catch (...) {
            common::log("postman", "nobody at door {}", door);
        }
    }
}

awaitable<void> day()
{
    co_await one_deadline();
    co_await by_hand();
    common::section("Work that is shielded");
    co_await common::with_timeout(50ms, tour_to_the_end());
    common::log("depot", "late, but it counts");
    common::section("SIGTERM: finish what was taken, and leave");
    co_await (kitchen(150ms) && send(SIGTERM, 1));
    common::section("SIGTERM, with more to do than there is time");
    co_await (kitchen(250ms) && send(SIGTERM, 1));
    common::section("SIGINT twice: leave at once");
    co_await (kitchen(180ms) && send(SIGINT, 2));
    co_await retries();
    common::section("A cancellation that is swallowed");
    co_await common::with_timeout(120ms, ring_at_every_door());
    common::log("depot", "thinks that the postman was at every door");
}

}  // namespace

int main()
{
    common::run(day());
}
