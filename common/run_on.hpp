// Runs a coroutine on another executor, such as that of a thread pool, and comes back.
//
// What blocks a thread, or computes for long, stalls everybody on the loop. `run_on` starts it
// elsewhere and suspends the caller, so the loop goes on; what it gives or throws comes back to the
// caller, which never leaves the executor that it is on:
//
//     const int primes = co_await run_on(pool.get_executor(), count_primes(2, 10'000));
//
// A cancellation would reach the work on another thread, in the middle of what it does. That is a
// race, so it is sent none: its cancellation slot is connected to nothing.

#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>

#include <utility>

namespace common {

// Completes when `work` has ended there, on the caller's executor, with its value or what it threw.
// What `work` refers to is used on the other thread meanwhile. T must be default constructible,
// which co_spawn asks of a result.
//
// Cancelling the caller does not reach `work`: it runs to its end, and its result is the result.
// The next await of the caller throws. A caller that was cancelled before throws at once, and
// `work` never begins.
//
// As asyncio.to_thread.
template <class T>
boost::asio::awaitable<T> run_on(boost::asio::any_io_executor there, boost::asio::awaitable<T> work)
{
    const boost::asio::cancellation_slot none;
    auto running = boost::asio::co_spawn(
        there, std::move(work), boost::asio::bind_cancellation_slot(none, boost::asio::deferred));
    co_return co_await std::move(running);
}

}  // namespace common
