// A meeting point for a fixed number of coroutines: nobody goes on before all have arrived.
//
// Workers that proceed in phases meet at the end of each. Who arrives early waits; the last to
// arrive opens the barrier for all, and it is closed again at once, for the next phase. Each gets
// its place in the order of arrival, and so one of them, the first or the last, can be the one that
// puts the results together.
//
// A worker that will never come would keep the others waiting. It calls `abort`: the barrier is
// then broken, and throws broken_barrier at all who wait and all who come, until somebody resets
// it.
//
// Use a barrier from one thread or one strand.

#pragma once

#include "common/detail/wait_list.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <stdexcept>

namespace common {

class broken_barrier : public std::runtime_error {
public:
    broken_barrier();
};

class barrier {
public:
    // Throws std::invalid_argument for no parties.
    explicit barrier(std::size_t parties);

    // Completes when all parties have arrived, for the last of them at once. Gives the place in the
    // order of arrival, 0 to parties - 1. Throws broken_barrier when the barrier is broken, or is
    // reset while this waits.
    //
    // Cancelled (terminal, partial or total), it throws operation_aborted, and the arrival counts
    // no more: another must come for it, and the places behind it close up. Once the last has
    // arrived, that is too late, and it completes with its place.
    //
    // As asyncio.Barrier.wait.
    boost::asio::awaitable<std::size_t> arrive_and_wait();

    // Breaks the barrier.
    void abort();

    // Makes it as new: not broken, and nobody there. Throws broken_barrier at those who wait.
    void reset();

    bool broken() const { return broken_; }

    // How many have arrived and wait for the others.
    std::size_t waiting() const { return waiting_.size(); }

private:
    class arrival;

    void open();

    const std::size_t parties_;
    bool broken_ = false;
    detail::wait_list waiting_;  // fewer than parties_, and nobody while it is broken
};

}  // namespace common
