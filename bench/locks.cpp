// Mutex and semaphore. What Asio offers for both is a channel: a lock is a message sent into a
// channel that holds one, and unlocking takes it out.

#include "bench.hpp"

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/semaphore.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace asio = boost::asio;
using boost::asio::awaitable;

namespace bench {

namespace {

using channel = asio::experimental::channel<void(boost::system::error_code)>;

// --- alone

template <std::size_t Permits>
awaitable<void> channel_free(rounds& left, std::size_t)
{
    channel slots(co_await asio::this_coro::executor, Permits);
    while (left.next()) {
        co_await slots.async_send(boost::system::error_code(), asio::deferred);
        slots.try_receive([](auto...) {});
    }
}

// --- in line
//
// All coroutines stand in line before the first operation, so that each is a hand-off, also where
// nothing is awaited inside.

template <inside Inside>
awaitable<void> use_mutex(rounds& left, common::mutex& mutex)
{
    for (bool more = true; more;) {
        const auto guard = co_await mutex.lock();
        more = left.next();
        if constexpr (Inside == inside::a_yield) {
            co_await common::yield();
        }
    }
}

awaitable<void> unlock(common::mutex::guard& guard)
{
    guard.unlock();
    co_return;
}

template <inside Inside>
awaitable<void> lock_contended(rounds& left, std::size_t coroutines)
{
    common::mutex mutex;
    auto guard = co_await mutex.lock();
    auto all = copies(coroutines, [&] { return use_mutex<Inside>(left, mutex); });
    all.push_back(unlock(guard));
    co_await together(std::move(all));
}

template <inside Inside>
awaitable<void> use_semaphore(rounds& left, common::semaphore& slots)
{
    for (bool more = true; more;) {
        const auto permit = co_await slots.acquire();
        more = left.next();
        if constexpr (Inside == inside::a_yield) {
            co_await common::yield();
        }
    }
}

awaitable<void> release(common::semaphore& slots, std::size_t permits)
{
    slots.release(permits);
    co_return;
}

// Three permits, or one for two coroutines.
std::size_t permits_for(std::size_t coroutines)
{
    return std::min<std::size_t>(3, coroutines - 1);
}

template <inside Inside>
awaitable<void> acquire_contended(rounds& left, std::size_t coroutines)
{
    common::semaphore slots(0);
    auto all = copies(coroutines, [&] { return use_semaphore<Inside>(left, slots); });
    all.push_back(release(slots, permits_for(coroutines)));
    co_await together(std::move(all));
}

template <inside Inside>
awaitable<void> use_channel(rounds& left, channel& slots)
{
    for (bool more = true; more;) {
        co_await slots.async_send(boost::system::error_code(), asio::deferred);
        more = left.next();
        if constexpr (Inside == inside::a_yield) {
            co_await asio::post(asio::deferred);
        }
        slots.try_receive([](auto...) {});
    }
}

awaitable<void> empty(channel& slots, std::size_t permits)
{
    for (; permits > 0; --permits) {
        slots.try_receive([](auto...) {});
    }
    co_return;
}

template <inside Inside>
awaitable<void> channel_contended(rounds& left, std::size_t coroutines, std::size_t permits)
{
    channel slots(co_await asio::this_coro::executor, permits);
    for (std::size_t taken = 0; taken < permits; ++taken) {
        slots.try_send(boost::system::error_code());
    }
    auto all = copies(coroutines, [&] { return use_channel<Inside>(left, slots); });
    all.push_back(empty(slots, permits));
    co_await together(std::move(all));
}

template <inside Inside>
awaitable<void> channel_as_mutex(rounds& left, std::size_t coroutines)
{
    return channel_contended<Inside>(left, coroutines, 1);
}

template <inside Inside>
awaitable<void> channel_as_semaphore(rounds& left, std::size_t coroutines)
{
    return channel_contended<Inside>(left, coroutines, permits_for(coroutines));
}

}  // namespace

void add_locks()
{
    add("asio: mutex, free", channel_free<1>);
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("mutex, {}", coroutines);
        add("common: " + row, lock_contended<inside::nothing>, coroutines);
        add("asio: " + row, channel_as_mutex<inside::nothing>, coroutines);
        add("common: " + row + ", yield", lock_contended<inside::a_yield>, coroutines);
        add("asio: " + row + ", yield", channel_as_mutex<inside::a_yield>, coroutines);
    }

    add("asio: semaphore, free", channel_free<3>);
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("semaphore, {}", coroutines);
        add("common: " + row, acquire_contended<inside::nothing>, coroutines);
        add("asio: " + row, channel_as_semaphore<inside::nothing>, coroutines);
        add("common: " + row + ", yield", acquire_contended<inside::a_yield>, coroutines);
        add("asio: " + row + ", yield", channel_as_semaphore<inside::a_yield>, coroutines);
    }
}

}  // namespace bench
