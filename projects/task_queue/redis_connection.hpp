// A connection to Redis: the C library hiredis on Asio's event loop.
//
// hiredis knows the protocol: it puts commands into bytes, and makes replies of what it reads. In
// its asynchronous form it does no waiting. It asks the program to watch its socket, through a few
// functions: addRead and addWrite say that it wants to know when the socket can be read or written,
// delRead and delWrite that it does not any more, and cleanup that it is about to close it. When
// the time has come, the program calls redisAsyncHandleRead or redisAsyncHandleWrite, and hiredis
// calls back for each reply.
//
// Here the socket is wrapped in a stream_descriptor, whose async_wait says when it is ready, while
// hiredis does the reading and writing. The socket belongs to hiredis. The wrapper lets go of it in
// cleanup, and never closes it: closed twice, the number could be another file's by then.
//
// The first connection makes this program ignore SIGPIPE.
//
// (hiredis 1.0 has a timer, too, for its own timeouts. They are not switched on; with_timeout does
// that for every operation.)

#pragma once

#include "common/event.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace task_queue {

// Where a Redis listens: an address and a port, or the path of a socket.
class redis_address {
public:
    // From "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". Throws std::invalid_argument.
    explicit redis_address(std::string_view text);

    std::string host;  // "" where it is a path
    std::string port;
    std::string path;

    const std::string& text() const { return text_; }

private:
    std::string text_;
};

// What Redis answers: nothing, a number, a text, or an array of these.
struct redis_reply {
    enum class kind { nil, number, text, array };

    kind is = kind::nil;
    long long number = 0;
    std::string text;
    std::vector<redis_reply> elements;
};

// Redis has understood the command, and refuses it.
class redis_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// Whether the command was carried out is not known.
class connection_lost : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class redis_connection {
public:
    // Begins to connect. The address must be one that needs no looking up: a host name would be
    // looked up here, and everything else would wait. Throws connection_lost.
    redis_connection(
        boost::asio::any_io_executor executor, const std::string& host, unsigned short port);
    redis_connection(boost::asio::any_io_executor executor, const std::string& path);

    // Closes it.
    ~redis_connection();

    redis_connection(const redis_connection&) = delete;
    redis_connection& operator=(const redis_connection&) = delete;

    // Sends a command, its name and arguments, and completes with the reply. Commands may overlap:
    // they are sent at once, and answered in their order. Throws redis_error for an error as the
    // reply, and connection_lost when the connection ends before there is one.
    //
    // Cancelled, it throws operation_aborted. The command may have been carried out, or be so
    // later.
    boost::asio::awaitable<redis_reply> command(std::vector<std::string> words);

    // Whether it is there, or is being made.
    bool open() const;

    // Completes when the connection has ended, or could not be made.
    boost::asio::awaitable<void> wait_for_end();

    // Why it has ended.
    const std::string& why() const;

    // Ends it, for this reason. Commands that have no answer throw connection_lost.
    void close(std::string why);

private:
    class link;

    std::shared_ptr<link> link_;
};

}  // namespace task_queue
