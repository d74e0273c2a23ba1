// Mutex and semaphore, contended. All coroutines stand in line before the first operation, so that
// each is a hand-off, also where nothing is awaited inside.

#include "bench.hpp"

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/semaphore.hpp"

#include <fmt/format.h>

using boost::asio::awaitable;

namespace bench {

namespace {

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

template <inside Inside>
awaitable<void> acquire_contended(rounds& left, std::size_t coroutines)
{
    common::semaphore slots(0);
    auto all = copies(coroutines, [&] { return use_semaphore<Inside>(left, slots); });
    all.push_back(release(slots, permits_for(coroutines)));
    co_await together(std::move(all));
}

}  // namespace

void add_locks()
{
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("mutex, {}", coroutines);
        add("common: " + row, lock_contended<inside::nothing>, coroutines);
        add("common: " + row + ", yield", lock_contended<inside::a_yield>, coroutines);
    }
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("semaphore, {}", coroutines);
        add("common: " + row, acquire_contended<inside::nothing>, coroutines);
        add("common: " + row + ", yield", acquire_contended<inside::a_yield>, coroutines);
    }
}

}  // namespace bench
