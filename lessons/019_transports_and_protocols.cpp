// 019 · Between a socket and a message
//
// Idea     A socket gives bytes, cut anywhere; each layer above it takes one worry away.
// asyncio  `asyncio.Protocol`, `transport.write(data)`, `loop.add_reader(fd, callback)`
// Before   018_executors.cpp
// Run      ./learn run 19
// Read     docs/progression.md, lesson 019, beside this file

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/mutex.hpp"
#include "common/run.hpp"
#include "common/timeout.hpp"
#include "lessons/019_frames.hpp"
#include "lessons/019_layer1_epoll.hpp"
#include "lessons/019_layer2_async_wait.hpp"
#include "lessons/019_layer3_transport.hpp"
#include "lessons/019_layer4_read_message.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <future>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t limit = 1024 * 1024;  // of a message, in bytes

// What a parser makes of the bytes when they come in pieces of this size.
std::vector<std::string> parse(std::string_view bytes, std::size_t piece)
{
    frames::parser parser(limit);
    std::vector<std::string> messages;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
        parser.feed(bytes.substr(0, piece));
        while (auto message = parser.next()) {
            messages.push_back(std::move(*message));
        }
    }
    parser.finish();
    return messages;
}

void any_cut_will_do()
{
    common::section("Bytes into messages");
    const std::vector<std::string> sent{"tea", "", "toast"};
    const auto bytes = frames::encode("tea") + frames::encode("") + frames::encode("toast");
    std::size_t same = 0;
    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        same += parse(bytes, piece) == sent ? 1 : 0;
    }
    common::log(
        "parser", "pieces of 1 to {} bytes: the same messages {} times", bytes.size(), same);
    for (const auto& bad : {bytes.substr(0, 6), frames::encode(std::string(limit + 1, '!'))}) {
        try {
            parse(bad, bad.size());
        } catch (const frames::bad_frame& refused) {
            common::log("parser", "refuses: {}", refused.what());
        }
    }
}

// The other side of every echo: sends a megabyte, and reads as much.
awaitable<void> talk(wire::socket connection)
{
    const auto sent = frames::encode("tea") + frames::encode(std::string(1'000'000, '.'));
    std::string back(sent.size(), ' ');
    co_await (
        asio::async_write(connection, asio::buffer(sent), asio::use_awaitable) &&
        asio::async_read(connection, asio::buffer(back), asio::use_awaitable));
    common::log("client", "{} bytes came back as they were sent: {}", back.size(), back == sent);
}

// Layer 3: the transport reads and writes, and calls. What it cannot write yet it keeps; so an echo
// that is told to pause reads no more until there is room.
class echo : public wire::protocol {
    void connection_made(wire::transport& made) override
    {
        common::log("echo", "connection_made");
        transport_ = &made;
    }
    void data_received(std::string_view bytes) override
    {
        transport_->write(bytes);
        peak_ = std::max(peak_, transport_->buffered());
    }
    void pause_writing() override
    {
        ++pauses_;
        transport_->pause_reading();
    }
    void resume_writing() override { transport_->resume_reading(); }
    bool eof_received() override
    {
        common::log("echo", "eof_received");
        return false;
    }
    void connection_lost(std::exception_ptr why) override
    {
        common::log("echo", "connection_lost, by an error: {}", why != nullptr);
        common::log("echo", "paused: {}; kept 6 KiB or less: {}", pauses_ > 0, peak_ <= 6144);
    }

    wire::transport* transport_ = nullptr;
    int pauses_ = 0;
    std::size_t peak_ = 0;  // of what the transport has kept, in bytes
};

// Layer 4: messages come and go, and nobody sees bytes.
awaitable<void> echo_by_messages(wire::message_stream stream)
{
    while (const auto message = co_await wire::next_message(stream)) {
        const auto frame = frames::encode(*message);
        co_await asio::async_write(stream.connection, asio::buffer(frame), asio::deferred);
    }
}

