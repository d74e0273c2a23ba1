// What the server allows. Whatever a client can make grow has a number here: without one, a single
// client decides how much memory the server takes, or how little the others get.

#pragma once

#include "common/clock.hpp"

#include <chrono>
#include <cstddef>

namespace chat {

struct limits {
    std::size_t clients = 1024;  // in the chat at once
    std::size_t visitors = 128;  // connections beside those: pages that load, clients to be refused
    std::size_t rooms = 100;
    std::size_t rooms_per_client = 8;
    std::size_t crowd = 100;        // people in a room, up to whom comings and goings are announced
    std::size_t name_bytes = 20;    // of a nickname, or of a room's name
    std::size_t text_bytes = 2000;  // of what somebody says
    std::size_t head_bytes = 8192;  // of a request's first line and headers
    std::size_t frame_bytes = 4096;  // of a WebSocket message that comes in, as JSON
    std::size_t history = 50;        // messages that a room keeps for those who join later

    double rate = 5;    // messages a second from one client, on the long run
    double burst = 20;  // and so many at once, after a pause

    // Messages that wait for one client. A room's history counts as one, together with the "joined"
    // before it: whoever joins gets them in one go, and can be joining all its rooms at once.
    std::size_t outgoing = 256;

    // What the system keeps for a client that does not read, in bytes. It would let this grow to
    // megabytes, for each.
    int send_buffer = 64 * 1024;

    // Until a client has sent a request, has said who it is, or has taken a message.
    common::duration patience = std::chrono::seconds(10);
    common::duration idle = std::chrono::seconds(60);  // until a silent client counts as gone
    common::duration grace = std::chrono::seconds(3);  // for goodbyes, when the server stops
};

}  // namespace chat
