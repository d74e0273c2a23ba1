// Layer 3: transport and protocol, as asyncio has them. For lesson 019.
//
// A protocol is what one side of a connection does, told in callbacks: bytes have come, the other
// side has ended, the connection is gone. A transport does the reading and writing, and calls them.
// The protocol writes through the transport, which never waits: it keeps what the socket does not
// take, and writes that later, in order. So nobody can interleave two writes.
//
// What is kept has no limit, so the transport tells the protocol when it is too much:
// pause_writing. A protocol that goes on writing all the same is not stopped. One that heeds it
// stops reading, for instance, and so the other side is slowed down.
//
// Under the callbacks are two coroutines, one that reads and one that writes.

#pragma once

#include "common/event.hpp"
#include "common/task_group.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace wire {

using socket = boost::asio::local::stream_protocol::socket;

// Two sockets that are connected with each other, inside the program. From the first to the second
// there is room for some 4 KiB, and for some 16 KiB the other way.
inline std::pair<socket, socket> connected(const boost::asio::any_io_executor& executor)
{
    std::pair<socket, socket> ends(executor, executor);
    boost::asio::local::connect_pair(ends.first, ends.second);
    ends.first.set_option(socket::send_buffer_size(4 * 1024));
    ends.second.set_option(socket::send_buffer_size(16 * 1024));
    return ends;
}

class transport;

// The callbacks come in this order: connection_made once; any number of the others; connection_lost
// once. What one of them throws ends the connection; what pause_writing throws reaches who has
// called write.
class protocol {
public:
    virtual ~protocol() = default;

    virtual void connection_made(transport&) {}
    virtual void data_received(std::string_view bytes) = 0;

    // The other side writes no more. Returning true keeps the connection open for writing; else the
    // transport is closed.
    virtual bool eof_received() { return false; }

    // The connection was closed, or it failed, and this is why.
    virtual void connection_lost(std::exception_ptr) {}

    // More is buffered than the high mark says; later, no more than the low mark says.
    virtual void pause_writing() {}
    virtual void resume_writing() {}
};

struct water_marks {
    std::size_t high = 64 * 1024;
    std::size_t low = 16 * 1024;
};

class transport {
public:
    transport(socket connected, protocol& told, water_marks marks = {})
        : socket_(std::move(connected)), protocol_(told), marks_(marks)
    {
        socket_.non_blocking(true);
        reading_.set();
    }

    // Serves the connection until it is lost. Cancelled, it tells the protocol, and throws.
    boost::asio::awaitable<void> run()
    {
        std::exception_ptr why;
        try {
            co_await common::with_task_group(
                [this](common::task_group& both) -> boost::asio::awaitable<void> {
                    protocol_.connection_made(*this);
                    both.spawn(read());
                    co_await write_buffered();
                    both.cancel();
                });
        } catch (const common::exception_group& failed) {
            why = failed.exceptions().front();
        } catch (...) {
            lose(std::current_exception());
            throw;
        }
        lose(why);
    }

    // Never waits. What is written after close is dropped.
    void write(std::string_view bytes)
    {
        if (closing_) {
            return;
        }
        buffer_ += bytes;
        to_do_.set();
        if (!paused_ && buffered() > marks_.high) {
            paused_ = true;
            protocol_.pause_writing();
        }
    }

    // Reads no more, writes what is buffered, and then ends the connection.
    void close()
    {
        closing_ = true;
        reading_.clear();
        to_do_.set();
    }

    void pause_reading() { reading_.clear(); }
    void resume_reading()
    {
        if (!closing_) {
            reading_.set();
        }
    }

    // Bytes written that the socket has not taken yet.
    std::size_t buffered() const { return buffer_.size() + on_its_way_; }

private:
    boost::asio::awaitable<void> read()
    {
        std::array<char, 4096> bytes;
        while (true) {
            co_await reading_.wait();
            co_await socket_.async_wait(socket::wait_read, boost::asio::deferred);
            if (!reading_.is_set()) {
                continue;  // paused while it waited: the bytes stay where they are
            }
            boost::system::error_code error;
            const auto count = socket_.read_some(boost::asio::buffer(bytes), error);
            if (error == boost::asio::error::eof) {
                if (!protocol_.eof_received()) {
                    close();
                }
                co_return;
            }
            if (!error) {
                protocol_.data_received({bytes.data(), count});
            } else if (error != boost::asio::error::would_block) {
                throw boost::system::system_error(error);
            }
        }
    }

    boost::asio::awaitable<void> write_buffered()
    {
        while (!closing_ || !buffer_.empty()) {
            co_await to_do_.wait();
            to_do_.clear();
            std::string bytes = std::exchange(buffer_, {});  // write() may be called meanwhile
            on_its_way_ = bytes.size();
            while (on_its_way_ > 0) {
                const auto rest = boost::asio::buffer(bytes) + (bytes.size() - on_its_way_);
                on_its_way_ -= co_await socket_.async_write_some(rest, boost::asio::deferred);
                if (paused_ && buffered() <= marks_.low) {
                    paused_ = false;
                    protocol_.resume_writing();
                }
            }
        }
    }

    void lose(std::exception_ptr why)
    {
        boost::system::error_code ignored;
        socket_.close(ignored);
        closing_ = true;
        protocol_.connection_lost(why);
    }

    socket socket_;
    protocol& protocol_;
    const water_marks marks_;
    common::event reading_;  // clear while reading is paused
    common::event to_do_;    // set when there is something to write, or nothing more to come
    std::string buffer_;
    std::size_t on_its_way_ = 0;  // taken from the buffer, and not from the socket yet
    bool paused_ = false;         // the protocol has been told to pause
    bool closing_ = false;
};

}  // namespace wire
