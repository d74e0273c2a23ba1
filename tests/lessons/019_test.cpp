#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/gather.hpp"
#include "common/run.hpp"
#include "common/timeout.hpp"
#include "lessons/019_frames.hpp"
#include "lessons/019_layer3_transport.hpp"
#include "lessons/019_layer4_read_message.hpp"
#include "tests/fuzz/frames_oracle.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using boost::system::error_code;
using boost::system::system_error;
using common::clock_mode;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

const std::string lesson = "019_transports_and_protocols";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

std::string encoded(const std::vector<std::string>& messages)
{
    std::string stream;
    for (const auto& message : messages) {
        stream += frames::encode(message);
    }
    return stream;
}

// What the parser makes of the stream, cut after each byte whose bit is set.
oracle::outcome parsed_in(unsigned cuts, const std::string& stream, std::size_t limit)
{
    std::size_t at = 0;
    return oracle::parsed(stream, limit, [&] {
        const std::size_t begin = at;
        while ((cuts >> at++ & 1) == 0 && at < stream.size()) {
        }
        return at - begin;
    });
}

// Messages, and now and then what is none: a header that is too long, or the stream cut off.
std::string random_stream(std::mt19937& random, std::size_t limit)
{
    const auto up_to = [&](std::size_t most) {
        return std::uniform_int_distribution<std::size_t>(0, most)(random);
    };
    std::string stream;
    for (std::size_t count = up_to(8); count > 0; --count) {
        const std::size_t most = up_to(9) == 0 ? limit + 3 : limit;
        std::string message(up_to(most), ' ');
        std::generate(message.begin(), message.end(), [&] { return static_cast<char>(random()); });
        stream += frames::encode(message);
    }
    if (up_to(4) == 0) {
        stream.resize(up_to(stream.size()));
    }
    return stream;
}

// Notes what it is told, and does what a test adds.
class recorder : public wire::protocol {
public:
    std::vector<std::string> calls;
    std::string received;
    std::exception_ptr why;
    wire::transport* there = nullptr;
    std::size_t buffered_at_resume = 0;

    std::function<void(std::string_view)> on_data = [](std::string_view) {};
    std::function<void()> on_made = [] {};
    std::function<bool()> on_eof = [] { return false; };
    std::function<void()> on_pause = [] {};
    std::function<void()> on_resume = [] {};

    std::size_t count(const std::string& name) const
    {
        return static_cast<std::size_t>(std::count(calls.begin(), calls.end(), name));
    }

private:
    void connection_made(wire::transport& made) override
    {
        there = &made;
        calls.push_back("made");
        on_made();
    }
    void data_received(std::string_view bytes) override
    {
        calls.push_back("data");
        received += bytes;
        on_data(bytes);
    }
    bool eof_received() override
    {
        calls.push_back("eof");
        return on_eof();
    }
    void connection_lost(std::exception_ptr reason) override
    {
        calls.push_back("lost");
        why = reason;
    }
    void pause_writing() override
    {
        calls.push_back("pause");
        on_pause();
    }
    void resume_writing() override
    {
        calls.push_back("resume");
        buffered_at_resume = there->buffered();
        on_resume();
    }
};

using peer_of = std::function<awaitable<void>(wire::socket&)>;

// Serves the protocol at one end of a connection, and runs `peer` at the other, which is closed
// when that returns.
void serve(recorder& protocol, wire::water_marks marks, peer_of peer)
{
    const auto both = [&]() -> awaitable<void> {
        const common::real_work patience(20ms);
        auto ends = wire::connected(co_await asio::this_coro::executor);
        wire::transport transport(std::move(ends.first), protocol, marks);
        const auto other = [&]() -> awaitable<void> {
            co_await peer(ends.second);
            ends.second.close();
        };
        co_await (transport.run() && other());
    };
    common::run(both(), clock_mode::virtual_time);
}

awaitable<void> send(wire::socket& to, std::string bytes)
{
    co_await asio::async_write(to, asio::buffer(bytes), asio::deferred);
}

awaitable<std::string> receive(wire::socket& from, std::size_t count)
{
    std::string bytes(count, ' ');
    co_await asio::async_read(from, asio::buffer(bytes), asio::deferred);
    co_return bytes;
}

