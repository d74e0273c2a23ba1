// Layer 1: an echo by hand, with the system calls that Asio makes underneath. For lesson 019.
//
// epoll keeps a list of descriptors, and for each what one waits for: that there is something to
// read, or room to write. epoll_wait sleeps until one of them is ready, and says which. Then a read
// or a write takes what there is, which can be less than was asked for, and never waits.
//
// There is one wait for all, so there is no place in the program that means "here I wait for this
// socket". What has been read and not yet written, and what is to be waited for next, is kept in
// variables, and looked up after each wait. With a thousand sockets there are a thousand of these.

#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

namespace by_hand {

// The result of a system call, or nothing where it has to be tried again later.
inline std::optional<std::size_t> tried(ssize_t result)
{
    if (result >= 0) {
        return static_cast<std::size_t>(result);
    }
    if (errno == EAGAIN || errno == EINTR) {
        return std::nullopt;
    }
    throw std::system_error(errno, std::generic_category());
}

inline std::optional<std::size_t> receive(int socket, char* bytes, std::size_t room)
{
    return tried(::recv(socket, bytes, room, MSG_DONTWAIT));
}

inline std::optional<std::size_t> send(int socket, const char* bytes, std::size_t count)
{
    return tried(::send(socket, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL));
}

class epoll {
public:
    // When the call in the body throws, the destructor closes the descriptor: the other constructor
    // has completed.
    explicit epoll(int watched) : epoll() { change(EPOLL_CTL_ADD, watched, EPOLLIN); }
    ~epoll() { ::close(descriptor_); }
    epoll(const epoll&) = delete;
    epoll& operator=(const epoll&) = delete;

    void watch(int watched, std::uint32_t events) { change(EPOLL_CTL_MOD, watched, events); }

    // Sleeps until the socket is ready, or a signal comes.
    void wait()
    {
        epoll_event ready{};
        tried(::epoll_wait(descriptor_, &ready, 1, -1));
    }

private:
    epoll() : descriptor_(static_cast<int>(*tried(::epoll_create1(EPOLL_CLOEXEC)))) {}

    void change(int operation, int watched, std::uint32_t events)
    {
        epoll_event wanted{events, {}};
        tried(::epoll_ctl(descriptor_, operation, watched, &wanted));
    }

    const int descriptor_;
};

// Writes back what it reads, until the other side ends. Blocks its thread.
inline void echo_by_epoll(int socket)
{
    epoll ready(socket);
    std::array<char, 65536> bytes;  // more than the socket takes at once
    std::size_t begin = 0;          // from here to `end` it has been read, and must be written
    std::size_t end = 0;
    while (true) {
        ready.wait();
        if (begin < end) {
            begin += send(socket, &bytes[begin], end - begin).value_or(0);
        } else if (const auto count = receive(socket, bytes.data(), bytes.size())) {
            begin = 0;
            end = *count;
            if (end == 0) {
                return;
            }
        }
        ready.watch(socket, begin < end ? EPOLLOUT : EPOLLIN);
    }
}

}  // namespace by_hand
