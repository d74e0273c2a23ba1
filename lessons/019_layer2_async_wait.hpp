// Layer 2: Asio waits, and the system calls are one's own. For lesson 019.
//
// `async_wait` completes when the descriptor is ready, and does nothing with it. It is for sockets
// that somebody else reads from and writes to: a C library that says "call me when this is ready",
// as the clients of many databases do.
//
// The waits have a place in the program now. Where it was, the coroutine knows.

#pragma once

#include "lessons/019_layer1_epoll.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <array>
#include <cstddef>

namespace by_hand {

// Writes back what it reads, until the other side ends.
inline boost::asio::awaitable<void> echo_by_async_wait(boost::asio::posix::stream_descriptor socket)
{
    std::array<char, 65536> bytes;  // more than the socket takes at once
    while (true) {
        co_await socket.async_wait(socket.wait_read, boost::asio::deferred);
        const auto count = receive(socket.native_handle(), bytes.data(), bytes.size());
        if (count == 0u) {
            co_return;
        }
        for (std::size_t done = 0; done < count.value_or(0);) {
            co_await socket.async_wait(socket.wait_write, boost::asio::deferred);
            done += send(socket.native_handle(), &bytes[done], *count - done).value_or(0);
        }
    }
}

}  // namespace by_hand
