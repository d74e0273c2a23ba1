// 009 · One signal that wakes many
//
// Idea     An event is set or not. Who waits for it waits until it is, and all go on together.
// asyncio  `ready = asyncio.Event()`, `await ready.wait()`, `ready.set()`
// Before   008_queue.cpp
// Run      ./learn run 9
// Read     docs/progression.md, lesson 009, beside this file

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/run.hpp"
#include "common/timeout.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

// With Asio alone, one waits on a timer that never expires, and whoever has the news cancels it.
// The error that the wait ends with is the news.
awaitable<void> wait_on_a_timer(asio::steady_timer& news, std::string who)
{
    co_await news.async_wait(asio::as_tuple(asio::deferred));
    common::log(who, "has the news");
}

awaitable<void> cancel_the_timer(asio::steady_timer& news)
{
    co_await common::sleep_for(100ms);
    const auto woken = news.cancel();
    common::log("herald", "cancels the timer, and wakes {}", woken);
}

awaitable<void> a_timer_as_an_event()
{
    common::section("A timer, cancelled");
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer news(executor, asio::steady_timer::time_point::max());
    co_await (
        wait_on_a_timer(news, "Ada") && wait_on_a_timer(news, "Bob") && cancel_the_timer(news));
}

// Pitfall: cancel() is not remembered. Called while nobody waits, it wakes nobody, and whoever
// comes later waits for ever. with_timeout puts an end to it here.
awaitable<void> a_signal_too_early()
{
    common::section("A timer that is cancelled too early");
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer news(executor, asio::steady_timer::time_point::max());
    const auto woken = news.cancel();
    common::log("herald", "cancels the timer, and wakes {}", woken);
    const auto wait = [&news]() -> awaitable<void> { co_await news.async_wait(asio::deferred); };
    try {
        co_await common::with_timeout(100ms, wait());
    } catch (const common::timeout_error&) {
        common::log("Ada", "has waited in vain");
    }
}

awaitable<void> wait_for(common::event& opening, std::string who)
{
    co_await opening.wait();
    common::log(who, "goes in");
}

awaitable<void> open(common::event& opening)
{
    co_await common::sleep_for(100ms);
    common::log("porter", "opens the gate");
    opening.set();
    common::log("porter", "goes on, before anybody has moved");
}

// One set() wakes all who wait, in the order in which they came. None of them runs inside of it.
awaitable<void> one_wakes_many()
{
    common::section("One event wakes all who wait");
    common::event opening;
    std::vector<awaitable<void>> scene;
    scene.push_back(wait_for(opening, "Ada"));
    scene.push_back(wait_for(opening, "Bob"));
    scene.push_back(wait_for(opening, "Cleo"));
    scene.push_back(open(opening));
    co_await common::gather(std::move(scene));
}

// An event remembers. Whoever comes when it is set does not wait at all.
awaitable<void> set_before_the_wait()
{
    common::section("Set before the wait");
    common::event opening;
    opening.set();
    co_await wait_for(opening, "Dora");
}

// Something to use it for: work that can be paused. While the event is clear, the worker waits in
// front of its next piece of work.
awaitable<void> work(common::event& may_work)
{
    for (int piece = 1; piece <= 4; ++piece) {
        co_await may_work.wait();
        common::log("worker", "does piece {}", piece);
        co_await common::sleep_for(50ms);
    }
}

awaitable<void> supervise(common::event& may_work)
{
    co_await common::sleep_for(80ms);
    common::log("foreman", "clear(): stop after this one");
    may_work.clear();
    co_await common::sleep_for(100ms);
    common::log("foreman", "set(): go on");
    may_work.set();
}

awaitable<void> pause_and_go_on()
{
    common::section("Cleared, and set again");
    common::event may_work;
    may_work.set();
    co_await (work(may_work) && supervise(may_work));
}

awaitable<void> castle()
{
    co_await a_timer_as_an_event();
    co_await a_signal_too_early();
    co_await one_wakes_many();
    co_await set_before_the_wait();
    co_await pause_and_go_on();
}

}  // namespace

int main()
{
    common::run(castle());
}
