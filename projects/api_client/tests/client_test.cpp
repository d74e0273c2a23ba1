#include "api_client/client.hpp"

#include "with_script.hpp"

#include "common/timeout.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/serialize.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using api::answer;
using api::cut_to;
using api::ending;
using api::heard;
using api::in_order;
using api::late;
using api::raw;
using api::reply;
using api::scripted_server;
using asio::ip::tcp;
using tests::awaitable;
using tests::get;
using tests::post;
using namespace std::chrono_literals;

namespace {

const auto hello = answer(200, "hello");

// What became of a call, and of its tries.
struct told {
    std::optional<http::response> answer;
    std::optional<http::failure> failure;
    bool deadline_exceeded = false;
    std::string what;
    std::vector<api::failed_try> failed;
    common::duration took{};
};

awaitable<told> call(
    scripted_server& server, http::request what,
    api::client_options options = api::client_options())
{
    told all;
    options.on_retry = [&all, then = options.on_retry](const api::failed_try& failed) {
        all.failed.push_back(failed);
        if (then) {
            then(failed);
        }
    };
    http::pool pool;
    api::client client(pool, options, std::minstd_rand(7));
    const auto start = common::now();
    try {
        all.answer = co_await client.send(std::move(what));
    } catch (const http::exchange_error& error) {
        all.failure = error.kind();
        all.what = error.what();
    } catch (const api::deadline_exceeded& error) {
        all.deadline_exceeded = true;
        all.what = error.what();
    }
    all.took = common::now() - start;
    CHECK(pool.in_use() == 0);
    (void)server;
    co_return all;
}

// A GET for a server with that script.
told get_from(api::script script, api::client_options options = api::client_options())
{
    told all;
    tests::with_script(std::move(script), [&](scripted_server& server) -> awaitable<void> {
        all = co_await call(server, get(server.at("/")), options);
    });
    return all;
}

http::fields with(std::string name, std::string value)
{
    http::fields headers;
    headers.add(std::move(name), std::move(value));
    return headers;
}

}  // namespace

TEST_CASE("a call that goes well is one request, and takes no time")
{
    const auto all = get_from(in_order({hello, raw("")}));
    REQUIRE(all.answer);
    CHECK(all.answer->body == "hello");
    CHECK(all.failed.empty());
    CHECK(all.took == 0s);
}

TEST_CASE("each failure that may pass is followed by another try, after a longer pause")
{
    const auto all = get_from(
        in_order({answer(500), cut_to(30, hello, ending::reset), raw("", ending::close), hello}));
    REQUIRE(all.answer);
    CHECK(all.answer->body == "hello");
    REQUIRE(all.failed.size() == 3);
    CHECK(all.failed[0].why == "500 Internal Server Error");
    CHECK(all.failed[1].why == "cut off: Connection reset by peer");
    CHECK(all.failed[2].why == "no answer: end of stream");
    common::duration longest = 200ms;
    common::duration together{};
    for (const auto& failed : all.failed) {
        CHECK(failed.pause >= longest / 2);
        CHECK(failed.pause <= longest);
        longest *= 2;
        together += failed.pause;
    }
    CHECK(all.took == together);
}

TEST_CASE("after the last try the call ends as that did")
{
    const auto with_status = get_from(in_order({answer(503, "busy")}));
    REQUIRE(with_status.answer);
    CHECK(with_status.answer->status == 503);
    CHECK(with_status.answer->body == "busy");
    CHECK(with_status.failed.size() == 3);

    const auto without = get_from(in_order({raw("")}));
    CHECK(without.failure == http::failure::no_answer);
    CHECK(without.failed.size() == 3);
}

TEST_CASE("what will not get better is not tried again")
{
    for (const auto& reply : {answer(404), answer(301), raw("garbage\r\n\r\n")}) {
        const auto all = get_from(in_order({reply, hello}));
        CHECK(all.failed.empty());
        CHECK((!all.answer || all.answer->body != "hello"));
        CHECK((all.answer.has_value() || all.failure == http::failure::malformed));
    }
}

