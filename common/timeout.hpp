// A bound on how long something may take.
//
// `with_timeout` runs the operation and a timer side by side, as two children of the caller. The
// one that ends first cancels the other. It does not return before both have ended, so the
// operation never runs on behind the caller's back, and whatever it refers to need not outlive the
// call.
//
// A cancellation is a request. The operation may have finished in the same instant, or need a while
// to clean up, or finish all the same. So the timer decides nothing: it asks the operation to stop,
// and what the operation then does is the result. If it finished, its value is returned, and
// nothing is lost. Only if it says that it was cancelled, and it was this timer that did it, has it
// timed out.
//
// What differs from `operation() || sleep_for(limit)`: that drops a value when both finish, and
// tells who was first, not why the other one ended.
//
// Use it from one thread or one strand: on a thread pool, give the caller a strand.

#pragma once

#include "common/clock.hpp"
#include "common/detail/child_group.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/result.hpp>

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

namespace common {

class timeout_error : public std::runtime_error {
public:
    timeout_error();
};

namespace detail {

// The two children of a with_timeout, and what becomes of them.
template <class T>
class timed_operation {
public:
    timed_operation(boost::asio::any_io_executor executor, duration limit)
        : children_(std::move(executor)), limit_(limit)
    {
    }

    // Runs both. Throws only if the caller was cancelled before they began.
    boost::asio::awaitable<void> run(boost::asio::awaitable<T> operation)
    {
        auto both = children_.async_run([this, &operation] {
            children_.start(std::move(operation), operation_outcome{this});
            if (!result_) {
                start_timer();
            }
        });
        co_await std::move(both);
    }

    T take_result()
    {
        if (result_->has_error()) {
            const auto& failure = result_->error();
            if (expired_ && is_abort(failure)) {
                throw timeout_error();
            }
            std::rethrow_exception(failure);
        }
        return std::move(*result_).value();
    }

private:
    struct operation_outcome {
        timed_operation* timed;

        template <class... Value>
        void succeeded(Value&&... value)
        {
            timed->result_.emplace(boost::system::in_place_value, std::forward<Value>(value)...);
            timed->children_.cancel();
        }

        void failed(std::exception_ptr failure)
        {
            timed->result_.emplace(boost::system::in_place_error, std::move(failure));
            timed->children_.cancel();
        }
    };

    struct timer_outcome {
        timed_operation* timed;

        void succeeded(bool slept)
        {
            if (slept) {
                timed->expire();
            }
        }
        void failed(const std::exception_ptr&) {}
    };

    void start_timer()
    {
        if (limit_ > duration::zero()) {
            children_.start(try_sleep_for(limit_), timer_outcome{this});
        } else {
            expire();
        }
    }

    // Too late once the operation has ended, or somebody else has cancelled it.
    void expire()
    {
        if (!children_.cancelled()) {
            expired_ = true;
            children_.cancel();
        }
    }

    child_group children_;
    const duration limit_;
    std::optional<boost::system::result<T, std::exception_ptr>> result_;  // empty while it runs
    bool expired_ = false;  // it was the timer that cancelled the operation
};

}  // namespace detail

// Runs `operation` for at most `limit` by the run's clock, from its first suspension on, and
// completes when it has ended, with its value or what it threw. When the limit is reached, the
// operation is cancelled (terminal), and if that makes it throw operation_aborted, timeout_error is
// thrown in its place. With a limit of zero or less that is so at its first suspension. Of nested
// timeouts the one whose limit is reached throws.
//
// Cancelling the caller cancels the operation, and what it makes of that is the result: as a rule
// operation_aborted.
//
// As asyncio.wait_for.
template <class T>
boost::asio::awaitable<T> with_timeout(duration limit, boost::asio::awaitable<T> operation)
{
    const auto executor = co_await boost::asio::this_coro::executor;
    detail::timed_operation<T> timed(executor, limit);
    co_await timed.run(std::move(operation));
    co_return timed.take_result();
}

}  // namespace common
