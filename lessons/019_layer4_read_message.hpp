// Layer 4: an asynchronous operation of one's own, which reads a message. For lesson 019.
//
// Asio's own operations have a form: a call that starts them, a completion token that says how the
// result comes, cancellation through the slot of whoever waits. `async_compose` gives that form to
// a row of smaller operations. What is to be done is written as a function object, which is called
// first to begin, and then with the result of each smaller operation; it starts the next one, and
// hands itself over as its handler, or completes.
//
// It must not complete inside the call that starts it, when its caller is not suspended yet. So it
// begins with a post.

#pragma once

#include "lessons/019_frames.hpp"
#include "lessons/019_layer3_transport.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace wire {

// A socket, and what has been read from it and is in no message yet.
struct message_stream {
    message_stream(socket connected, std::size_t limit)
        : connection(std::move(connected)), parser(limit)
    {
    }

    socket connection;
    frames::parser parser;
    std::array<char, 4096> bytes;  // of one read
};

class read_message {
public:
    explicit read_message(message_stream& from) : from_(from) {}

    // `self` is the operation as a whole: this object, and the handler of whoever waits for it.
    template <class Self>
    void operator()(Self& self, boost::system::error_code error = {}, std::size_t count = 0)
    {
        if (!begun_) {
            begun_ = true;
            self.reset_cancellation_state(boost::asio::enable_total_cancellation());
            boost::asio::post(from_.connection.get_executor(), std::move(self));
            return;
        }

        std::exception_ptr failure;
        std::optional<std::string> message;
        try {
            message = take(count, error);
        } catch (...) {
            failure = std::current_exception();
        }
        if (message || failure) {
            self.complete(failure, message ? std::move(*message) : std::string());
        } else if (self.cancelled() != boost::asio::cancellation_type::none) {
            const boost::system::system_error aborted(boost::asio::error::operation_aborted);
            self.complete(std::make_exception_ptr(aborted), std::string());
        } else {
            from_.connection.async_read_some(boost::asio::buffer(from_.bytes), std::move(self));
        }
    }

private:
    // What has been read belongs to the parser, whatever happens to this operation. So none of it
    // is lost when it is cancelled in the middle of a message, and the next one goes on from there.
    std::optional<std::string> take(std::size_t count, boost::system::error_code error)
    {
        from_.parser.feed({from_.bytes.data(), count});
        auto message = from_.parser.next();
        if (!message && error == boost::asio::error::eof) {
            from_.parser.finish();
        }
        if (!message && error) {
            throw boost::system::system_error(error);
        }
        return message;
    }

    message_stream& from_;
    bool begun_ = false;
};

// Completes with the next message of the stream. Throws bad_frame for one that the parser refuses,
// and for a stream that ends inside one; system_error with asio::error::eof at the end between two.
//
// Cancelled (terminal, partial or total), it throws operation_aborted, and what has been read of a
// message stays in the parser. One at a time for each stream.
template <class Token>
auto async_read_message(message_stream& from, Token&& token)
{
    return boost::asio::async_compose<Token, void(std::exception_ptr, std::string)>(
        read_message(from), token, from.connection);
}

// The same as a coroutine. At the end of the stream it gives nothing.
inline boost::asio::awaitable<std::optional<std::string>> next_message(message_stream& from)
{
    try {
        auto next = async_read_message(from, boost::asio::deferred);
        co_return co_await std::move(next);
    } catch (const boost::system::system_error& failure) {
        if (failure.code() != boost::asio::error::eof) {
            throw;
        }
    }
    co_return std::nullopt;
}

}  // namespace wire