TEST_CASE("the server is refused at first, and is there later")
{
    tests::with_script(in_order({hello}), [](scripted_server& server) -> awaitable<void> {
        server.refuse();
        api::client_options options;
        options.on_retry = [&](const api::failed_try& failed) {
            if (failed.number == 2) {
                server.listen();
            }
        };
        const auto all = co_await call(server, post(server.at("/"), "x"), options);
        REQUIRE(all.answer);
        CHECK(all.answer->body == "hello");
        REQUIRE(all.failed.size() == 2);
        CHECK(all.failed[0].why == "no connection: Connection refused");
        CHECK(server.requests().size() == 1);
    });
}

TEST_CASE("a POST is sent again only if the server has not begun")
{
    struct example {
        reply first;
        std::size_t requests;
    };
    const std::vector<example> examples = {
        {answer(429), 1},       {answer(500), 1}, {answer(503), 1},
        {cut_to(30, hello), 1}, {raw(""), 1},     {raw("", ending::reset), 1},
        {late(1h, hello), 1},
    };
    for (const auto& [first, requests] : examples) {
        tests::with_script(
            in_order({first, hello}), [&](scripted_server& server) -> awaitable<void> {
                const auto plain = co_await call(server, post(server.at("/"), "x"));
                CHECK(server.requests().size() == requests);
                CHECK(plain.failed.size() == requests - 1);
            });
        tests::with_script(
            in_order({first, hello}), [&](scripted_server& server) -> awaitable<void> {
                auto with_key = post(server.at("/"), "x");
                with_key.headers.add("Idempotency-Key", "7");
                const auto all = co_await call(server, with_key);
                CHECK(server.requests().size() == 2);
                REQUIRE(all.answer);
                CHECK(all.answer->body == "hello");
            });
    }
}

TEST_CASE("a POST for which there is no connection in time is sent again")
{
    tests::run([]() -> awaitable<void> {
        const common::real_work sockets(20ms);
        const auto executor = co_await asio::this_coro::executor;
        // It takes one connection into its queue, and the system drops all that come after.
        tcp::acceptor full(executor);
        full.open(tcp::v4());
        full.bind({asio::ip::address_v4::loopback(), 0});
        full.listen(0);
        std::vector<tcp::socket> waiting;
        waiting.reserve(3);
        for (int i = 0; i < 3; ++i) {
            waiting.emplace_back(executor);
            // How each of them ends is of no interest.
            waiting.back().async_connect(full.local_endpoint(), asio::detached);
        }
        http::pool pool;
        api::client_options options;
        options.retry.tries = 2;
        std::vector<std::string> failed;
        options.on_retry = [&](const api::failed_try& one) { failed.push_back(one.why); };
        api::client client(pool, options, std::minstd_rand(7));
        const http::url where(fmt::format("http://127.0.0.1:{}/", full.local_endpoint().port()));
        tests::check_equal(
            co_await tests::failure_of(client.send(post(where, "x"))),
            http::failure::no_connection);
        CHECK(failed == std::vector<std::string>{"no connection in time"});
    });
}

TEST_CASE("a server that says when to come back is believed")
{
    const auto seconds = get_from(in_order({answer(429, "", with("Retry-After", "7")), hello}));
    REQUIRE(seconds.answer);
    CHECK(seconds.answer->status == 200);
    CHECK(seconds.took == 7s);

    auto date = with("Retry-After", "Sun, 22 Nov 2026 12:00:11 GMT");
    date.add("Date", "Sun, 22 Nov 2026 12:00:00 GMT");
    const auto until = get_from(in_order({answer(503, "", date), hello}));
    REQUIRE(until.answer);
    CHECK(until.answer->status == 200);
    CHECK(until.took == 11s);
}

TEST_CASE("Retry-After is a minimum: a server that says 0 does not get rid of the pauses")
{
    const auto all = get_from(in_order({answer(429, "", with("Retry-After", "0")), hello}));
    REQUIRE(all.failed.size() == 1);
    CHECK(all.failed[0].pause >= 100ms);
}

