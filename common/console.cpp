#include "common/console.hpp"

#include "common/task_group.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <array>

#include <fcntl.h>
#include <unistd.h>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace common {

namespace {

// A standard stream, for as long as this lives. Asio makes it non-blocking, and the flag belongs to
// the open file, not to the descriptor.
class standard_stream {
public:
    standard_stream(const asio::any_io_executor& executor, int descriptor)
        : flags_(::fcntl(descriptor, F_GETFL)), stream_(executor, ::dup(descriptor))
    {
    }

    ~standard_stream() { ::fcntl(stream_.native_handle(), F_SETFL, flags_); }

    standard_stream(const standard_stream&) = delete;
    standard_stream& operator=(const standard_stream&) = delete;

    asio::posix::stream_descriptor& stream() { return stream_; }

private:
    const int flags_;
    asio::posix::stream_descriptor stream_;
};

// Gives the error that ended it; the end of the stream is one.
template <class From, class To>
asio::awaitable<error_code> copy(From& from, To& to)
{
    std::array<char, 4096> bytes;
    while (true) {
        const auto [read_error, size] =
            co_await from.async_read_some(asio::buffer(bytes), asio::as_tuple(asio::deferred));
        if (read_error) {
            co_return read_error;
        }
        const auto [write_error, written] = co_await asio::async_write(
            to, asio::buffer(bytes, size), asio::as_tuple(asio::deferred));
        if (write_error) {
            co_return write_error;
        }
    }
}

asio::awaitable<void> send(asio::posix::stream_descriptor& input, tcp::socket& peer)
{
    co_await copy(input, peer);
    error_code gone;
    peer.shutdown(tcp::socket::shutdown_send, gone);
}

}  // namespace

asio::awaitable<void> converse(tcp::socket& peer)
{
    const auto executor = co_await asio::this_coro::executor;
    standard_stream input(executor, STDIN_FILENO);
    standard_stream output(executor, STDOUT_FILENO);
    error_code end;
    co_await with_task_group([&](task_group& both) -> asio::awaitable<void> {
        both.spawn(send(input.stream(), peer));
        end = co_await copy(peer, output.stream());
        both.cancel();
    });
    if (end != asio::error::eof) {
        throw boost::system::system_error(end);
    }
}

}  // namespace common
