// The addresses of a name, for whoever may lose patience.
//
// The system looks up a name by getaddrinfo(), which blocks for as long as the name servers take.
// Asio calls that in a thread of its own, one name after another. Nobody can interrupt it there,
// and Asio does not try: an `async_resolve` that is cancelled goes on until the lookup ends, and a
// timeout around it waits along.
//
// Here who waits and the lookup are two. The lookup sets an event when it has ended; the caller
// waits for that, and a caller who is cancelled leaves the lookup behind. It ends by itself, or is
// dropped if it was still in line. One that has begun counts as work of the event loop: the run,
// and so the program, does not end before it.

#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <string>

namespace common {

// Finds the addresses of `host`, each with the port, which is a number. An address needs no lookup.
// Throws boost::system::system_error where there is none.
//
// Cancelled (terminal, partial or total), it throws operation_aborted at once.
//
// As loop.getaddrinfo, which asyncio leaves behind in the same way, in a thread of its executor.
boost::asio::awaitable<boost::asio::ip::tcp::resolver::results_type> look_up(
    std::string host, std::string port);

}  // namespace common