awaitable<std::string> receive_all(wire::socket& from)
{
    std::string bytes;
    error_code error;
    while (!error) {
        std::string piece(4096, ' ');
        auto read =
            from.async_read_some(asio::buffer(piece), asio::redirect_error(asio::deferred, error));
        const auto count = co_await std::move(read);
        bytes += piece.substr(0, count);
    }
    co_return bytes;
}

// Runs `test` with a stream of messages, and the socket at its other end.
void with_stream(
    std::size_t limit, std::function<awaitable<void>(wire::message_stream&, wire::socket&)> test)
{
    const auto run = [&]() -> awaitable<void> {
        const common::real_work patience(20ms);
        auto ends = wire::connected(co_await asio::this_coro::executor);
        wire::message_stream stream(std::move(ends.first), limit);
        co_await test(stream, ends.second);
    };
    common::run(run(), clock_mode::virtual_time);
}

}  // namespace

TEST_CASE("019: the parser gives the same messages for pieces of every size")
{
    const auto part = said().section("Bytes into messages");
    CHECK(part.has("parser: pieces of 1 to 20 bytes: the same messages 20 times"));
    CHECK(part.has("parser: refuses: the stream ends 6 bytes into a frame"));
    CHECK(part.has("parser: refuses: a frame of 1048577 bytes; 1048576 are allowed"));
}

TEST_CASE("019: every layer echoes a megabyte as it was sent")
{
    for (const std::string layer :
         {"Layer 1: epoll by hand", "Layer 2: async_wait", "Layer 3: transport and protocol",
          "Layer 4: a composed operation"}) {
        INFO(layer);
        CHECK(said().section(layer).has("client: 1000011 bytes came back as they were sent: true"));
    }
}

TEST_CASE("019: the protocol is told in order, and pauses, so that little is kept")
{
    const auto part = said().section("Layer 3: transport and protocol");
    CHECK(part.before("echo: connection_made", "echo: eof_received"));
    CHECK(part.before("echo: eof_received", "echo: connection_lost, by an error: false"));
    CHECK(part.has("echo: paused: true; kept 6 KiB or less: true"));
}

TEST_CASE("019: a read that is cancelled in the middle of a message loses none of it")
{
    const auto part = said().section("Cancelled in the middle of a message");
    CHECK(part.time_of("reader: gives up; 6 bytes are kept") == 0.05);
    CHECK(part.has("reader: has the message: toast"));
}

TEST_CASE("019: two writes at once are mixed up, and two in turn are not")
{
    CHECK(said().section("Two writes at once").has("reader: the parser refuses what has come"));
    CHECK(
        said()
            .section("Two writes, one after the other")
            .count("reader: 500000 bytes of one writer: true") == 2);
}

