// A lock for coroutines: one at a time, the others wait in line.
//
// Between two awaits a coroutine of a one-threaded program is alone, and needs no lock. It needs
// one where something must stay as it is across an await: read, wait, write. `std::mutex` is no
// help there. It blocks the thread, and with it the coroutine that would unlock it.
//
// Here the coroutine is suspended, and the thread goes on. Unlocking hands the lock to the first in
// line, so it is never free while somebody waits, and nobody who comes later can take it first. Who
// unlocks and locks again goes to the end of the line. The next coroutine does not run inside the
// unlock: it is queued, and has its turn when the one that unlocked is suspended.
//
// The lock is held through a guard, which unlocks when it goes out of scope, by an exception too:
//
//     const auto guard = co_await mutex.lock();
//
// Use a mutex from one thread or one strand.

#pragma once

#include "common/detail/gate.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>

namespace common {

class mutex {
public:
    // Holds the lock, or, when default constructed, moved from or unlocked, nothing. It may outlive
    // the mutex: from then on it holds nothing.
    class guard {
    public:
        guard() = default;

        bool owns_lock() const { return pass_.holds() != nullptr; }

        // Unlocks now and not at the end of the scope. Does nothing where it holds nothing.
        void unlock() { pass_.give_back(); }

    private:
        friend class mutex;
        friend class condition_variable;

        explicit guard(detail::gate& entered) : pass_(entered) {}

        detail::gate::pass pass_;
    };

    // Completes when the caller has the lock: at once, without a trip through the event loop, where
    // it is free.
    //
    // Cancelled (terminal, partial or total), it throws operation_aborted, and the caller does not
    // have the lock; where it had been handed over already, it goes to the next in line.
    //
    // As asyncio.Lock.acquire, whose `async with lock` is the guard here.
    boost::asio::awaitable<guard> lock();

    // Takes the lock if it is free.
    std::optional<guard> try_lock();

    // Somebody has it, or it is on its way to somebody.
    bool locked() const { return gate_.free() == 0; }

private:
    detail::gate gate_{1};
};

}  // namespace common
