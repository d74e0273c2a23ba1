// Children: coroutines that one parent starts, and then waits for until the last of them has ended.
//
// gather, task groups and timeouts differ in when they cancel and in what they make of errors. What
// they share is here: starting children, counting them, cancelling them, and the parent's wait.
//
// The group lives in the parent's frame, and the children refer to it. That is safe because the
// frame outlives them: the parent does not go on before the last child has ended, and when the
// event loop is destroyed instead, the last child's completion handler to be destroyed takes the
// parent along.

#pragma once

#include "common/detail/waiter.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <exception>
#include <list>
#include <type_traits>
#include <utility>

namespace common::detail {

// What a cancelled operation throws: a system_error with operation_aborted.
std::exception_ptr aborted();

// Whether a failure is that. `&&` wraps it when both of its sides were cancelled.
bool is_abort(const std::exception_ptr& failure);

class child_group {
public:
    explicit child_group(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

    child_group(const child_group&) = delete;
    child_group& operator=(const child_group&) = delete;

    // Starts a child, which runs at once to its first suspension; how it ends, it tells `outcome`,
    // as run_child() has it. In a group that has been cancelled the child never begins, and counts
    // as aborted.
    template <class T, class Outcome>
    void start(boost::asio::awaitable<T> child, Outcome outcome)
    {
        const auto link = links_.emplace(links_.end());
        ++running_;
        boost::asio::co_spawn(
            executor_, run_child(link, std::move(child), outcome), child_ended(*this, link));
    }

    // Asks every child that is running to stop, those included that were asked before.
    void cancel()
    {
        cancelled_ = true;
        for (auto next = links_.begin(); next != links_.end();) {
            const auto link = next++;
            if (link->begun) {
                link->signal.emit(boost::asio::cancellation_type::terminal);
            }
        }
    }

    // The same, if nobody has done so. A child that is cleaning up is not disturbed by it: a second
    // request would reach the awaits of its cleanup.
    void cancel_once()
    {
        if (!cancelled_) {
            cancel();
        }
    }

    // cancel() was called, by whomever.
    bool cancelled() const { return cancelled_; }

    // The parent was asked to stop while a child was still running.
    bool parent_cancelled() const { return parent_cancelled_; }

    // Suspends the parent, calls `start_children`, and resumes the parent when every child has
    // ended, those included that were started meanwhile. Cancelling the parent cancels the
    // children; it still waits for them. Children are not started before the parent is suspended,
    // because one that cancels its parent at once would else make the parent throw at this await,
    // and leave them behind.
    template <class StartChildren>
    auto async_run(StartChildren start_children)
    {
        return async_wait_as<parent>([this, start_children](parent& waiting) {
            waiting.group_ = this;
            parent_ = &waiting;
            ++running_;  // one more, so that the parent cannot be resumed in here
            start_children();
            end_one();
        });
    }

private:
    struct link_to_child {
        boost::asio::cancellation_signal signal;
        bool begun = false;
    };
    using links = std::list<link_to_child>;

    // Awaits `child` and tells `outcome` how it ended: by succeeded(value) or
    // failed(exception_ptr). Every child of a group is wrapped in this.
    //
    // co_spawn in Boost 1.83 awaits once more when a coroutine has ended without ever having been
    // suspended, and if it was cancelled, that throws an exception which nobody catches. This is
    // what the last line is for. It is also why a child is not sent a cancellation before it has
    // begun: one that was started from outside the event loop is only queued, and asks here.
    template <class T, class Outcome>
    boost::asio::awaitable<void> run_child(
        links::iterator link, boost::asio::awaitable<T> child, Outcome outcome)
    {
        link->begun = true;
        if (cancelled_) {
            outcome.failed(aborted());
            co_return;
        }
        try {
            if constexpr (std::is_void_v<T>) {
                co_await std::move(child);
                outcome.succeeded();
            } else {
                outcome.succeeded(co_await std::move(child));
            }
        } catch (...) {
            outcome.failed(std::current_exception());
        }
        co_await boost::asio::this_coro::throw_if_cancelled(false);
    }

    class parent : public waiter {
        friend class child_group;

        void cancelled() final
        {
            if (group_->running_ > 0) {
                group_->parent_cancelled_ = true;
                group_->cancel();
            }
        }

        child_group* group_ = nullptr;
    };

    // A child's completion handler. It is either called, or destroyed with the event loop.
    class child_ended {
    public:
        using cancellation_slot_type = boost::asio::cancellation_slot;

        child_ended(child_group& group, links::iterator link) : group_(&group), link_(link) {}

        child_ended(child_ended&& other) noexcept
            : group_(std::exchange(other.group_, nullptr)), link_(other.link_)
        {
        }

        child_ended& operator=(child_ended&&) = delete;

        ~child_ended()
        {
            if (group_ != nullptr) {
                group_->abandon_one();
            }
        }

        void operator()(std::exception_ptr)
        {
            auto* const group = std::exchange(group_, nullptr);
            group->links_.erase(link_);
            group->end_one();
        }

        cancellation_slot_type get_cancellation_slot() const noexcept
        {
            return link_->signal.slot();
        }

    private:
        child_group* group_;
        links::iterator link_;
    };

    void end_one()
    {
        if (--running_ == 0) {
            std::exchange(parent_, nullptr)->resume();
        }
    }

    void abandon_one() noexcept
    {
        if (--running_ == 0) {
            std::exchange(parent_, nullptr)->destroy();
        }
    }

    boost::asio::any_io_executor executor_;
    links links_;               // one for each child that runs
    std::size_t running_ = 0;   // children that have not ended
    parent* parent_ = nullptr;  // the suspended parent; owned, until it is resumed or destroyed
    bool cancelled_ = false;
    bool parent_cancelled_ = false;
};

}  // namespace common::detail
