// One TCP connection to a server, and one exchange after another over it.
//
// An HTTP/1.1 connection carries a request, the whole answer to it, then the next request. So it
// can be used again when three things are true: the answer has come to its end, the server has not
// said that it will close, and nothing has come that nobody asked for. Whoever awaits an exchange
// may be cancelled at any point of it; then the rest of an answer may still be under way, and the
// connection is good for nothing but to be closed. `is_reusable` is true only between two exchanges
// that went well.
//
// Boost.Beast speaks the protocol. It takes its while to compile, so it stays in the .cpp file.

#pragma once

#include "api_client/http_message.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace http {

// Cancelled (terminal), what awaits here throws operation_aborted, and the connection is not
// reusable.
class connection {
public:
    explicit connection(boost::asio::any_io_executor executor);

    // Finds the address and connects; where a name has several addresses, it tries them in turn.
    // Throws exchange_error, no_connection.
    boost::asio::awaitable<void> open(const url& where);

    // Sends the request, which has to be sendable, and completes when the whole answer is here.
    // Throws exchange_error.
    boost::asio::awaitable<response> exchange(const request& what);

    // Whether another exchange may follow. It asks the system whether the server has closed its
    // side, or has sent something since the last answer, so it is worth asking just before.
    bool is_reusable();

private:
    boost::asio::ip::tcp::socket socket_;
    bool is_clean_ = false;  // the last exchange, or the opening, has left nothing behind
};

}  // namespace http
