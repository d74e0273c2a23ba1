#include "tests/support/client.hpp"

#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace support {

namespace {

[[noreturn]] void fail(const char* what)
{
    throw std::system_error(errno, std::system_category(), what);
}

template <class Value>
void set_option(int socket, int name, const Value& value)
{
    if (::setsockopt(socket, SOL_SOCKET, name, &value, sizeof value) != 0) {
        fail("setsockopt");
    }
}

}  // namespace

client::client(unsigned short port, int receive_buffer)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
{
    if (socket_ < 0) {
        fail("socket");
    }
    const timeval minute{60, 0};
    set_option(socket_, SO_RCVTIMEO, minute);
    set_option(socket_, SO_SNDTIMEO, minute);
    if (receive_buffer > 0) {
        set_option(socket_, SO_RCVBUF, receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const int error = errno;
        ::close(socket_);
        errno = error;
        fail("connect");
    }
}

client::~client()
{
    if (socket_ >= 0) {
        ::close(socket_);
    }
}

client::client(client&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), received_(std::move(other.received_))
{
}

void client::send(std::string_view bytes)
{
    while (!bytes.empty()) {
        const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0) {
            fail("send");
        }
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

std::size_t client::send_some(std::string_view bytes, int patience)
{
    pollfd writable{socket_, POLLOUT, 0};
    if (::poll(&writable, 1, patience) <= 0) {
        return 0;
    }
    const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno != EAGAIN) {
        fail("send");
    }
    return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

void client::end_sending()
{
    if (::shutdown(socket_, SHUT_WR) != 0) {
        fail("shutdown");
    }
}

void client::reset()
{
    const linger at_once{1, 0};
    set_option(socket_, SO_LINGER, at_once);
    ::close(std::exchange(socket_, -1));
}

std::string client::line()
{
    while (true) {
        const auto end = received_.find('\n');
        if (end != std::string::npos) {
            auto line = received_.substr(0, end);
            received_.erase(0, end + 1);
            return line;
        }
        if (!receive()) {
            throw std::runtime_error("the server has ended the connection after: " + received_);
        }
    }
}

std::string client::rest()
{
    while (receive()) {
    }
    return std::exchange(received_, {});
}

bool client::receive()
{
    std::array<char, 65536> bytes;
    const auto size = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (size < 0) {
        fail("recv");
    }
    received_.append(bytes.data(), static_cast<std::size_t>(size));
    return size > 0;
}

bool is_refused(unsigned short port)
{
    try {
        const client caller(port);
        return false;
    } catch (const std::system_error& error) {
        return error.code() == std::errc::connection_refused;
    }
}

}  // namespace support
