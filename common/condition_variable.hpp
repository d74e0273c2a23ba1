// Waiting, inside a lock, until somebody else has changed what the lock protects.
//
// A coroutine holds the lock and finds that it cannot go on: the buffer is empty. It must let go of
// the lock, or nobody could ever fill the buffer, and it must have it back when it goes on. `wait`
// does both. It gives up the lock and joins the line in one step, so that no notification falls
// between the two; and before it returns or throws, it takes the lock again.
//
// Between the notification and that moment others may have had the lock. What was true then need
// not be true any more, so the question is asked again:
//
//     auto guard = co_await mutex.lock();
//     co_await filled.wait(guard, [&] { return !buffer.empty(); });
//
// Use a condition variable from the thread or strand that its mutex is used from.

#pragma once

#include "common/detail/wait_list.hpp"
#include "common/mutex.hpp"

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <utility>

namespace common {

class condition_variable {
public:
    // Unlocks, waits for a notification, and locks again, for which it waits in the mutex's line
    // like everybody. Throws std::logic_error when the guard holds no lock.
    //
    // Cancelled (terminal, partial or total), it throws operation_aborted, and that with the lock
    // held, which can take until others have unlocked. A notification that was on its way goes to
    // the next who waits. Cancelled while it is taking the lock back after a notification, it
    // returns as if it were not; the next await will throw.
    //
    // As asyncio.Condition.wait.
    boost::asio::awaitable<void> wait(mutex::guard& guard);

    // The same until `predicate()` is true. Asks first, with the lock held as always, and does not
    // wait where it is true already.
    //
    // As asyncio.Condition.wait_for.
    template <std::predicate Predicate>
    boost::asio::awaitable<void> wait(mutex::guard& guard, Predicate predicate)
    {
        require_lock(guard);
        while (!predicate()) {
            co_await wait(guard);
        }
    }

    // Wakes the one that has waited longest, or nobody where nobody waits. The caller may hold the
    // lock or not.
    void notify_one();

    // Wakes all who wait; they go on one after another, as they get the lock.
    void notify_all() { waiting_.release_all(); }

private:
    class listener;

    static void require_lock(const mutex::guard& guard);

    detail::wait_list waiting_;
};

}  // namespace common
