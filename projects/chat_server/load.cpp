#include "chat_server/load.hpp"

#include "common/barrier.hpp"
#include "common/gather.hpp"
#include "common/semaphore.hpp"
#include "common/serving.hpp"
#include "common/timeout.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace json = boost::json;
using asio::awaitable;
using asio::ip::tcp;
using namespace asio::experimental::awaitable_operators;

namespace chat {

namespace {

using websocket = beast::websocket::stream<tcp::socket>;

// What all clients share, and what they find out.
struct measurement {
    load what;
    tcp::endpoint server;
    common::semaphore connecting{50};  // so many at a time; the others wait for their turn
    common::barrier all_joined{what.clients};
    common::time_point start{};          // when the speakers began
    std::vector<std::int64_t> delays{};  // microseconds, of each message that a client got
    std::size_t out_of_order = 0;
    std::size_t unfinished = 0;  // clients whose connection ended before they had all
};

// Of the clients the first ones speak, so that they are spread over the rooms.
std::size_t speakers_in(std::size_t room, const load& what)
{
    return what.speakers / what.rooms + (room < what.speakers % what.rooms ? 1 : 0);
}

std::int64_t microseconds(common::duration time)
{
    return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

class client {
public:
    client(asio::any_io_executor executor, measurement& shared, std::size_t number)
        : socket_(std::move(executor)),
          shared_(shared),
          number_(number),
          room_(number % shared.what.rooms),
          last_from_(shared.what.speakers, -1)
    {
    }

    awaitable<void> run()
    {
        co_await enter();
        shared_.start = common::now();  // the last one to arrive has the last word
        co_await shared_.all_joined.arrive_and_wait();
        if (number_ < shared_.what.speakers) {
            co_await (speak() && listen());
        } else {
            co_await listen();
        }
    }

private:
    // Connects and joins. The permit is kept until the server has answered, so that it is not
    // overrun before the measurement has begun.
    awaitable<void> enter()
    {
        const auto permit = co_await shared_.connecting.acquire();
        auto& tcp_socket = socket_.next_layer();
        const auto [error] =
            co_await tcp_socket.async_connect(shared_.server, asio::as_tuple(asio::deferred));
        if (error) {
            throw std::runtime_error(fmt::format(
                "no connection to 127.0.0.1:{}: {}", shared_.server.port(), error.message()));
        }
        tcp_socket.set_option(tcp::no_delay(true));
        const auto host = fmt::format("127.0.0.1:{}", shared_.server.port());
        co_await socket_.async_handshake(host, "/chat", asio::deferred);
        socket_.text(true);
        co_await send(fmt::format(R"({{"do":"name","nick":"load-{}"}})", number_));
        co_await send(fmt::format(R"({{"do":"join","room":"load-{}"}})", room_));
        std::string_view event;
        while (event != "joined") {
            event = co_await next_event();
            if (event == "" || event == "refused") {
                throw std::runtime_error("the server does not let everybody in");
            }
        }
        // What was said before is no part of this.
        for (auto old = event_.at("history").to_number<int>(); old > 0; --old) {
            co_await next_event();
        }
    }

    // Says what is due when it is due, however the server does.
    awaitable<void> speak()
    {
        const std::chrono::duration<double> pause(1 / shared_.what.rate);
        for (std::size_t sent = 0; sent < shared_.what.messages; ++sent) {
            // Speakers do not speak in chorus: each has its own place in the pause.
            const double share =
                static_cast<double>(number_) / static_cast<double>(shared_.what.speakers);
            const auto due = shared_.start + std::chrono::duration_cast<common::duration>(
                                                 pause * (static_cast<double>(sent) + share));
            co_await common::sleep_until(due);
            const auto request = fmt::format(
                R"({{"do":"say","room":"load-{}","text":"{} {} {}"}})", room_, number_, sent,
                microseconds(due - shared_.start));
            const auto bytes = asio::buffer(request);
            auto write = socket_.async_write(bytes, asio::as_tuple(asio::deferred));
            const auto [error, size] = co_await std::move(write);
            if (error) {
                break;  // who listens sees that the connection has ended, and counts it
            }
        }
    }

    // Until it has heard all that is said in its room.
    awaitable<void> listen()
    {
        auto missing = speakers_in(room_, shared_.what) * shared_.what.messages;
        while (missing > 0) {
            const auto event = co_await next_event();
            if (event == "") {
                ++shared_.unfinished;
                break;
            }
            if (event == "refused") {
                throw std::runtime_error("the server refuses: " + std::string(text()));
            }
            if (event == "said") {
                note(text());
                --missing;
            }
        }
    }

    void note(std::string_view text)
    {
        const auto now = microseconds(common::now() - shared_.start);
        std::int64_t numbers[3] = {};
        const char* at = text.data();
        for (auto& number : numbers) {
            at = std::from_chars(at, text.data() + text.size(), number).ptr + 1;
        }
        auto& last = last_from_.at(static_cast<std::size_t>(numbers[0]));
        shared_.out_of_order += numbers[1] == last + 1 ? 0 : 1;
        last = numbers[1];
        shared_.delays.push_back(now - numbers[2]);
    }

    awaitable<void> send(std::string request)
    {
        co_await socket_.async_write(asio::buffer(request), asio::deferred);
    }

    // Reads the next event, which can come with others in one message. Gives its kind, or "" when
    // the connection has ended.
    awaitable<std::string_view> next_event()
    {
        if (lines_.empty()) {
            buffer_.clear();
            auto read = socket_.async_read(buffer_, asio::as_tuple(asio::deferred));
            const auto [error, size] = co_await std::move(read);
            const auto cancellation = co_await asio::this_coro::cancellation_state;
            if (cancellation.cancelled() != asio::cancellation_type::none) {
                throw boost::system::system_error(asio::error::operation_aborted);
            }
            if (error) {
                co_return "";
            }
            lines_ = {static_cast<const char*>(buffer_.cdata().data()), size};
        }
        const auto end = lines_.find('\n');
        event_ = json::parse(lines_.substr(0, end)).as_object();
        lines_.remove_prefix(end + 1);
        co_return std::string_view(event_.at("event").as_string());
    }

    std::string_view text() const { return event_.at("text").as_string(); }

    websocket socket_;
    measurement& shared_;
    const std::size_t number_;
    const std::size_t room_;
    std::vector<std::int64_t> last_from_;  // the number of each speaker's last message
    beast::flat_buffer buffer_;
    std::string_view lines_;  // in the buffer, that have not been looked at yet
    json::object event_;      // the one that was read last
};

std::size_t expected_messages(const load& what)
{
    std::size_t all = 0;
    for (std::size_t number = 0; number < what.clients; ++number) {
        all += speakers_in(number % what.rooms, what) * what.messages;
    }
    return all;
}

// Gives whether all is well.
bool report(measurement& shared)
{
    const auto& what = shared.what;
    const auto expected = expected_messages(what);
    auto& delays = shared.delays;
    fmt::print(
        "{} clients in {} {}, {} of them speak: {} messages each, {} a second\n", what.clients,
        what.rooms, what.rooms == 1 ? "room" : "rooms", what.speakers, what.messages, what.rate);
    fmt::print(
        "{} of {} messages arrived, {} out of order; {} clients were cut off\n", delays.size(),
        expected, shared.out_of_order, shared.unfinished);
    if (!delays.empty()) {
        std::sort(delays.begin(), delays.end());
        const auto percentile = [&](double part) {
            const auto place = part * static_cast<double>(delays.size() - 1);
            return static_cast<double>(delays[static_cast<std::size_t>(place)]) / 1000;
        };
        fmt::print(
            "{:.0f} messages a second; latency in ms: {:.1f} median, {:.1f} 90 %, {:.1f} 99 %, "
            "{:.1f} at most\n",
            static_cast<double>(delays.size()) / common::seconds_since(shared.start),
            percentile(0.5), percentile(0.9), percentile(0.99), percentile(1));
    }
    return delays.size() == expected && shared.out_of_order == 0 && shared.unfinished == 0;
}

awaitable<void> run_clients(measurement& shared)
{
    const auto executor = co_await asio::this_coro::executor;
    std::vector<std::unique_ptr<client>> clients;
    std::vector<awaitable<void>> runs;
    for (std::size_t number = 0; number < shared.what.clients; ++number) {
        clients.push_back(std::make_unique<client>(executor, shared, number));
        runs.push_back(clients.back()->run());
    }
    co_await common::gather(std::move(runs));
}

}  // namespace

awaitable<bool> run_load(unsigned short port, load what)
{
    common::raise_descriptor_limit();
    const auto begun = common::now();
    measurement shared{what, {asio::ip::address_v4::loopback(), port}};
    shared.delays.reserve(expected_messages(what));
    try {
        co_await common::with_timeout(what.deadline, run_clients(shared));
    } catch (const common::timeout_error&) {
        fmt::print("not done after {:.0f} s\n", common::seconds_since(begun));
        report(shared);
        co_return false;
    }
    co_return report(shared);
}

}  // namespace chat
