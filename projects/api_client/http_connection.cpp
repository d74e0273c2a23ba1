#include "api_client/http_connection.hpp"

#include "common/look_up.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/span.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::awaitable;
using asio::ip::tcp;
using boost::system::error_code;

namespace http {

namespace {

constexpr std::uint32_t header_limit = 64 * 1024;

// Of what has come and is not parsed yet. Beast limits the header, and the body, but not what a
// server puts behind the length of a chunk, nor the fields behind the last one.
constexpr std::size_t buffer_limit = 2 * header_limit;

using outgoing = beast::http::request<beast::http::span_body<const char>>;
using incoming = beast::http::response_parser<beast::http::string_body>;

std::string_view name_of(failure kind)
{
    switch (kind) {
        case failure::no_connection:
            return "no connection";
        case failure::no_answer:
            return "no answer";
        case failure::cut_off:
            return "cut off";
        case failure::malformed:
            return "not HTTP";
        case failure::too_large:
            break;
    }
    return "too large";
}

// A cancellation stays one.
[[noreturn]] void fail(failure kind, error_code error)
{
    if (error == asio::error::operation_aborted) {
        throw boost::system::system_error(error);
    }
    throw exchange_error(kind, fmt::format("{}: {}", name_of(kind), error.message()));
}

awaitable<tcp::resolver::results_type> endpoints_of(const url& where)
{
    try {
        co_return co_await common::look_up(where.host(), std::to_string(where.port()));
    } catch (const boost::system::system_error& error) {
        fail(failure::no_connection, error.code());
    }
}

outgoing message_of(const request& what)
{
    outgoing message;
    message.version(11);
    message.method_string(what.method);
    message.target(what.where.target());
    message.set(beast::http::field::host, what.where.authority());
    for (const auto& [name, value] : what.headers) {
        message.insert(name, value);
    }
    message.body() = beast::span<const char>(what.body.data(), what.body.size());
    message.prepare_payload();  // sets Content-Length
    return message;
}

// `begun` says that a part of the answer has come.
failure kind_of(error_code error, bool begun)
{
    using protocol = beast::http::error;
    const bool of_protocol = error.category() == make_error_code(protocol::body_limit).category();
    if (error == protocol::body_limit) {
        return failure::too_large;
    }
    if (of_protocol && error != protocol::end_of_stream && error != protocol::partial_message) {
        return failure::malformed;
    }
    return begun ? failure::cut_off : failure::no_answer;
}

// 1xx, but for 101, which is the last word in HTTP.
bool is_interim(const incoming& parser)
{
    const auto status = parser.get().result_int();
    return status / 100 == 1 && status != 101;
}

response response_of(incoming& parser)
{
    auto message = parser.release();
    response answer;
    answer.status = static_cast<int>(message.result_int());
    answer.reason = message.reason();
    for (const auto& each : message) {
        answer.headers.add(std::string(each.name_string()), std::string(each.value()));
    }
    answer.body = std::move(message.body());
    return answer;
}

// The bytes of the body that have come. After an error there may be some that nobody has looked at.
std::size_t body_bytes(const incoming& parser, const beast::flat_buffer& unread, error_code error)
{
    return parser.get().body().size() + (error && parser.is_header_done() ? unread.size() : 0);
}

// Each read is an await of its own. Beast's async_read is one operation of many reads, and a
// cancellation between two of them is lost in it (Boost 1.83): while more bytes are here already,
// no timeout would end it.
awaitable<error_code> read_message(
    tcp::socket& socket, beast::flat_buffer& buffer, incoming& parser, std::size_t& received)
{
    std::size_t counted = 0;  // the counter may be shared with other exchanges, so each adds to it
    while (true) {
        if (buffer.size() > 0) {
            error_code error;
            buffer.consume(parser.put(buffer.data(), error));
            if (error == beast::http::error::need_more) {
                error.clear();
            }
            const auto bytes = body_bytes(parser, buffer, error);
            received += bytes - std::exchange(counted, bytes);
            if (error || parser.is_done()) {
                co_return error;
            }
        }
        const auto room = std::min<std::size_t>(64 * 1024, buffer.max_size() - buffer.size());
        if (room == 0) {
            co_return beast::http::error::buffer_overflow;
        }
        auto reading = socket.async_read_some(buffer.prepare(room), asio::as_tuple(asio::deferred));
        auto [error, size] = co_await std::move(reading);
        if (error == asio::error::eof && parser.got_some()) {
            error.clear();
            parser.put_eof(error);
            co_return error;
        }
        if (error == asio::error::eof) {
            co_return beast::http::error::end_of_stream;
        }
        if (error) {
            co_return error;
        }
        buffer.commit(size);
    }
}

}  // namespace

connection::connection(asio::any_io_executor executor) : socket_(std::move(executor)) {}

awaitable<void> connection::open(const url& where)
{
    const auto endpoints = co_await endpoints_of(where);
    auto connecting = asio::async_connect(socket_, endpoints, asio::as_tuple(asio::deferred));
    const auto [error, endpoint] = co_await std::move(connecting);
    if (error) {
        fail(failure::no_connection, error);
    }
    socket_.set_option(tcp::no_delay(true));
    socket_.non_blocking(true);  // so that is_reusable does not wait
    is_clean_ = true;
}

awaitable<response> connection::exchange(const request& what)
{
    auto message = message_of(what);
    is_clean_ = false;
    if (what.begun != nullptr) {
        *what.begun = true;
    }
    std::size_t uncounted = 0;
    auto& received = what.received != nullptr ? *what.received : uncounted;

    // A server need not read the whole request before it answers and closes: it may refuse what is
    // too large. So an answer is looked for also where not all could be sent.
    const auto [unsent, written] =
        co_await beast::http::async_write(socket_, message, asio::as_tuple(asio::deferred));
    if (unsent == asio::error::operation_aborted) {
        fail(failure::no_answer, unsent);
    }

    // Answers of the kind "100 Continue" may come before the one that counts.
    beast::flat_buffer buffer(buffer_limit);
    bool begun = false;
    while (true) {
        incoming parser;
        parser.eager(true);  // the body, too
        parser.header_limit(header_limit);
        parser.body_limit(what.body_limit);
        parser.skip(what.method == "HEAD");
        const auto error = co_await read_message(socket_, buffer, parser, received);
        begun = begun || parser.got_some();
        if (error) {
            fail(kind_of(error, begun), unsent && !begun ? unsent : error);
        }
        if (!is_interim(parser)) {
            // After these, what follows is another protocol.
            const bool is_http = parser.get().result_int() != 101 && what.method != "CONNECT";
            is_clean_ = !unsent && is_http && parser.keep_alive() && buffer.size() == 0;
            co_return response_of(parser);
        }
    }
}

bool connection::is_reusable()
{
    if (!is_clean_) {
        return false;
    }
    // On a quiet connection there is nothing to read, not even the end.
    std::array<char, 1> byte;
    error_code error;
    socket_.receive(asio::buffer(byte), tcp::socket::message_peek, error);
    return error == asio::error::would_block;
}

}  // namespace http
