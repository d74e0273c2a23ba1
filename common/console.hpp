// A conversation between a connection and whoever is at the keyboard, or at the ends of two pipes.
//
// What comes in on stdin is sent, and what is received goes to stdout, each as it comes, as nc does
// it. The end of stdin is passed on: it closes that side of the connection, and the answers still
// come. When the peer ends its side, there is nothing more to say, whatever stdin may still hold.

#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace common {

// Completes when the peer has ended its side. Throws boost::system::system_error when the
// connection breaks, or stdout does.
//
// While it runs, stdin and stdout do not block; that concerns everybody who shares them, such as
// other programs on the same terminal. Afterwards they are as they were.
boost::asio::awaitable<void> converse(boost::asio::ip::tcp::socket& peer);

}  // namespace common
