#include "peer.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <deque>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace json = boost::json;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;
using namespace std::chrono_literals;

namespace tests {

class peer::implementation {
public:
    explicit implementation(unsigned short port, const peer_options& options) : socket_(loop_)
    {
        const tcp::endpoint server(asio::ip::address_v4::loopback(), port);
        auto& connection = socket_.next_layer();
        connection.open(tcp::v4());
        if (options.receive_buffer > 0) {
            connection.set_option(asio::socket_base::receive_buffer_size(options.receive_buffer));
        }
        if (options.send_buffer > 0) {
            connection.set_option(asio::socket_base::send_buffer_size(options.send_buffer));
        }
        connection.connect(server);
        connection.set_option(tcp::no_delay(true));
        socket_.text(true);
        socket_.set_option(
            websocket::stream_base::decorator([options](websocket::request_type& request) {
                if (!options.origin.empty()) {
                    request.set(beast::http::field::origin, options.origin);
                }
            }));
        const auto host = options.host.empty() ? "127.0.0.1:" + std::to_string(port) : options.host;
        wait([&](auto done) {
            socket_.async_handshake(answer_, host, options.path, std::move(done));
        });
    }

    // Runs an operation to its end, and gives how it ended.
    template <class Start>
    error_code wait(Start start)
    {
        bool ended = false;
        start([&](error_code error, auto...) {
            error_ = error;
            ended = true;
        });
        loop_.restart();
        const auto deadline = std::chrono::steady_clock::now() + 60s;
        while (!ended) {
            if (loop_.run_one_until(deadline) == 0) {
                throw std::runtime_error("the server has let a minute pass");
            }
        }
        return error_;
    }

    void need_no_error(const char* what) const
    {
        if (error_) {
            throw std::runtime_error(std::string(what) + ": " + error_.message());
        }
    }

    void send(std::string_view bytes, bool text)
    {
        socket_.text(text);
        wait([&](auto done) { socket_.async_write(asio::buffer(bytes), std::move(done)); });
        need_no_error("send");
    }

    std::optional<json::object> read()
    {
        if (events_.empty()) {
            beast::flat_buffer bytes;
            wait([&](auto done) { socket_.async_read(bytes, std::move(done)); });
            if (error_) {
                return std::nullopt;
            }
            std::istringstream lines(beast::buffers_to_string(bytes.data()));
            for (std::string line; std::getline(lines, line);) {
                events_.push_back(json::parse(line).as_object());
            }
        }
        auto event = std::move(events_.front());
        events_.pop_front();
        return event;
    }

    asio::io_context loop_;
    websocket::stream<tcp::socket> socket_;
    websocket::response_type answer_;
    error_code error_;
    std::deque<json::object> events_;  // that came, and were not given out
};

peer::peer(unsigned short port, const peer_options& options)
    : peer_(std::make_unique<implementation>(port, options))
{
    peer_->need_no_error("handshake");
}

peer::~peer() = default;
peer::peer(peer&&) noexcept = default;

peer peer::in_room(unsigned short port, const std::string& nick, const std::string& room)
{
    peer made(port);
    made.ask({{"do", "name"}, {"nick", nick}});
    made.next("welcome");
    made.ask({{"do", "join"}, {"room", room}});
    made.next("joined");
    return made;
}

void peer::send(std::string_view text)
{
    peer_->send(text, true);
}

void peer::ask(const json::object& request)
{
    send(json::serialize(request));
}

void peer::say(const std::string& room, const std::string& text)
{
    ask({{"do", "say"}, {"room", room}, {"text", text}});
}

void peer::send_binary(std::string_view bytes)
{
    peer_->send(bytes, false);
}

void peer::send_ping()
{
    peer_->wait([&](auto done) { peer_->socket_.async_ping({}, std::move(done)); });
}

void peer::send_raw(std::string_view bytes)
{
    asio::write(peer_->socket_.next_layer(), asio::buffer(bytes));
}

std::size_t peer::send_raw_for(std::chrono::milliseconds limit, std::string_view bytes)
{
    std::size_t sent = 0;
    asio::async_write(
        peer_->socket_.next_layer(), asio::buffer(bytes),
        [&sent](error_code, std::size_t size) { sent = size; });
    peer_->loop_.restart();
    peer_->loop_.run_for(limit);
    peer_->socket_.next_layer().cancel();
    peer_->loop_.restart();
    peer_->loop_.run();  // the write ends, and says how far it came
    return sent;
}

json::object peer::next()
{
    auto event = peer_->read();
    if (!event) {
        throw std::runtime_error("the connection has ended: " + peer_->error_.message());
    }
    return std::move(*event);
}

json::object peer::next(std::string_view event)
{
    while (true) {
        auto given = next();
        if (given.at("event").as_string() == event) {
            return given;
        }
    }
}

std::vector<json::object> peer::all_so_far()
{
    // The answer to a request that makes no sense comes last.
    ask({{"do", "nothing"}});
    std::vector<json::object> all;
    while (true) {
        auto event = next();
        if (event.at("event") == "refused" && event.at("reason") == "bad_message") {
            return all;
        }
        all.push_back(std::move(event));
    }
}

std::uint16_t peer::close_code()
{
    peer_->events_.clear();
    while (peer_->read()) {
        peer_->events_.clear();
    }
    return peer_->error_ == websocket::error::closed ? peer_->socket_.reason().code : 0;
}

void peer::close()
{
    peer_->wait([&](auto done) {
        peer_->socket_.async_close(websocket::close_code::normal, std::move(done));
    });
}

void peer::vanish()
{
    auto& connection = peer_->socket_.next_layer();
    connection.set_option(tcp::socket::linger(true, 0));
    connection.close();
}

int upgrade_status(unsigned short port, const peer_options& options)
{
    // The handshake fails where it is not granted; the answer is there all the same.
    asio::io_context loop;
    websocket::stream<tcp::socket> socket(loop);
    socket.next_layer().connect({asio::ip::address_v4::loopback(), port});
    socket.set_option(
        websocket::stream_base::decorator([&options](websocket::request_type& request) {
            if (!options.origin.empty()) {
                request.set(beast::http::field::origin, options.origin);
            }
        }));
    websocket::response_type answer;
    error_code error;
    const auto host = options.host.empty() ? "127.0.0.1:" + std::to_string(port) : options.host;
    socket.handshake(answer, host, options.path, error);
    return static_cast<int>(answer.result_int());
}

}  // namespace tests
