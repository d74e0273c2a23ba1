// A number of permits: so many coroutines at a time, the others wait in line.
//
// A semaphore bounds what runs at once: downloads, connections, open files. Who wants to take part
// acquires a permit, and when that goes out of scope the next in line has it. With one permit it is
// a mutex.
//
//     const auto permit = co_await slots.acquire();
//
// A permit that is given back goes straight to the first who waits, so nobody who comes later can
// take it first. `release` adds permits that nobody held before: a semaphore that begins with none
// makes others wait until somebody hands out the first.
//
// Use a semaphore from one thread or one strand.

#pragma once

#include "common/detail/gate.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <optional>

namespace common {

class semaphore {
public:
    // One permit, or, when default constructed, moved from or released, none. It may outlive the
    // semaphore: from then on it is none.
    class permit {
    public:
        permit() = default;

        bool owns_permit() const { return pass_.holds() != nullptr; }

        // Gives it back now and not at the end of the scope. Does nothing where there is none.
        void release() { pass_.give_back(); }

    private:
        friend class semaphore;

        explicit permit(detail::gate& entered) : pass_(entered) {}

        detail::gate::pass pass_;
    };

    explicit semaphore(std::size_t permits) : gate_(permits) {}

    // Completes when the caller has a permit: at once, without a trip through the event loop, where
    // one is free.
    //
    // Cancelled (terminal, partial or total), it throws operation_aborted, and a permit that was on
    // its way goes to the next in line.
    //
    // As asyncio.Semaphore.acquire, whose `async with slots` is the permit here.
    boost::asio::awaitable<permit> acquire();

    // Takes a permit if one is free.
    std::optional<permit> try_acquire();

    // Adds `count` permits to those that there are. Those that are out are no concern of it: they
    // come back by themselves.
    void release(std::size_t count = 1) { gate_.open(count); }

    // How many can be acquired without waiting.
    std::size_t available() const { return gate_.free(); }

private:
    detail::gate gate_;
};

}  // namespace common
