// What waits to be sent to one client, and how its connection is to end.
//
// Whoever posts a message never waits: a room speaks to a thousand people, and cannot stop for one
// of them who does not read. So the outbox is bounded, and a message that finds it full is one too
// many. The client has had its time, and is dropped: it is better to lose it than to lose messages
// in between, or memory without end. It can come back, and have the history.
//
// Whoever writes takes what is there at once. While a write is under way, more comes in, and the
// next write takes it along: the more there is to do, the less each message costs. But a write has
// an end, since the client has to take it in time: what is more than the outbox has room for, as
// long histories are, is taken in parts.
//
// Two ways lead out. `finish` is the polite one: what is there is still sent, and then a close
// frame, which says why. `drop` gives the client up.

#pragma once

#include "chat_server/messages.hpp"

#include "common/event.hpp"
#include "common/queue.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace chat {

// What the close frame has in it.
struct goodbye {
    std::uint16_t code = 1000;  // as RFC 6455 has them: 1000 is the normal end
    std::string reason;
};

class outbox {
public:
    explicit outbox(std::size_t capacity) : capacity_(capacity), posts_(capacity) {}

    // For those who have something to say. When the outbox is full, this drops the client; once it
    // is finished or dropped, it does nothing. Messages that are posted together count as one.
    void post(const message& news);
    void post(std::vector<message> together);

    // For the one who writes to the client. Completes with the messages that are there, but no more
    // than the capacity, as soon as there is one; with none when the outbox is finished and nothing
    // is left. Throws operation_aborted when it is cancelled.
    boost::asio::awaitable<std::vector<message>> next();

    // For the one who looks after all outboxes now and then. Gives how many times in a row it has
    // looked while the client had not taken what next() gave last. That is no time: when the whole
    // server has stood still for a while, no client is to blame.
    int look_while_busy();

    // The first goodbye counts.
    void finish(const goodbye& last_words);

    // The first reason counts; it is for the log.
    void drop(std::string_view why);

    bool is_dropped() const { return dropped_.is_set(); }
    std::string_view why_dropped() const { return why_dropped_; }

    // Completes when the client is dropped. Throws operation_aborted when it is cancelled.
    boost::asio::awaitable<void> wait_for_drop() { return dropped_.wait(); }

    const goodbye& last_words() const { return last_words_; }

private:
    void take(const std::vector<message>& together);

    const std::size_t capacity_;
    common::queue<std::vector<message>> posts_;
    std::deque<message> taken_;  // from there, and not yet given by next()
    common::event dropped_;
    bool busy_ = false;  // next() has completed, and has not been called since
    int looks_ = 0;      // while it was so
    std::string why_dropped_;
    goodbye last_words_;
    bool finished_ = false;
};

}  // namespace chat
