// Many clients at once, who measure how the server does.
//
// All of them join a room and read; some of them speak, at a steady pace that does not wait for
// answers. Each message carries who sent it, its number, and when. So every client can tell that it
// has got every message of its room, that those of one sender came in their order, and how long
// each was on its way.
//
// A speaker who waited for the answer before it went on would spare a slow server the load, and
// with it the bad figures. Here the time counts from when the message was due.

#pragma once

#include "common/clock.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>

namespace chat {

struct load {
    std::size_t clients = 1000;
    std::size_t rooms = 1;                                  // into which the clients are divided
    std::size_t speakers = 20;                              // of the clients
    std::size_t messages = 50;                              // from each of them
    double rate = 1;                                        // messages a second from each of them
    common::duration deadline = std::chrono::seconds(100);  // for all of it
};

// Connects to 127.0.0.1, does all this, and prints what came of it. Gives whether every message
// came to every client of its room, in order, before the deadline. Throws std::runtime_error when a
// client cannot connect, or is refused.
boost::asio::awaitable<bool> run_load(unsigned short port, load what);

}  // namespace chat
