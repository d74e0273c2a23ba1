// The server: it takes connections, and closes the house when it is told to.
//
// Closing goes in steps. No new connection is taken. Each client gets what is waiting for it, and
// then a close frame with the code 1001, going away, so that a page knows that it may come back.
// Most have gone then; whoever has not when the grace is over is cut off.

#pragma once

#include "chat_server/limits.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>
#include <vector>

namespace chat {

// Serves the connections that come to `door` until `stop` completes, and then for the grace at
// most. The origins are those that are trusted besides the server's own.
boost::asio::awaitable<void> serve(
    boost::asio::ip::tcp::acceptor& door, limits allowed, std::vector<std::string> origins,
    boost::asio::awaitable<void> stop);

// Listens on 127.0.0.1, on that port or, for 0, on one that the system picks, and says so on
// stdout. Serves until SIGINT or SIGTERM. Throws boost::system::system_error when the port is
// taken.
boost::asio::awaitable<void> serve_port(
    unsigned short port, limits allowed, std::vector<std::string> origins);

}  // namespace chat
