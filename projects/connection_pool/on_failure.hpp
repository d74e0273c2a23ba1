// A catch block that can await, also when what it has caught is a cancellation.
//
// A catch block may not contain co_await. That alone would be a matter of style: one remembers the
// exception and awaits after the block. But in a coroutine that was cancelled, each further await
// throws, and a rollback, or a request to stop, has to be awaited then more than ever. So it runs
// as a coroutine of its own, which hears nothing of what its caller was asked. The caller waits for
// it, and is as cancelled afterwards as it was before: its next await throws.

#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <utility>

namespace db {

// Completes when `work` has. If that throws, then `handle`, an awaitable<void>(std::exception_ptr),
// is run with what it has thrown, and decides: what it throws is thrown, and when it returns, all
// is well. It cannot be cancelled, so it needs a limit of its own on how long it takes.
template <class Handle>
boost::asio::awaitable<void> on_failure(boost::asio::awaitable<void> work, Handle handle)
{
    namespace asio = boost::asio;

    std::exception_ptr failure;
    try {
        co_await std::move(work);
    } catch (...) {
        failure = std::current_exception();
    }
    if (!failure) {
        co_return;
    }

    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    const auto executor = co_await asio::this_coro::executor;
    const asio::cancellation_slot none;
    auto handling = asio::co_spawn(
        executor, handle(failure),
        asio::bind_cancellation_slot(none, asio::as_tuple(asio::deferred)));
    const auto [unhandled] = co_await std::move(handling);
    co_await asio::this_coro::throw_if_cancelled(throws);
    if (unhandled) {
        std::rethrow_exception(unhandled);
    }
}

}  // namespace db
