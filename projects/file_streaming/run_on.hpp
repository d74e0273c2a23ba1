// Runs a coroutine on another executor, a thread pool's, and gives its result to the caller, which
// stays on its own. Lesson 018 has it.

#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>

#include <utility>

namespace file_streaming {

// A cancellation would reach the work on another thread, in the middle of what it does. That is a
// race, so it is sent none: the slot is empty.
template <class T>
boost::asio::awaitable<T> run_on(boost::asio::any_io_executor there, boost::asio::awaitable<T> work)
{
    const boost::asio::cancellation_slot none;
    auto running = boost::asio::co_spawn(
        there, std::move(work), boost::asio::bind_cancellation_slot(none, boost::asio::deferred));
    co_return co_await std::move(running);
}

}  // namespace file_streaming
