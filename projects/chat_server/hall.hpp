// The chat itself: who is there, under which name, in which rooms, and who hears what.
//
// It knows no socket. What a guest sends comes in as text, and what is to go out goes into the
// outboxes. So the rules of the chat stand in one place, and are tested without a network.
//
// What one says goes to all in the room. If a thousand people speak in one room at the same time,
// that makes a million messages in one turn of the event loop, and nobody could be blamed for not
// having read them yet. So few guests are heard at once: `handle` takes a permit, and gives it back
// after a turn of the loop, in which those who write to the others get on. A guest who is not heard
// yet is not read from, its socket fills, and it is slowed down: backpressure. So the outbox of a
// guest who reads stays nearly empty, and a full one means what it should mean.
//
// It is a few guests, and not one, because what they say in the same turn goes out in the same
// write. That is where a busy server saves most.

#pragma once

#include "chat_server/limits.hpp"
#include "chat_server/messages.hpp"
#include "chat_server/outbox.hpp"

#include "common/semaphore.hpp"

#include <boost/asio/awaitable.hpp>

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace chat {

class hall {
    struct room;

public:
    // One client, as long as this lives. Without a word it leaves when it is destroyed, so that
    // nothing is left of it whatever ends the connection; `see_off` tells the others.
    class guest {
    public:
        // Both must outlive it. In a hall that is closed, the outbox is finished at once.
        guest(hall& inside, outbox& out);
        ~guest();
        guest(const guest&) = delete;
        guest& operator=(const guest&) = delete;

        bool has_name() const { return !nick_.empty(); }

    private:
        friend class hall;

        hall& hall_;
        outbox& out_;
        std::string nick_;          // empty before it has one
        std::vector<room*> rooms_;  // in which it is
        std::list<guest*>::iterator place_;
    };

    explicit hall(const limits& allowed) : allowed_(allowed) {}

    // Does what a guest asks for, or posts a `refused` to it. Completes when those who hear of it
    // have had the time to write. Throws operation_aborted when it is cancelled; the request may be
    // done then.
    boost::asio::awaitable<void> handle(guest& from, std::string_view request);

    // Tells the rooms that a guest leaves, in the same way.
    boost::asio::awaitable<void> see_off(guest& leaving);

    // Drops the guests who have not taken a message for as long as the patience lasts, or a quarter
    // longer. Runs until it is cancelled. It is one coroutine with one timer for all of them: a
    // timeout around each write costs more than the write.
    boost::asio::awaitable<void> drop_the_stuck();

    // Finishes every outbox, now and from now on: going away.
    void close();

private:
    struct room {
        std::string name;
        std::vector<guest*> people;   // in the order in which they came
        std::deque<message> history;  // the last ones that were said
        common::time_point deserted;  // when the last of them left
    };

    void grant(guest& from, const introduce& wanted);
    void grant(guest& from, const join& wanted);
    void grant(guest& from, const leave& wanted);
    void grant(guest& from, const say& wanted);
    void grant(guest& from, const tell& wanted);

    room& room_named(const std::string& name);
    void make_room_for_another();
    room& room_with(const guest& member, const std::string& name);
    void go_out(guest& leaving, room& from);
    void announce(const room& where, const message& coming_or_going) const;
    static void post_to(const room& all, const message& news);

    const limits& allowed_;
    std::list<guest*> guests_;
    std::map<std::string, guest*> nicks_;  // by the nickname in lower case
    std::map<std::string, room> rooms_;
    common::semaphore heard_at_once_{8};
    bool closed_ = false;
};

}  // namespace chat
