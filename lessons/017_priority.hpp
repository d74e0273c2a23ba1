// Executors with a priority, for an io_context. For lesson 017.
//
// A queue keeps the ready work in order of priority, and the io_context runs the first of it at
// each turn. An executor is what puts work into that queue. Coroutines, timers and sockets know
// nothing of either: they hand their work to the executor that they were made with.

#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>

// The ready work of an io_context, the most urgent in front. It is a service: an object that the
// context owns, one of each kind, and shuts down at its end, while all the others are still there.
class ready_queue final : public boost::asio::execution_context::service {
public:
    // A std::function that need not be copyable.
    using work = boost::asio::any_completion_handler<void()>;

    static inline boost::asio::execution_context::id id;

    explicit ready_queue(boost::asio::io_context& loop) : service(loop), loop_(loop) {}

    // After the shutdown `what` is not run any more, and destroyed with this call.
    void push(int priority, work what)
    {
        const std::lock_guard lock(mutex_);
        if (is_open_) {
            ready_.emplace(priority, std::move(what));
            if (!has_turn_) {
                has_turn_ = true;
                ask_for_a_turn();
            }
        }
    }

private:
    // A turn is a handler in the io_context's own queue, of which there is one at a time: who runs
    // in it is decided when it comes, and between two turns the io_context looks at its sockets.
    void ask_for_a_turn()
    {
        boost::asio::post(loop_, [this] { run_first(); });
    }

    void run_first()
    {
        std::unique_lock lock(mutex_);
        auto first = ready_.extract(ready_.begin());
        has_turn_ = !ready_.empty();
        if (has_turn_) {
            ask_for_a_turn();
        }
        lock.unlock();
        std::move(first.mapped())();
    }

    // Those of equal priority stay in the order in which they came.
    using by_priority = std::multimap<int, work, std::greater<>>;

    void shutdown() override
    {
        by_priority left;  // destroyed after the lock, since its destructors may call push()
        const std::lock_guard lock(mutex_);
        is_open_ = false;
        left.swap(ready_);
    }

    boost::asio::io_context& loop_;
    std::mutex mutex_;  // an executor may be used from any thread
    bool is_open_ = true;
    bool has_turn_ = false;
    by_priority ready_;
};

// An executor is a small handle that is copied freely. Asio asks three things of it: to execute
// work, to answer for its properties, and ==.
template <class Loop>
class priority_executor {
public:
    priority_executor(Loop loop, ready_queue& queue, int priority)
        : loop_(std::move(loop)), queue_(&queue), priority_(priority)
    {
    }

    template <class Work>
    void execute(Work work) const
    {
        queue_->push(priority_, std::move(work));
    }

    // A property is a question (of which context are you?) or a request (count me as work). The
    // executor of the io_context deals with them all, so our context is the io_context, and that is
    // where timers and sockets find what they need.
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
        return priority_executor<decltype(loop)>(std::move(loop), *queue_, priority_);
    }

    bool operator==(const priority_executor&) const noexcept = default;

private:
    Loop loop_;
    ready_queue* queue_;
    int priority_;
};

// An executor with a priority, for the io_context of the one given. any_io_executor holds any type
// that has what Asio asks of an executor; it is what coroutines, timers and sockets keep.
inline boost::asio::any_io_executor with_priority(
    const boost::asio::any_io_executor& executor, int priority)
{
    const auto* const loop = executor.target<boost::asio::io_context::executor_type>();
    if (loop == nullptr) {
        throw std::invalid_argument("with_priority wants the executor of an io_context");
    }
    return priority_executor(
        *loop, boost::asio::use_service<ready_queue>(loop->context()), priority);
}
