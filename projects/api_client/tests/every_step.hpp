// Cancelling something at every step of it.
//
// A coroutine can be cancelled at each of its awaits, and so can those that it awaits; each place
// is one where a connection can be left in the pool in the middle of an answer, a permit not given
// back, a counter not counted down. Nobody thinks of all of them. So here they are gone through:
// the operation runs once for each turn that it takes, and is cancelled after the first turn, then
// after the second, until it ends before it is cancelled.
//
// A turn is one call of a handler on the operation's behalf. An executor sees them all: what is
// spawned on it, and every completion that resumes something spawned on it, comes through its
// execute(). So the operation gets an executor of its own, which counts, and hands everything on to
// the one of the loop. Lesson 017 has more on executors.

#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <functional>
#include <stdexcept>
#include <utility>

namespace tests {

// Calls a function once, after the given number of turns.
class turn_counter {
public:
    turn_counter(int turns, std::function<void()> then) : left_(turns), then_(std::move(then)) {}

    template <class Work>
    void run(Work& work)
    {
        ++depth_;
        std::move(work)();
        --depth_;
        if (depth_ == 0 && --left_ == 0) {  // a handler called inside another is the same turn
            then_();
        }
    }

private:
    int left_;
    int depth_ = 0;
    std::function<void()> then_;
};

template <class Loop>
class counting_executor {
public:
    counting_executor(Loop loop, turn_counter& counter) : loop_(std::move(loop)), counter_(&counter)
    {
    }

    template <class Work>
    void execute(Work work) const
    {
        loop_.execute(
            [counter = counter_, work = std::move(work)]() mutable { counter->run(work); });
    }

    template <class Property>
        requires boost::asio::can_query_v<Loop, Property>
    decltype(auto) query(const Property& property) const
    {
        return boost::asio::query(loop_, property);
    }

    template <class Property>
        requires boost::asio::can_require_v<Loop, Property>
    auto require(const Property& property) const
    {
        auto loop = boost::asio::require(loop_, property);
        return counting_executor<decltype(loop)>(std::move(loop), *counter_);
    }

    bool operator==(const counting_executor&) const noexcept = default;

private:
    Loop loop_;
    turn_counter* counter_;
};

// The counter must outlive everything that runs on it.
inline boost::asio::any_io_executor counted(
    const boost::asio::any_io_executor& executor, turn_counter& counter)
{
    const auto* const loop = executor.target<boost::asio::io_context::executor_type>();
    if (loop == nullptr) {
        throw std::invalid_argument("this is not the executor of an io_context");
    }
    return counting_executor(*loop, counter);
}

}  // namespace tests
