#include "common/serving.hpp"

#include "common/timeout.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>
#include <tuple>
#include <utility>

#include <sys/resource.h>

namespace asio = boost::asio;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace common {

namespace {

// This acceptor will never accept anything. Whatever else accept(2) reports is a shortage, or the
// matter of a single connection, and passes.
bool is_final(const boost::system::error_code& error)
{
    return error == asio::error::operation_aborted || error == asio::error::bad_descriptor ||
           error == asio::error::invalid_argument;
}

// Reads until the end, or an error. It asks before it waits: if the end has been read already,
// Asio's epoll back end would wait for it for ever, since the system reports it once. And it lets
// others run between two reads: a peer that sends without end always has something to read.
asio::awaitable<void> drop_input(tcp::socket& socket)
{
    std::array<char, 4096> bytes;
    boost::system::error_code error;
    socket.non_blocking(true, error);
    while (!error) {
        socket.read_some(asio::buffer(bytes), error);
        if (error == asio::error::would_block) {
            auto wait = socket.async_wait(tcp::socket::wait_read, asio::as_tuple(asio::deferred));
            std::tie(error) = co_await std::move(wait);
        } else if (!error) {
            co_await yield();
        }
    }
}

}  // namespace

std::size_t raise_descriptor_limit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        throw std::system_error(errno, std::system_category(), "getrlimit");
    }
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        throw std::system_error(errno, std::system_category(), "setrlimit");
    }
    return limit.rlim_cur;
}

asio::awaitable<std::optional<tcp::socket>> accept(tcp::acceptor& acceptor)
{
    while (acceptor.is_open()) {
        tcp::socket socket(acceptor.get_executor());
        const auto [error] = co_await acceptor.async_accept(socket, asio::as_tuple(asio::deferred));
        if (!error) {
            co_return socket;
        }
        if (!acceptor.is_open()) {
            break;
        }
        if (is_final(error)) {
            throw boost::system::system_error(error);
        }
        co_await sleep_for(50ms);
    }
    co_return std::nullopt;
}

asio::awaitable<void> send(tcp::socket& socket, std::string_view bytes, duration patience)
{
    // A timer and a trip through the loop cost more than the sending, so they are for the rest.
    if (!socket.non_blocking()) {
        socket.non_blocking(true);
    }
    boost::system::error_code error;
    bytes.remove_prefix(socket.write_some(asio::buffer(bytes), error));
    if (error && error != asio::error::would_block) {
        throw boost::system::system_error(error);
    }
    if (bytes.empty()) {
        co_return;
    }
    try {
        co_await with_timeout(
            patience, asio::async_write(socket, asio::buffer(bytes), asio::use_awaitable));
    } catch (const timeout_error&) {
        throw boost::system::system_error(asio::error::timed_out);
    }
}

asio::awaitable<void> hang_up(tcp::socket& socket, duration patience)
{
    boost::system::error_code gone;
    socket.shutdown(tcp::socket::shutdown_send, gone);
    if (!gone) {
        try {
            co_await with_timeout(patience, drop_input(socket));
        } catch (const timeout_error&) {
            // It has been waited for long enough.
        }
    }
}

stop_signal::stop_signal(asio::any_io_executor executor)
    : signals_(std::move(executor), SIGINT, SIGTERM)
{
}

void stop_signal::add(int signal)
{
    signals_.add(signal);
}

asio::awaitable<void> stop_signal::wait()
{
    co_await signals_.async_wait(asio::deferred);
    signals_.clear();
}

}  // namespace common
