// A socket that belongs to a library, watched by the event loop.
//
// libpq opens its socket, reads it, writes it and closes it. All that it lacks is a way to wait
// without blocking the thread. This waits, and does nothing else: no byte goes through it, and when
// it is destroyed, the socket is let go of, not closed.
//
// It must go before the library closes the socket, or in the same breath: the next file that is
// opened gets the number of the one that was closed last, and letting go of the old socket then
// would make the loop deaf to the new one.

#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

namespace db {

class borrowed_socket {
public:
    borrowed_socket(boost::asio::any_io_executor executor, int socket);
    ~borrowed_socket();
    borrowed_socket(const borrowed_socket&) = delete;
    borrowed_socket& operator=(const borrowed_socket&) = delete;

    // Completes when there is something to read, or the other side has gone: at once, if that is so
    // already. Cancelled, it throws operation_aborted.
    boost::asio::awaitable<void> readable();

    // The same for room to write.
    boost::asio::awaitable<void> writable();

private:
    boost::asio::posix::stream_descriptor descriptor_;
};

}  // namespace db
