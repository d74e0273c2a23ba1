#include "chat_server/connection.hpp"

#include "chat_server/origin.hpp"
#include "chat_server/outbox.hpp"
#include "chat_server/page.hpp"
#include "chat_server/token_bucket.hpp"

#include "common/log.hpp"
#include "common/serving.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/rate_policy.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;
using asio::ip::tcp;
using boost::system::error_code;
using namespace asio::experimental::awaitable_operators;

namespace chat {

namespace {

// With a limit on the bytes that come in.
using stream = beast::basic_stream<tcp, asio::any_io_executor, beast::simple_rate_policy>;
using websocket = beast::websocket::stream<stream>;
using request_head = http::request<http::empty_body>;
using response = http::response<http::string_body>;

// --- HTTP ---------------------------------------------------------------------------------------

// The page may load what this server has, talk to this server, and nothing else. If a message ever
// found its way into the page as markup, it still could run no script and load no image.
constexpr auto content_security_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

// A HEAD is answered with the headers that a GET would have.
response answer(
    const request_head& request, http::status status, std::string_view type, std::string_view body)
{
    response made(status, request.version());
    made.set(http::field::content_type, type);
    made.set("Content-Security-Policy", content_security_policy);
    made.set("X-Content-Type-Options", "nosniff");
    made.set(http::field::cache_control, "no-cache");
    made.set("Referrer-Policy", "no-referrer");
    made.keep_alive(request.keep_alive());
    made.content_length(body.size());
    if (request.method() != http::verb::head) {
        made.body() = body;
    }
    return made;
}

response refuse(const request_head& request, http::status status, std::string_view why)
{
    return answer(request, status, "text/plain; charset=utf-8", std::string(why) + "\n");
}

std::string_view header(const request_head& request, http::field name)
{
    const auto value = request[name];
    return {value.data(), value.size()};
}

// Why this request may not open a WebSocket; nothing if it may.
std::optional<response> refusal_to_chat(const request_head& request, const house& host)
{
    if (!beast::websocket::is_upgrade(request)) {
        auto made = refuse(request, http::status::upgrade_required, "this is for WebSockets");
        made.set(http::field::upgrade, "websocket");
        return made;
    }
    if (request.count(http::field::origin) > 0 &&
        !is_allowed_origin(
            header(request, http::field::origin), header(request, http::field::host),
            host.origins)) {
        return refuse(request, http::status::forbidden, "pages of another site may not chat here");
    }
    return std::nullopt;
}

response page(const request_head& request)
{
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        auto made = refuse(request, http::status::method_not_allowed, "only GET and HEAD");
        made.set(http::field::allow, "GET, HEAD");
        return made;
    }
    const std::string_view target(request.target().data(), request.target().size());
    const auto* const file = find_page_file(target.substr(0, target.find('?')));
    if (file == nullptr) {
        return refuse(request, http::status::not_found, "there is no such page");
    }
    return answer(request, http::status::ok, file->type, file->content);
}

// A request, or why it is none that this server takes.
struct asked {
    request_head request;
    http::status status = http::status::ok;
};

asked parse_request(std::string_view bytes)
{
    asked made;
    error_code error;
    http::request_parser<http::empty_body> parser;
    parser.put(asio::buffer(bytes), error);
    made.request = parser.release();
    if (error) {
        made.status = http::status::bad_request;
    } else if (parser.chunked() || parser.content_length().value_or(0) > 0) {
        made.status = http::status::payload_too_large;
    }
    return made;
}

// Reads until the empty line at the end of a request's headers, and leaves what came beyond that in
// `bytes`. Gives nothing when the client has no more requests, or the house closes. Throws
// common::timeout_error.
awaitable<std::optional<asked>> next_request(tcp::socket& client, std::string& bytes, house& host)
{
    auto read = asio::async_read_until(
        client, asio::dynamic_buffer(bytes, host.allowed.head_bytes), "\r\n\r\n",
        asio::as_tuple(asio::use_awaitable));
    auto either = std::move(read) || host.closing.wait();
    const auto first = co_await common::with_timeout(host.allowed.patience, std::move(either));
    if (first.index() == 1) {
        co_return std::nullopt;
    }
    const auto [error, size] = std::get<0>(first);
    if (error && error != asio::error::not_found) {
        co_return std::nullopt;
    }

    asked next;
    if (error) {
        next.status = http::status::request_header_fields_too_large;
    } else {
        next = parse_request(std::string_view(bytes).substr(0, size));
        bytes.erase(0, size);
    }
    if (next.status != http::status::ok) {
        next.request.keep_alive(false);  // nobody knows where the next one would begin
    }
    co_return next;
}

std::string to_string(const response& made)
{
    std::ostringstream text;
    text << made;
    return text.str();
}

// --- WebSocket ----------------------------------------------------------------------------------

const refusal too_fast("too_fast", "that was too fast, and is not passed on");
const goodbye only_text{beast::websocket::close_code::unknown_data, "only text is taken"};
const goodbye no_name{beast::websocket::close_code::policy_error, "you have not said who you are"};

// Gives what the client says to the hall, until the connection ends. What comes too fast is
// refused, and then nothing more is read before there is a token again: a client that sends without
// end is slowed down, and costs no more than any other.
awaitable<void> listen(
    websocket& client, house& host, hall::guest& guest, outbox& out, token_bucket& tokens)
{
    beast::flat_buffer buffer;
    while (true) {
        auto read = client.async_read(buffer, asio::as_tuple(asio::deferred));
        const auto [error, size] = co_await std::move(read);
        if (error) {
            co_return;
        }
        if (client.got_binary()) {
            out.finish(only_text);
            co_return;
        }
        if (tokens.try_take()) {
            const auto bytes = buffer.cdata();
            const std::string_view text(static_cast<const char*>(bytes.data()), bytes.size());
            co_await host.chat.handle(guest, text);
        } else {
            out.post(refused(too_fast));
            co_await common::sleep_for(tokens.wait());
        }
        buffer.consume(buffer.size());
    }
}

// Listens, and when there is nothing more to hear, has the connection ended.
awaitable<void> read(
    websocket& client, house& host, hall::guest& guest, outbox& out, token_bucket& tokens)
{
    co_await listen(client, host, guest, out, tokens);
    out.finish(goodbye());
}

// A seat is for somebody who takes part.
awaitable<void> expect_a_name(const hall::guest& guest, outbox& out, common::duration patience)
{
    co_await common::sleep_for(patience);
    if (!guest.has_name()) {
        out.finish(no_name);
    }
}

// Sends what is in the outbox, and at its end the close frame. Completes when the client has
// answered that with its own, or Beast's timeout for it is over.
awaitable<void> write(websocket& client, outbox& out)
{
    while (true) {
        const auto lines = co_await out.next();
        if (lines.empty()) {
            break;
        }
        std::vector<asio::const_buffer> bytes;
        for (const auto& line : lines) {
            bytes.push_back(asio::buffer(*line));
        }
        auto writing = client.async_write(bytes, asio::as_tuple(asio::deferred));
        const auto [error, size] = co_await std::move(writing);
        if (error) {
            co_return;  // the connection has ended
        }
    }
    const auto& last_words = out.last_words();
    const beast::websocket::close_reason why(
        static_cast<beast::websocket::close_code>(last_words.code), last_words.reason);
    auto closing = client.async_close(why, asio::as_tuple(asio::deferred));
    co_await std::move(closing);
}

struct close_at_exit {
    stream& connection;

