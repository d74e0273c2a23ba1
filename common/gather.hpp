// Waits for several coroutines at once: as many as a vector holds.
//
// Asio's `a() && b()` runs two coroutines side by side, and their number stands in the program
// text. `gather` does the same for a vector. All children are started, each runs until it first
// suspends, and from then on the event loop resumes whichever is ready. Results come in the order
// in which the children were given, however they finish.
//
// What differs from `&&`: a failure comes out as itself, not wrapped, and a result needs no default
// constructor. And it is for one thread or one strand: on a thread pool, give the caller a strand.

#pragma once

#include "common/detail/child_group.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/result.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace common {

namespace detail {

template <class T>
using outcome_of = boost::system::result<T, std::exception_ptr>;

enum class on_failure { cancel_the_rest, keep_going };

// One call of gather: the children, and a place for what becomes of each.
template <class T>
class gathering {
public:
    gathering(boost::asio::any_io_executor executor, std::size_t count, on_failure policy)
        : children_(std::move(executor)), outcomes_(count), policy_(policy)
    {
    }

    // Completes when all have ended. Throws only if the caller was cancelled before they began.
    boost::asio::awaitable<void> run(std::vector<boost::asio::awaitable<T>> children)
    {
        auto all = children_.async_run([this, &children] {
            for (std::size_t place = 0; place < children.size(); ++place) {
                children_.start(std::move(children[place]), outcome{this, place});
            }
        });
        co_await std::move(all);
    }

    bool caller_cancelled() const { return children_.parent_cancelled(); }

    // Throws the first failure. Where there is none, but not every child has finished, they were
    // cancelled.
    void throw_failure() const
    {
        if (first_failure_) {
            std::rethrow_exception(first_failure_);
        }
        for (const auto& each : outcomes_) {
            if (each->has_error()) {
                std::rethrow_exception(each->error());
            }
        }
    }

    std::vector<T> take_values()
    {
        std::vector<T> values;
        values.reserve(outcomes_.size());
        for (auto& each : outcomes_) {
            values.push_back(std::move(**each));
        }
        return values;
    }

    std::vector<outcome_of<T>> take_outcomes()
    {
        std::vector<outcome_of<T>> taken;
        taken.reserve(outcomes_.size());
        for (auto& each : outcomes_) {
            taken.push_back(std::move(*each));
        }
        return taken;
    }

private:
    struct outcome {
        gathering* all;
        std::size_t place;

        template <class... Value>
        void succeeded(Value&&... value)
        {
            all->outcomes_[place].emplace(
                boost::system::in_place_value, std::forward<Value>(value)...);
        }

        void failed(std::exception_ptr failure)
        {
            all->outcomes_[place].emplace(boost::system::in_place_error, failure);
            all->child_failed(failure);
        }
    };

    void child_failed(const std::exception_ptr& failure)
    {
        if (policy_ == on_failure::keep_going || (children_.cancelled() && is_abort(failure))) {
            return;
        }
        if (!first_failure_) {
            first_failure_ = failure;
        }
        children_.cancel_once();
    }

    child_group children_;
    std::vector<std::optional<outcome_of<T>>> outcomes_;  // empty where a child has not ended
    std::exception_ptr first_failure_;  // without the aborts that followed from it
    const on_failure policy_;
};

}  // namespace detail

// Runs `children` side by side and gives their results, in the order of the vector; for void,
// nothing. Completes when all have ended; with an empty vector, at once.
//
// When a child throws, the others are cancelled (terminal), and once all have ended its exception
// is thrown, as it is. When several throw, it is the first in time. Cancelling the caller cancels
// the children; when they have ended it throws what one of them threw, else operation_aborted. If
// all of them finished nonetheless, nothing has been cancelled, and their results are the result.
//
// As asyncio.gather, which leaves the other children running when one fails.
template <class T>
boost::asio::awaitable<std::conditional_t<std::is_void_v<T>, void, std::vector<T>>> gather(
    std::vector<boost::asio::awaitable<T>> children)
{
    const auto executor = co_await boost::asio::this_coro::executor;
    detail::gathering<T> all(executor, children.size(), detail::on_failure::cancel_the_rest);
    co_await all.run(std::move(children));

    all.throw_failure();
    if constexpr (!std::is_void_v<T>) {
        co_return all.take_values();
    }
}

// The same, but a child that throws disturbs no other: its exception takes the place of its result.
// Completes when all have ended. Cancelling the caller cancels the children, and when they have
// ended throws operation_aborted.
//
// As asyncio.gather(..., return_exceptions=True).
template <class T>
boost::asio::awaitable<std::vector<boost::system::result<T, std::exception_ptr>>> gather_results(
    std::vector<boost::asio::awaitable<T>> children)
{
    const auto executor = co_await boost::asio::this_coro::executor;
    detail::gathering<T> all(executor, children.size(), detail::on_failure::keep_going);
    co_await all.run(std::move(children));

    if (all.caller_cancelled()) {
        std::rethrow_exception(detail::aborted());
    }
    co_return all.take_outcomes();
}

}  // namespace common
