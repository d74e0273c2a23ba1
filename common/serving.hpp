// What a server needs once it is left alone with the world.
//
// Asio accepts connections, reads and writes. What goes beyond that goes well in every trial, and
// wrong in every server that runs for long:
//
// - It runs out of descriptors. The connection that cannot be accepted stays in the system's queue,
//   so the acceptor is ready again at once, and a loop that goes straight back to it takes a whole
//   processor. `accept` pauses, and goes on when there is room. `raise_descriptor_limit` moves the
//   limit out of the way, as far as that is allowed.
// - A peer does not read. What is sent to it fills the system's buffers, and then the sender waits,
//   for ever. `send` has a limit.
// - It closes a connection while bytes are coming in that it has not read. TCP then resets the
//   connection, and a reset overtakes what was sent last: the peer may never see it. `hang_up` says
//   goodbye first, and waits for the peer's.
// - It is told to stop. `stop_signal` hears it.

#pragma once

#include "common/clock.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>

#include <cstddef>
#include <optional>
#include <string_view>

namespace common {

// Lets this process have as many files and sockets open as the system allows it: raises the soft
// limit to the hard one. Gives the limit that then holds. Throws std::system_error.
std::size_t raise_descriptor_limit();

// Completes with the next connection, or with nothing when the acceptor is closed. While the
// process or the system has no descriptor or no memory for a connection, tries again every 50 ms,
// on the run's clock. Throws what else is wrong with the acceptor, and operation_aborted when it
// is cancelled.
boost::asio::awaitable<std::optional<boost::asio::ip::tcp::socket>> accept(
    boost::asio::ip::tcp::acceptor& acceptor);

// Completes when the system has taken all of the bytes: at once, without a trip through the event
// loop, where it has room for them. Throws boost::system::system_error: timed_out when it has not
// taken them after `patience`, because the peer does not read; else what is wrong with the
// connection. Some of the bytes may have been sent then.
boost::asio::awaitable<void> send(
    boost::asio::ip::tcp::socket& socket, std::string_view bytes, duration patience);

// Ends a connection without losing what was sent last: sends the end of the stream, then reads and
// drops what the peer still sends, until it has ended its side too, or `patience` is over. The
// socket can be closed then. Throws nothing when the peer is gone already; cancelled, it throws
// operation_aborted, or leaves that to the next await.
boost::asio::awaitable<void> hang_up(boost::asio::ip::tcp::socket& socket, duration patience);

// Keeps SIGINT and SIGTERM from ending the program, from its construction to the first of them.
class stop_signal {
public:
    explicit stop_signal(boost::asio::any_io_executor executor);

    // Does the same with one more signal, before the wait.
    void add(int signal);

    // Completes when one of them has come. The next one has its usual effect: a second Ctrl-C ends
    // a program that takes too long over stopping.
    boost::asio::awaitable<void> wait();

private:
    boost::asio::signal_set signals_;
};

}  // namespace common