    ~close_at_exit() { connection.close(); }
};

// Closes the socket when the client is dropped, or the tasks are cancelled, by whomever. Whatever
// waits for the socket then fails.
//
// Cancelling alone is not enough for Beast's operations. A cancellation is a signal that passes,
// and it passes unheard where such an operation is between two steps, such as the read of one ping
// and the write of its pong. A closed socket stays closed.
awaitable<void> guard(websocket& client, outbox& out)
{
    const close_at_exit close{client.next_layer()};
    co_await out.wait_for_drop();
    common::log("chat", "drops a client: {}", out.why_dropped());
    // What the client has not taken yet is thrown away, and not kept by the system.
    error_code gone;
    client.next_layer().socket().set_option(tcp::socket::linger(true, 0), gone);
}

void configure(websocket& client, const limits& allowed)
{
    // Beast answers pings, sends its own, checks the UTF-8, and refuses what is too long, each with
    // the close code that RFC 6455 has for it.
    beast::websocket::stream_base::timeout timeouts{};
    timeouts.handshake_timeout = allowed.patience;
    timeouts.idle_timeout = allowed.idle;
    timeouts.keep_alive_pings = true;
    client.set_option(timeouts);
    client.read_message_max(allowed.frame_bytes);
    client.auto_fragment(false);
    client.text(true);

    // A message can come in any number of frames, also empty ones, and no limit on messages counts
    // those. So there is one on all bytes, twice what messages can need. Beyond it, nothing is read
    // for the rest of a second.
    const auto messages = std::max(allowed.rate, allowed.burst);
    const auto bytes = 2 * messages * static_cast<double>(allowed.frame_bytes);
    client.next_layer().rate_policy().read_limit(static_cast<std::size_t>(bytes));
}

awaitable<void> chat_with(websocket& client, house& host)
{
    outbox out(host.allowed.outgoing);
    hall::guest guest(host.chat, out);
    token_bucket tokens(host.allowed.rate, host.allowed.burst);

    // Pings and pongs cost the server time as well, and Beast takes them in while it reads. So they
    // cannot be slowed down, and too many are the end. There is always room for the pongs that the
    // server asks for, which are two in each `idle`.
    const auto idle = std::chrono::duration<double>(host.allowed.idle).count();
    token_bucket control_tokens(std::max(host.allowed.rate, 4 / idle), host.allowed.burst);
    client.control_callback([&](beast::websocket::frame_type kind, beast::string_view) {
        if (kind != beast::websocket::frame_type::close && !control_tokens.try_take()) {
            out.drop("it floods the server with pings");
        }
    });

    const auto talk = [&](common::task_group& tasks) -> awaitable<void> {
        tasks.spawn(read(client, host, guest, out, tokens));
        tasks.spawn(guard(client, out));
        tasks.spawn(expect_a_name(guest, out, host.allowed.patience));
        co_await write(client, out);
        tasks.cancel();
    };
    co_await common::with_task_group(talk);
    co_await host.chat.see_off(guest);
}

awaitable<void> accept_chat(tcp::socket socket, const request_head& request, house& host)
{
    websocket client(std::move(socket));
    configure(client, host.allowed);
    co_await client.async_accept(request, asio::deferred);
    co_await chat_with(client, host);
}

// What the request is answered with; nothing if it is to go on as a WebSocket.
std::optional<response> answer_to(const asked& next, const house& host)
{
    const auto& request = next.request;
    if (next.status != http::status::ok) {
        return refuse(request, next.status, "this server takes no such request");
    }
    if (!is_own_host(header(request, http::field::host), host.origins)) {
        return refuse(request, http::status::misdirected_request, "this is another host");
    }
    return request.target() == "/chat" ? refusal_to_chat(request, host) : page(request);
}

// Answers requests until the client has no more, or goes on as a WebSocket.
awaitable<void> serve_requests(tcp::socket& client, house& host)
{
    std::string bytes;
    while (const auto next = co_await next_request(client, bytes, host)) {
        auto made = answer_to(*next, host);
        if (!made && !bytes.empty()) {
            made = refuse(next->request, http::status::bad_request, "wait for the answer first");
        }
        if (!made) {
            const auto seat = host.seats.try_acquire();
            if (seat) {
                co_await accept_chat(std::move(client), next->request, host);
                co_return;
            }
            made = refuse(next->request, http::status::service_unavailable, "all seats are taken");
        }
        co_await common::send(client, to_string(*made), host.allowed.patience);
        if (!made->keep_alive()) {
            break;
        }
    }
    co_await common::hang_up(client, host.allowed.patience);
}

}  // namespace

awaitable<void> serve_connection(tcp::socket client, house& host)
{
    try {
        client.set_option(tcp::no_delay(true));  // messages are short, and each is for now
        client.set_option(tcp::socket::send_buffer_size(host.allowed.send_buffer));
        co_await serve_requests(client, host);
    } catch (const common::timeout_error&) {
        // It took too long over a request.
    } catch (const boost::system::system_error&) {
        // It has broken the connection off, or took too long over taking an answer.
    } catch (const std::exception& failure) {
        common::log("chat", "loses a client: {}", failure.what());
    }
}

}  // namespace chat
