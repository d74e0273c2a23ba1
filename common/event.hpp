// News that coroutines wait for: one sets it, all who wait go on.
//
// Without it one waits on a timer that never expires, and whoever has the news cancels the timer.
// That wakes whoever waits already, and is lost on whoever comes later. An event remembers: it is
// set or it is not, and waiting for one that is set takes no time.
//
// `clear` makes it wait again. Who was waiting when it was set goes on all the same, also if it is
// cleared before they have their turn.
//
// Use an event from one thread or one strand.

#pragma once

#include "common/detail/wait_list.hpp"

#include <boost/asio/awaitable.hpp>

namespace common {

class event {
public:
    // Queues all who wait, in the order in which they came; none of them runs inside the call.
    void set();

    void clear() { set_ = false; }

    bool is_set() const { return set_; }

    // Completes when the event is set: at once, without a trip through the event loop, where it is.
    //
    // Cancelled (terminal, partial or total), it throws operation_aborted. Once the event has been
    // set, that is too late, and the wait completes.
    //
    // As asyncio.Event.wait.
    boost::asio::awaitable<void> wait();

private:
    bool set_ = false;
    detail::wait_list waiting_;  // empty while it is set
};

}  // namespace common
