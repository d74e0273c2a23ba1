// One connection, from the first byte to the last.
//
// A browser comes with HTTP requests for the page, and then with one that asks to go on as a
// WebSocket. From there on four coroutines share the connection. One reads what the client says
// and gives it to the hall. One writes what is in the client's outbox; its end is the end of the
// others. One guards: it closes the socket when the hall drops the client. One waits a while for
// the client's name. Whichever way it goes, they are tasks of one group, and nothing of the client
// is left when that has ended.
//
// Three things are never waited for without a limit: a request, a message that the client does not
// take, and a sign of life. The last one is a ping, after half of `idle`. Who has lost its power or
// its network does not end the connection; it never answers again.

#pragma once

#include "chat_server/hall.hpp"
#include "chat_server/limits.hpp"

#include "common/event.hpp"
#include "common/semaphore.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <vector>

namespace chat {

// What all connections share.
struct house {
    limits allowed;
    std::vector<std::string> origins;  // trusted besides the server's own: "https://chat.example"
    hall chat{allowed};
    common::semaphore seats{allowed.clients};  // a client in the chat holds one
    common::event closing{};                   // set when the server stops
};

// Serves the client until one of them ends the connection, or the house closes. What goes wrong is
// this connection's matter: it is logged, and nothing is thrown. Cancelled, it ends without a
// goodbye.
boost::asio::awaitable<void> serve_connection(boost::asio::ip::tcp::socket client, house& host);

}  // namespace chat