TEST_CASE("to come back after the deadline is of no use, and the call ends at once")
{
    const auto all = get_from(in_order({answer(429, "", with("Retry-After", "30")), hello}));
    REQUIRE(all.answer);
    CHECK(all.answer->status == 429);
    CHECK(all.took == 0s);
    CHECK(all.failed.empty());
}

TEST_CASE("a silent server costs a try, and not the call")
{
    const auto all = get_from(in_order({late(1h, hello), hello}));
    REQUIRE(all.answer);
    REQUIRE(all.failed.size() == 1);
    CHECK(all.failed[0].why == "no answer in time");
    CHECK(all.took == 10s + all.failed[0].pause);
}

TEST_CASE("a byte a second now and then is not an answer in time")
{
    api::client_options options;
    options.retry.tries = 1;
    const auto all = get_from(in_order({api::dripping(1s, hello)}), options);
    CHECK(all.failure == http::failure::no_answer);
    CHECK(all.took == 10s);
}

TEST_CASE("at the deadline the call ends, whatever it is doing")
{
    api::client_options options;
    options.deadline = 15s;
    const auto in_a_try = get_from(in_order({answer(500), late(1h, hello)}), options);
    CHECK(in_a_try.deadline_exceeded);
    CHECK(in_a_try.took == 15s);
    CHECK(in_a_try.failed.size() == 2);
    CHECK(in_a_try.what == "no answer within 15 s; the last try before: no answer in time");

    options.try_limit = 1h;
    const auto in_the_first = get_from(in_order({late(1h, hello)}), options);
    CHECK(in_the_first.deadline_exceeded);
    CHECK(in_the_first.took == 15s);
    CHECK(in_the_first.what == "no answer within 15 s");
}

TEST_CASE("an answer that comes in the last moment counts")
{
    api::client_options options;
    options.deadline = 5s;
    const auto all = get_from(in_order({late(4999ms, hello)}), options);
    REQUIRE(all.answer);
    CHECK(all.answer->body == "hello");
}

TEST_CASE("a cancellation is no failure, and is not tried again")
{
    tests::with_script(in_order({late(1h, hello)}), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        int failed = 0;
        api::client_options options;
        options.on_retry = [&](const api::failed_try&) { ++failed; };
        api::client client(pool, options);
        const auto start = common::now();
        bool timed_out = false;
        try {
            (void)co_await common::with_timeout(3s, client.send(get(server.at("/"))));
        } catch (const common::timeout_error&) {
            timed_out = true;
        }
        CHECK(timed_out);
        CHECK(common::now() - start == 3s);
        CHECK(failed == 0);
        CHECK(server.requests().size() == 1);
    });
}

TEST_CASE("a body beyond the limit ends the call with the first try")
{
    tests::with_script(in_order({hello}), [](scripted_server& server) -> awaitable<void> {
        auto what = get(server.at("/"));
        what.body_limit = 4;
        const auto all = co_await call(server, what);
        CHECK(all.failure == http::failure::too_large);
        CHECK(server.requests().size() == 1);
    });
}

TEST_CASE("an answer that should be JSON is taken apart, or refused")
{
    http::response got;
    got.body = R"({"a": [1, 2]})";
    CHECK(boost::json::serialize(api::json_of(got)) == R"({"a":[1,2]})");
    for (const auto* const body : {"", "<html>", "[1,", "[1] 2"}) {
        INFO(body);
        got.body = body;
        CHECK_THROWS_AS(api::json_of(got), api::unexpected_answer);
    }
    got.body = std::string(100'000, '[');  // must not use up the stack
    CHECK_THROWS_AS(api::json_of(got), api::unexpected_answer);
}

TEST_CASE("success is from 200 to 299")
{
    http::response got;
    for (const int status : {200, 204, 299}) {
        got.status = status;
        CHECK_NOTHROW(api::require_success(got));
    }
    for (const int status : {101, 199, 300, 404, 500}) {
        got.status = status;
        CHECK_THROWS_AS(api::require_success(got), api::unexpected_answer);
    }
}

TEST_CASE("a call without a try is refused")
{
    http::pool pool;
    api::client_options options;
    options.retry.tries = 0;
    CHECK_THROWS_AS(api::client(pool, options), std::invalid_argument);
}