TEST_CASE("019 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}

TEST_CASE("019: the parser gives the same for every way of cutting a short stream")
{
    const std::string broken = encoded({"ab"}) + frames::encode("cde").substr(0, 6);
    const std::vector<std::string> streams{
        "",
        encoded({""}),
        encoded({"a"}),
        encoded({"", "a", ""}),
        encoded({"abc", "de"}),
        encoded({"abcde", "f"}),
        broken,
        std::string(
            "\x00\x00\x00\x01"
            "x"
            "\xff\xff\xff\xff"
            "yz",
            11)};
    for (const auto& stream : streams) {
        for (const std::size_t limit : {0u, 1u, 2u, 3u, 100u}) {
            const auto expected = oracle::expected(stream, limit);
            const unsigned ways = stream.size() < 2 ? 1 : 1u << (stream.size() - 1);
            std::size_t same = 0;
            for (unsigned cuts = 0; cuts < ways; ++cuts) {
                same += parsed_in(cuts, stream, limit) == expected ? 1 : 0;
            }
            INFO(stream.size() << " bytes, limit " << limit);
            CHECK(same == ways);
        }
    }
}

TEST_CASE("019: the parser gives the same for 20000 random streams, cut at random")
{
    constexpr unsigned seed = 19;
    std::mt19937 random(seed);
    std::size_t whole = 0;
    std::size_t refused = 0;
    for (int i = 0; i < 20000; ++i) {
        const std::size_t limit = random() % 40;
        const auto stream = random_stream(random, limit);
        const auto expected = oracle::expected(stream, limit);
        const std::size_t most = 1 + random() % 20;
        const auto parsed = oracle::parsed(stream, limit, [&] { return random() % (most + 1); });
        INFO("seed " << seed << ", stream " << i);
        REQUIRE(parsed == expected);
        whole += expected.end == oracle::ending::between_frames ? 1 : 0;
        refused += expected.end == oracle::ending::too_long ? 1 : 0;
    }
    CHECK(whole > 1000);  // the streams are of every kind
    CHECK(refused > 1000);
}

TEST_CASE("019: the parser takes a message of the limit, and refuses one more byte by its header")
{
    frames::parser parser(5);
    parser.feed(frames::encode("12345"));
    CHECK(parser.next() == "12345");
    CHECK(parser.next() == std::nullopt);
    parser.feed(frames::encode("123456").substr(0, 3));
    CHECK(parser.next() == std::nullopt);
    parser.feed(frames::encode("123456").substr(3, 1));
    CHECK_THROWS_AS(parser.next(), frames::bad_frame);
}

TEST_CASE("019: a parser that has refused a frame refuses all that follows, and keeps none of it")
{
    frames::parser parser(5);
    parser.feed(frames::encode("123456"));
    CHECK_THROWS_AS(parser.next(), frames::bad_frame);
    const auto before = parser.unused();
    parser.feed(frames::encode("1"));
    CHECK(parser.unused() == before);
    CHECK_THROWS_AS(parser.next(), frames::bad_frame);
}

TEST_CASE("019: lengths of more than one byte are right both ways")
{
    for (const std::size_t size : {127u, 128u, 255u, 256u, 65535u, 65536u, 16777216u}) {
        const std::string message(size, 'm');
        frames::parser parser(size);
        parser.feed(frames::encode(message));
        CHECK(parser.next() == message);
        CHECK_NOTHROW(parser.finish());
    }
}

TEST_CASE("019: a protocol is told that it is connected, what comes, and that it is over")
{
    recorder protocol;
    serve(protocol, {}, [](wire::socket& peer) -> awaitable<void> {
        co_await send(peer, "one");
        co_await common::sleep_for(10ms);
        co_await send(peer, "two");
    });
    CHECK(protocol.calls == std::vector<std::string>{"made", "data", "data", "eof", "lost"});
    CHECK(protocol.received == "onetwo");
    CHECK(protocol.why == nullptr);
}

TEST_CASE("019: a transport closes only when all is written, and takes no more after that")
{
    recorder protocol;
    const std::string much(300'000, 'm');
    protocol.on_made = [&] {
        protocol.there->write(much);
        protocol.there->close();
        protocol.there->write("more");
    };
    std::string got;
    serve(protocol, {}, [&](wire::socket& peer) -> awaitable<void> {
        co_await common::sleep_for(10ms);
        got = co_await receive_all(peer);
    });
    CHECK(got == much);
    CHECK(protocol.why == nullptr);
    CHECK(protocol.count("lost") == 1);
}

TEST_CASE("019: pause_writing comes above the high mark, once, and resume_writing at the low mark")
{
    recorder protocol;
    protocol.on_made = [&] {
        protocol.there->write(std::string(100'000, 'a'));
        CHECK(protocol.count("pause") == 0);
        protocol.there->write("b");
        CHECK(protocol.count("pause") == 1);
        protocol.there->write(std::string(100'000, 'c'));
        CHECK(protocol.count("pause") == 1);
    };
    std::size_t most_between = 0;  // that was buffered below the high mark, and not resumed yet
    serve(protocol, {.high = 100'000, .low = 10}, [&](wire::socket& peer) -> awaitable<void> {
        co_await common::sleep_for(10ms);
        CHECK(protocol.count("resume") == 0);
        for (std::size_t read = 0; read < 200'001; ++read) {
            co_await receive(peer, 1);
            const auto kept = protocol.there->buffered();
            if (kept <= 100'000 && protocol.count("resume") == 0) {
                most_between = std::max(most_between, kept);
            }
        }
    });
    CHECK(most_between > 10);
    CHECK(protocol.count("pause") == 1);
    CHECK(protocol.count("resume") == 1);
    CHECK(protocol.buffered_at_resume <= 10);
}

TEST_CASE("019: who heeds pause_writing keeps little for a slow reader, and who does not keeps all")
{
    const std::string much(1'000'000, 'm');
    for (const bool heeds : {true, false}) {
        INFO("heeds " << heeds);
        recorder protocol;
        protocol.on_data = [&](std::string_view bytes) { protocol.there->write(bytes); };
        if (heeds) {
            protocol.on_pause = [&] { protocol.there->pause_reading(); };
            protocol.on_resume = [&] { protocol.there->resume_reading(); };
        }
        std::size_t kept = 0;
        std::string back;
        serve(protocol, {.high = 10'000, .low = 1000}, [&](wire::socket& peer) -> awaitable<void> {
            const auto read_late = [&]() -> awaitable<void> {
                co_await common::sleep_for(10ms);
                kept = protocol.there->buffered();
                back = co_await receive(peer, much.size());
            };
            co_await (send(peer, much) && read_late());
        });
        CHECK(back == much);
        if (heeds) {
            CHECK(kept > 10'000);
            CHECK(kept <= 10'000 + 4096);
        } else {
            CHECK(kept > 800'000);
        }
        CHECK(protocol.count("pause") >= 1);
        CHECK(protocol.count("pause") == protocol.count("resume"));
    }
}

TEST_CASE("019: while reading is paused nothing is read, and nothing is lost")
{
    recorder protocol;
    protocol.on_data = [&](std::string_view) { protocol.there->pause_reading(); };
    serve(protocol, {}, [&](wire::socket& peer) -> awaitable<void> {
        co_await send(peer, "one");
        co_await common::sleep_for(10ms);
        co_await send(peer, "two");
        co_await common::sleep_for(10ms);
        CHECK(protocol.received == "one");
        protocol.there->resume_reading();
        co_await common::sleep_for(10ms);
        CHECK(protocol.received == "onetwo");
        protocol.on_data = [](std::string_view) {};
        protocol.there->resume_reading();
    });
    CHECK(protocol.calls.back() == "lost");
}

TEST_CASE(
    "019: paused from outside while it waits for bytes, a transport leaves them where they are")
{
    recorder protocol;
    serve(protocol, {}, [&](wire::socket& peer) -> awaitable<void> {
        co_await common::sleep_for(10ms);
        protocol.there->pause_reading();
        co_await send(peer, "one");
        co_await common::sleep_for(10ms);
        CHECK(protocol.received == "");
        protocol.there->resume_reading();
        co_await common::sleep_for(10ms);
        CHECK(protocol.received == "one");
    });
}

TEST_CASE("019: a protocol that keeps the connection at the end of input can still write")
{
    recorder protocol;
    protocol.on_eof = [] { return true; };
    std::string got;
    serve(protocol, {}, [&](wire::socket& peer) -> awaitable<void> {
        peer.shutdown(wire::socket::shutdown_send);
        co_await common::sleep_for(10ms);
        CHECK(protocol.calls == std::vector<std::string>{"made", "eof"});
        protocol.there->write("after the end");
        protocol.there->close();
        got = co_await receive_all(peer);
    });
    CHECK(got == "after the end");
    CHECK(protocol.calls == std::vector<std::string>{"made", "eof", "lost"});
}

TEST_CASE("019: what a callback throws ends the connection, and is the reason")
{
    recorder protocol;
    protocol.on_data = [](std::string_view) { throw frames::bad_frame("nonsense"); };
    serve(protocol, {}, [](wire::socket& peer) -> awaitable<void> {
        co_await send(peer, "x");
        const auto got = co_await receive_all(peer);
        CHECK(got == "");
    });
    CHECK(protocol.calls == std::vector<std::string>{"made", "data", "lost"});
    REQUIRE(protocol.why != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(protocol.why), frames::bad_frame);
}

TEST_CASE("019: a peer that vanishes is the reason why a connection is lost")
{
    recorder protocol;
    protocol.on_made = [&] { protocol.there->write(std::string(300'000, 'm')); };
    serve(protocol, {}, [](wire::socket&) -> awaitable<void> { co_await common::sleep_for(10ms); });
    CHECK(protocol.calls.back() == "lost");
    CHECK(protocol.count("lost") == 1);
    REQUIRE(protocol.why != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(protocol.why), system_error);
}

TEST_CASE("019: a transport that is cancelled tells its protocol, once")
{
    recorder protocol;
    const auto run = [&]() -> awaitable<void> {
        auto ends = wire::connected(co_await asio::this_coro::executor);
        wire::transport transport(std::move(ends.first), protocol);
        co_await common::with_timeout(10ms, transport.run());
    };
    CHECK_THROWS_AS(common::run(run(), clock_mode::virtual_time), common::timeout_error);
    CHECK(protocol.calls == std::vector<std::string>{"made", "lost"});
    REQUIRE(protocol.why != nullptr);
    CHECK_THROWS_AS(std::rethrow_exception(protocol.why), system_error);
}

TEST_CASE("019: messages that came in one piece are read one by one, and then comes the end")
{
    const std::vector<std::string> sent{"tea", "", "toast"};
    with_stream(100, [&](wire::message_stream& stream, wire::socket& peer) -> awaitable<void> {
        co_await send(peer, encoded(sent));
        peer.close();
        for (const auto& expected : sent) {
            const auto message = co_await wire::next_message(stream);
            CHECK(message == expected);
        }
        const auto end = co_await wire::next_message(stream);
        CHECK(end == std::nullopt);
    });
}

TEST_CASE("019: a stream that ends inside a message, or has one too long, throws bad_frame")
{
    for (const auto& bad : {frames::encode("tea").substr(0, 5), frames::encode("coffee")}) {
        bool refused = false;
        with_stream(5, [&](wire::message_stream& stream, wire::socket& peer) -> awaitable<void> {
            co_await send(peer, bad);
            peer.close();
            try {
                co_await wire::next_message(stream);
            } catch (const frames::bad_frame&) {
                refused = true;
            }
        });
        CHECK(refused);
    }
}

TEST_CASE("019: a message is read whole, wherever a timeout has fallen into it")
{
    with_stream(100, [](wire::message_stream& stream, wire::socket& peer) -> awaitable<void> {
        const auto frame = frames::encode("toast");
        for (std::size_t cut = 0; cut < frame.size(); ++cut) {
            co_await send(peer, frame.substr(0, cut));
            bool expired = false;
            try {
                co_await common::with_timeout(10ms, wire::next_message(stream));
            } catch (const common::timeout_error&) {
                expired = true;
            }
            CHECK(expired);
            CHECK(stream.parser.unused() == cut);
            co_await send(peer, frame.substr(cut));
            const auto message = co_await wire::next_message(stream);
            CHECK(message == "toast");
        }
    });
}

TEST_CASE("019: a read that is cancelled before it has begun ends, and takes nothing")
{
    with_stream(100, [](wire::message_stream& stream, wire::socket& peer) -> awaitable<void> {
        bool expired = false;
        try {
            co_await common::with_timeout(0ms, wire::next_message(stream));
        } catch (const common::timeout_error&) {
            expired = true;
        }
        CHECK(expired);
        co_await send(peer, frames::encode("tea"));
        const auto message = co_await wire::next_message(stream);
        CHECK(message == "tea");
    });
}

TEST_CASE("019: a read honours every type of cancellation")
{
    for (const auto type :
         {asio::cancellation_type::terminal, asio::cancellation_type::partial,
          asio::cancellation_type::total}) {
        asio::io_context loop;
        auto ends = wire::connected(loop.get_executor());
        wire::message_stream stream(std::move(ends.first), 100);
        asio::cancellation_signal signal;
        std::exception_ptr ended;
        wire::async_read_message(
            stream, asio::bind_cancellation_slot(
                        signal.slot(),
                        [&](std::exception_ptr failure, const std::string&) { ended = failure; }));
        loop.poll();
        CHECK(ended == nullptr);
        signal.emit(type);
        loop.poll();
        REQUIRE(ended != nullptr);
        CHECK_THROWS_AS(std::rethrow_exception(ended), system_error);
    }
}

TEST_CASE("019: a read never completes inside the call that starts it")
{
    asio::io_context loop;
    auto ends = wire::connected(loop.get_executor());
    wire::message_stream stream(std::move(ends.first), 100);
    stream.parser.feed(frames::encode("there already"));
    std::string got;
    wire::async_read_message(
        stream, [&](std::exception_ptr, std::string message) { got = std::move(message); });
    CHECK(got == "");
    loop.run();
    CHECK(got == "there already");
}
