// Event, condition variable and barrier. What Asio offers for the three is a timer that never
// expires: who waits, waits for it, and whoever has the news cancels it.

#include "bench.hpp"

#include "common/barrier.hpp"
#include "common/clock.hpp"
#include "common/condition_variable.hpp"
#include "common/event.hpp"
#include "common/mutex.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

namespace asio = boost::asio;
using boost::asio::awaitable;

namespace bench {

namespace {

// --- event: one sets it, the others wait; counted is each that is woken

template <inside Inside>
awaitable<void> wait_for_event(rounds& left, common::event& news)
{
    while (!left.over()) {
        co_await news.wait();
        if constexpr (Inside == inside::a_yield) {
            co_await common::yield();
        }
    }
}

// All whom it has woken wait again after a turn or, where they yield, after two.
template <inside Inside>
awaitable<void> set_event(rounds& left, std::size_t waiters, common::event& news)
{
    for (bool more = true; more;) {
        more = left.next(waiters);
        news.set();
        news.clear();
        co_await common::yield();
        if constexpr (Inside == inside::a_yield) {
            co_await common::yield();
        }
    }
}

template <inside Inside>
awaitable<void> event(rounds& left, std::size_t coroutines)
{
    common::event news;
    auto all = copies(coroutines - 1, [&] { return wait_for_event<Inside>(left, news); });
    all.push_back(set_event<Inside>(left, coroutines - 1, news));
    co_await together(std::move(all));
}

template <inside Inside>
awaitable<void> wait_for_timer(rounds& left, asio::steady_timer& news)
{
    while (!left.over()) {
        co_await news.async_wait(asio::as_tuple(asio::deferred));
        if constexpr (Inside == inside::a_yield) {
            co_await asio::post(asio::deferred);
        }
    }
}

template <inside Inside>
awaitable<void> cancel_timer(rounds& left, std::size_t waiters, asio::steady_timer& news)
{
    for (bool more = true; more;) {
        more = left.next(waiters);
        news.cancel();
        co_await asio::post(asio::deferred);
        if constexpr (Inside == inside::a_yield) {
            co_await asio::post(asio::deferred);
        }
    }
}

template <inside Inside>
awaitable<void> timer_as_event(rounds& left, std::size_t coroutines)
{
    asio::steady_timer news(
        co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    auto all = copies(coroutines - 1, [&] { return wait_for_timer<Inside>(left, news); });
    all.push_back(cancel_timer<Inside>(left, coroutines - 1, news));
    co_await together(std::move(all));
}

// --- condition: one notifies, the others wait with the lock; counted is each that is woken

awaitable<void> notify_nobody(rounds& left, std::size_t)
{
    common::condition_variable changed;
    while (left.next()) {
        changed.notify_one();
        benchmark::ClobberMemory();
    }
    co_return;
}

template <inside Inside>
awaitable<void> wait_for_change(
    rounds& left, common::mutex& mutex, common::condition_variable& changed)
{
    auto guard = co_await mutex.lock();
    while (!left.over()) {
        co_await changed.wait(guard);
        if constexpr (Inside == inside::a_yield) {
            co_await common::yield();
        }
    }
}

template <inside Inside>
awaitable<void> notify_one(rounds& left, common::condition_variable& changed)
{
    while (left.next()) {
        changed.notify_one();
        co_await common::yield();
        if constexpr (Inside == inside::a_yield) {
            co_await common::yield();
        }
    }
    changed.notify_all();
}

template <inside Inside>
awaitable<void> notify_all(rounds& left, std::size_t waiters, common::condition_variable& changed)
{
    for (bool more = true; more;) {
        more = left.next(waiters);
        changed.notify_all();
        co_await common::yield();
    }
}

template <inside Inside>
awaitable<void> condition_one(rounds& left, std::size_t coroutines)
{
    common::mutex mutex;
    common::condition_variable changed;
    auto all =
        copies(coroutines - 1, [&] { return wait_for_change<Inside>(left, mutex, changed); });
    all.push_back(notify_one<Inside>(left, changed));
    co_await together(std::move(all));
}

awaitable<void> condition_all(rounds& left, std::size_t coroutines)
{
    common::mutex mutex;
    common::condition_variable changed;
    auto all = copies(
        coroutines - 1, [&] { return wait_for_change<inside::nothing>(left, mutex, changed); });
    all.push_back(notify_all<inside::nothing>(left, coroutines - 1, changed));
    co_await together(std::move(all));
}

template <inside Inside>
awaitable<void> cancel_one(rounds& left, asio::steady_timer& changed)
{
    while (left.next()) {
        changed.cancel_one();
        co_await asio::post(asio::deferred);
        if constexpr (Inside == inside::a_yield) {
            co_await asio::post(asio::deferred);
        }
    }
    changed.cancel();
}

template <inside Inside>
awaitable<void> timer_as_condition(rounds& left, std::size_t coroutines)
{
    asio::steady_timer changed(
        co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    auto all = copies(coroutines - 1, [&] { return wait_for_timer<Inside>(left, changed); });
    all.push_back(cancel_one<Inside>(left, changed));
    co_await together(std::move(all));
}

// --- barrier: all meet again and again; counted is each arrival

template <inside Inside>
awaitable<void> meet(rounds& left, common::barrier& meeting)
{
    try {
        while (left.next()) {
            co_await meeting.arrive_and_wait();
            if constexpr (Inside == inside::a_yield) {
                co_await common::yield();
            }
        }
        meeting.abort();
    } catch (const common::broken_barrier&) {
    }
}

template <inside Inside>
awaitable<void> barrier(rounds& left, std::size_t coroutines)
{
    common::barrier meeting(coroutines);
    auto all = copies(coroutines, [&] { return meet<Inside>(left, meeting); });
    co_await together(std::move(all));
}

template <inside Inside>
awaitable<void> meet_at_timer(
    rounds& left, asio::steady_timer& meeting, std::size_t& arrived, std::size_t parties)
{
    while (left.next()) {
        if (++arrived == parties) {
            arrived = 0;
            meeting.cancel();
        } else {
            co_await meeting.async_wait(asio::as_tuple(asio::deferred));
        }
        if constexpr (Inside == inside::a_yield) {
            co_await asio::post(asio::deferred);
        }
    }
    meeting.cancel();
}

template <inside Inside>
awaitable<void> timer_as_barrier(rounds& left, std::size_t coroutines)
{
    asio::steady_timer meeting(
        co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
    std::size_t arrived = 0;
    auto all = copies(
        coroutines, [&] { return meet_at_timer<Inside>(left, meeting, arrived, coroutines); });
    co_await together(std::move(all));
}

}  // namespace

void add_signals()
{
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("event, {}", coroutines);
        add("common: " + row, event<inside::nothing>, coroutines);
        add("asio: " + row, timer_as_event<inside::nothing>, coroutines);
        add("common: " + row + ", yield", event<inside::a_yield>, coroutines);
        add("asio: " + row + ", yield", timer_as_event<inside::a_yield>, coroutines);
    }

    add("common: condition, nobody waits", notify_nobody);
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("condition, {}", coroutines);
        add("common: " + row, condition_one<inside::nothing>, coroutines);
        add("asio: " + row, timer_as_condition<inside::nothing>, coroutines);
        add("common: " + row + ", yield", condition_one<inside::a_yield>, coroutines);
        add("asio: " + row + ", yield", timer_as_condition<inside::a_yield>, coroutines);
        add("common: " + row + ", all", condition_all, coroutines);
    }

    add("common: barrier, alone", barrier<inside::nothing>, 1);
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("barrier, {}", coroutines);
        add("common: " + row, barrier<inside::nothing>, coroutines);
        add("asio: " + row, timer_as_barrier<inside::nothing>, coroutines);
        add("common: " + row + ", yield", barrier<inside::a_yield>, coroutines);
        add("asio: " + row + ", yield", timer_as_barrier<inside::a_yield>, coroutines);
    }
}

}  // namespace bench
