#include "connection_pool/borrowed_socket.hpp"

#include <boost/asio/deferred.hpp>

#include <utility>

namespace asio = boost::asio;
using asio::posix::stream_descriptor;

namespace db {

borrowed_socket::borrowed_socket(asio::any_io_executor executor, int socket)
    : descriptor_(std::move(executor), socket)
{
}

borrowed_socket::~borrowed_socket()
{
    descriptor_.release();
}

asio::awaitable<void> borrowed_socket::readable()
{
    co_await descriptor_.async_wait(stream_descriptor::wait_read, asio::deferred);
}

asio::awaitable<void> borrowed_socket::writable()
{
    co_await descriptor_.async_wait(stream_descriptor::wait_write, asio::deferred);
}

}  // namespace db
