// The line of coroutines that wait for one thing.
//
// A lock that is taken, an empty queue, a barrier: each keeps those who must wait in a line, first
// come, first served. It is an intrusive list: the links are part of the waiters themselves, which
// exist anyhow for as long as a coroutine is suspended. So joining the line allocates nothing, and
// leaving it, from the middle too, takes the same few steps however long it is.
//
// Who stands in front can leave the line in two ways:
//
// - grant_first(): it has what it waited for, but can still lose it. Between the grant and the
//   moment in which the coroutine runs, other handlers run, and one of them may cancel it. It then
//   throws operation_aborted, and give_back() hands on what was granted. That is why a lock never
//   gets lost, even if the cancellation and the unlock come in the same instant.
// - release_first(): it goes on, come what may. A cancellation after that is too late. This is for
//   news that cannot be handed on, such as that an event is set.
//
// Neither runs the coroutine. It is queued with the event loop, and whoever has released it runs on
// until it suspends itself.
//
// The line and the event loop can be destroyed in either order. When the event loop goes first, the
// coroutines that wait are destroyed with it, and leave the line. When the line goes first, with
// the lock that it belongs to, those who wait are kept by the event loop until it is destroyed:
// nothing resumes them any more, not even a cancellation. Those who had been granted something
// throw operation_aborted in place of it.

#pragma once

#include "common/detail/waiter.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/intrusive/list.hpp>

#include <cstddef>
#include <mutex>
#include <set>
#include <vector>

namespace common::detail {

class loop_waiters;

class wait_list {
public:
    // A coroutine in line. What waits for a thing that can be handed on derives from it.
    class node : public waiter, public boost::intrusive::list_base_hook<> {
    protected:
        node() = default;

        ~node()
        {
            if (list_ != nullptr) {
                list_->leave(*this);
            }
        }

        // Leaves the line and throws operation_aborted, unless it has been released.
        void cancelled() override;

    private:
        friend class wait_list;
        friend class loop_waiters;

        // Called when the waiter was granted something, and cannot use it any more.
        virtual void give_back() {}

        void abandoned() noexcept final;

        wait_list* list_ = nullptr;  // where it is linked; null once released, or the list is gone
        bool granted_ = false;       // linked among the granted, else among those who wait
    };

    wait_list() = default;
    ~wait_list();
    wait_list(const wait_list&) = delete;
    wait_list& operator=(const wait_list&) = delete;

    // Suspends the calling coroutine, puts it at the end of the line as a `Kind` of node, and calls
    // `joined(Kind&)` if that is given.
    template <class Kind>
    auto async_wait()
    {
        return async_wait<Kind>([](Kind&) {});
    }

    template <class Kind, class Joined>
    auto async_wait(Joined joined)
    {
        return async_wait_as<Kind>([this, joined](Kind& waiting) {
            join(waiting);
            joined(waiting);
        });
    }

    // Those who wait. Who has been granted something does not count.
    bool empty() const { return waiting_.empty(); }
    std::size_t size() const { return waiting_.size(); }
    node& first() { return waiting_.front(); }

    // Those who have been granted something and have not run yet, in the order of the grants.
    std::size_t granted() const { return granted_.size(); }
    node& first_granted() { return granted_.front(); }

    // Nobody waits, and nobody is on the way.
    bool idle() const { return waiting_.empty() && granted_.empty(); }

    void grant_first()
    {
        auto& first = waiting_.front();
        waiting_.pop_front();
        granted_.push_back(first);
        first.granted_ = true;
        first.resume();
    }

    void release_first()
    {
        auto& first = waiting_.front();
        leave(first);
        first.resume();
    }

    void release_all()
    {
        while (!empty()) {
            release_first();
        }
    }

    // From here on, cancelling the node is too late: what it was granted has been used.
    void settle(node& granted) { leave(granted); }

private:
    friend class loop_waiters;

    using line = boost::intrusive::list<node>;

    void join(node& waiting);
    void leave(node& linked)
    {
        auto& its_line = linked.granted_ ? granted_ : waiting_;
        its_line.erase(its_line.iterator_to(linked));
        linked.list_ = nullptr;
    }

    void enrol_with(boost::asio::execution_context& context);
    void hand_over(loop_waiters& loop, line& orphans);

    line waiting_;  // in the order in which they came
    line granted_;  // in the order of the grants; the event loop has them too, ready to run

    // The event loops whose coroutines have waited here, the latest last. Nearly always one.
    std::vector<loop_waiters*> loops_;
};

// What an event loop knows of the lines that its coroutines stand in. It is a service of the loop,
// so it hears when that is destroyed. A line enrols when a coroutine of the loop first waits in it,
// and not for each one, so waiting costs a comparison and no lock.
class loop_waiters final : public boost::asio::execution_context::service {
public:
    static inline boost::asio::execution_context::id id;

    explicit loop_waiters(boost::asio::execution_context& context) : service(context) {}

    void enrol(wait_list& list);

    // The list is going away: those who wait in it, and belong to this loop, are kept here.
    void take_over(wait_list& list);

private:
    void shutdown() noexcept override;

    std::mutex mutex_;  // strands of one loop may run in several threads, each with its own locks
    std::set<wait_list*> lists_;  // each has this in its loops_
    wait_list::line orphans_;     // coroutines that wait, and whose line is gone
};

inline void wait_list::join(node& waiting)
{
    if (loops_.empty() || &loops_.back()->context() != &waiting.context()) {
        enrol_with(waiting.context());
    }
    waiting.list_ = this;
    waiting_.push_back(waiting);
}

}  // namespace common::detail
