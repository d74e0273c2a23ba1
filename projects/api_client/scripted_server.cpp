#include "api_client/scripted_server.hpp"

#include "common/serving.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::awaitable;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace api {

namespace {

constexpr auto patience = 10s;  // with a client that does not read

const tcp::endpoint any_port(asio::ip::address_v4::loopback(), 0);

void bind(tcp::acceptor& acceptor, const tcp::endpoint& address)
{
    acceptor.open(address.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    acceptor.bind(address);
}

heard heard_from(beast::http::request<beast::http::string_body>&& message, int connection)
{
    heard request;
    request.connection = connection;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    for (const auto& each : message) {
        request.headers.add(std::string(each.name_string()), std::string(each.value()));
    }
    request.body = std::move(message.body());
    return request;
}

std::string bytes_of(const reply& what)
{
    std::string bytes;
    for (const auto& each : what.parts) {
        bytes += each.bytes;
    }
    return bytes;
}

awaitable<void> send(tcp::socket& peer, const reply& what)
{
    for (const auto& each : what.parts) {
        if (each.pause > common::duration::zero()) {
            co_await common::sleep_for(each.pause);
        }
        co_await common::send(peer, each.bytes, patience);
    }
}

// Adds one for as long as it lives.
class counted {
public:
    explicit counted(int& counter) : counter_(counter) { ++counter_; }
    ~counted() { --counter_; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;

private:
    int& counter_;
};

}  // namespace

reply answer(int status, std::string body, const http::fields& headers)
{
    auto bytes = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Length: {}\r\n", status,
        std::string_view(beast::http::obsolete_reason(
            beast::http::int_to_status(static_cast<unsigned>(status)))),
        body.size());
    for (const auto& [name, value] : headers) {
        bytes += fmt::format("{}: {}\r\n", name, value);
    }
    return raw(bytes + "\r\n" + body, ending::keep);
}

reply raw(std::string bytes, ending then)
{
    reply whole;
    whole.parts.push_back(reply::part{common::duration::zero(), std::move(bytes)});
    whole.then = then;
    return whole;
}

reply late(common::duration pause, reply what)
{
    what.parts.front().pause += pause;
    return what;
}

reply dripping(common::duration pause, const reply& what)
{
    reply slow;
    for (const char byte : bytes_of(what)) {
        slow.parts.push_back(reply::part{pause, std::string(1, byte)});
    }
    slow.then = what.then;
    return slow;
}

reply cut_to(std::size_t bytes, const reply& what, ending then)
{
    return raw(bytes_of(what).substr(0, bytes), then);
}

script in_order(std::vector<reply> replies)
{
    return [replies = std::move(replies), next = std::size_t{0}](const heard&) mutable {
        const auto now = std::exchange(next, std::min(next + 1, replies.size() - 1));
        return replies[now];
    };
}

scripted_server::scripted_server(asio::any_io_executor executor, script what)
    : script_(std::move(what)), door_(executor), keeper_(executor)
{
    bind(door_, any_port);
    address_ = door_.local_endpoint();
    door_.listen();
    listening_.set();
}

http::url scripted_server::at(std::string_view target) const
{
    return http::url(fmt::format("http://127.0.0.1:{}{}", address_.port(), target));
}

awaitable<void> scripted_server::serve()
{
    const auto take_all = [this](common::task_group& sessions) -> awaitable<void> {
        while (true) {
            co_await listening_.wait();
            while (auto peer = co_await common::accept(door_)) {
                sessions.spawn(serve_one(std::move(*peer), ++accepted_));
            }
        }
    };
    co_await common::with_task_group(take_all);
}

void scripted_server::refuse()
{
    if (listening_.is_set()) {
        listening_.clear();
        door_.close();
        bind(keeper_, address_);
    }
}

void scripted_server::listen()
{
    if (!listening_.is_set()) {
        keeper_.close();
        bind(door_, address_);
        door_.listen();
        listening_.set();
    }
}

awaitable<void> scripted_server::serve_one(tcp::socket peer, int number)
{
    const counted here(connected_);
    try {
        beast::flat_buffer buffer;
        for (auto then = ending::keep; then == ending::keep;) {
            beast::http::request_parser<beast::http::string_body> parser;
            co_await beast::http::async_read(peer, buffer, parser, asio::deferred);
            requests_.push_back(heard_from(parser.release(), number));
            const auto next = script_(requests_.back());
            co_await send(peer, next);
            then = next.then;
            if (then == ending::reset) {
                peer.set_option(tcp::socket::linger(true, 0));
                peer.close();  // the destructor would end it as it should
            }
        }
    } catch (const boost::system::system_error&) {
        // The client has gone, or the server is to end.
    }
}

}  // namespace api