awaitable<void> four_layers()
{
    const auto executor = co_await asio::this_coro::executor;
    common::section("Layer 1: epoll by hand");
    auto ends = wire::connected(executor);
    {
        const common::real_work in_a_thread;  // virtual time stands still meanwhile
        const auto server =
            std::async(std::launch::async, by_hand::echo_by_epoll, ends.first.native_handle());
        co_await talk(std::move(ends.second));
    }

    common::section("Layer 2: async_wait");
    ends = wire::connected(executor);
    asio::posix::stream_descriptor descriptor(executor, ends.first.release());
    co_await (by_hand::echo_by_async_wait(std::move(descriptor)) && talk(std::move(ends.second)));

    common::section("Layer 3: transport and protocol");
    ends = wire::connected(executor);
    echo protocol;
    wire::transport transport(std::move(ends.first), protocol, {.high = 2048, .low = 0});
    co_await (transport.run() && talk(std::move(ends.second)));

    common::section("Layer 4: a composed operation");
    ends = wire::connected(executor);
    wire::message_stream stream(std::move(ends.first), limit);
    co_await (echo_by_messages(std::move(stream)) && talk(std::move(ends.second)));
}

// A message of which only half has come. Who waits for it gives up, and what has come is kept.
awaitable<void> cancelled_halfway()
{
    common::section("Cancelled in the middle of a message");
    auto ends = wire::connected(co_await asio::this_coro::executor);
    wire::message_stream stream(std::move(ends.first), limit);
    const auto frame = frames::encode("toast");
    asio::write(ends.second, asio::buffer(frame, 6));
    try {
        co_await common::with_timeout(50ms, wire::next_message(stream));
    } catch (const common::timeout_error&) {
        common::log("reader", "gives up; {} bytes are kept", stream.parser.unused());
    }
    asio::write(ends.second, asio::buffer(frame) + 6);
    const auto message = co_await wire::next_message(stream);
    common::log("reader", "has the message: {}", message.value());
}

awaitable<void> write_in_turn(wire::socket& to, std::string frame, common::mutex& turn)
{
    const auto guard = co_await turn.lock();
    co_await asio::async_write(to, asio::buffer(frame), asio::deferred);
}

// Reads as many bytes as Ada and Bob write, and looks for what they meant.
awaitable<void> read_two(wire::socket& from, std::size_t size)
{
    std::string bytes(size, ' ');
    co_await asio::async_read(from, asio::buffer(bytes), asio::deferred);
    try {
        for (const auto& message : parse(bytes, size)) {
            const bool pure = message.find_first_not_of(message[0]) == std::string::npos;
            common::log("reader", "{} bytes of one writer: {}", message.size(), pure);
        }
    } catch (const frames::bad_frame&) {
        common::log("reader", "the parser refuses what has come");
    }
}

// Pitfall: async_write is a row of smaller writes, and those of two come one after the other.
awaitable<void> two_writers()
{
    common::section("Two writes at once");
    auto ends = wire::connected(co_await asio::this_coro::executor);
    const auto ada = frames::encode(std::string(500'000, 'a'));
    const auto bob = frames::encode(std::string(500'000, 'b'));
    co_await (
        read_two(ends.first, 2 * ada.size()) &&
        asio::async_write(ends.second, asio::buffer(ada), asio::use_awaitable) &&
        asio::async_write(ends.second, asio::buffer(bob), asio::use_awaitable));

    common::section("Two writes, one after the other");
    common::mutex turn;
    co_await (
        write_in_turn(ends.second, ada, turn) && write_in_turn(ends.second, bob, turn) &&
        read_two(ends.first, 2 * ada.size()));
}

awaitable<void> connections()
{
    any_cut_will_do();
    const common::real_work patience(20ms);  // for what is on its way through a socket
    co_await four_layers();
    co_await cancelled_halfway();
    co_await two_writers();
}

}  // namespace

int main()
{
    common::run(connections());
}
