#include "api_client/demo.hpp"

#include "api_client/client.hpp"
#include "api_client/pages.hpp"
#include "api_client/scripted_server.hpp"

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/timeout.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <random>
#include <string>
#include <utility>

namespace asio = boost::asio;
using asio::awaitable;
using namespace std::chrono_literals;

namespace api {

namespace {

const std::minstd_rand same_chance(30'000);  // the pauses are the same in each run

std::string name_of(const heard& request)
{
    return request.method + " " + request.target;
}

double seconds(common::duration time)
{
    return std::chrono::duration<double>(time).count();
}

// The same script, with a line for each request.
script told(script what)
{
    return [what = std::move(what)](const heard& request) {
        common::log("server", "connection {}: {}", request.connection, name_of(request));
        return what(request);
    };
}

client_options telling()
{
    client_options options;
    options.on_retry = [](const failed_try& failed) {
        common::log("client", "{}; tries again in {:.2f} s", failed.why, seconds(failed.pause));
    };
    return options;
}

// Sends a request, and tells how that ended.
awaitable<void> tell(client& from, http::request what)
{
    try {
        const auto answer = co_await from.send(std::move(what));
        common::log("client", "{} {}: {}", answer.status, answer.reason, answer.body);
    } catch (const http::exchange_error& error) {
        common::log("client", "gives up: {}", error.what());
    } catch (const deadline_exceeded& error) {
        common::log("client", "gives up: {}", error.what());
    }
}

http::request order(const scripted_server& server)
{
    http::request what(server.at("/orders"), "POST");
    what.body = "two coffees";
    return what;
}

const auto cut_off = cut_to(30, answer(200, "here is your order"), ending::reset);

awaitable<void> keep_a_connection()
{
    common::section("Three requests, one connection");
    const auto script = told(in_order({answer(200, "coffee is 1.80")}));
    co_await with_server(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        client api(pool, telling(), same_chance);
        for (int number = 1; number <= 3; ++number) {
            co_await tell(api, http::request(server.at("/menu")));
        }
    });
}

awaitable<void> get_through()
{
    common::section("Failures that pass");
    const auto script =
        told(in_order({answer(500), cut_off, late(1min, answer(200)), answer(200, "tea is 1.50")}));
    co_await with_server(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        auto options = telling();
        options.try_limit = 1s;
        client api(pool, options, same_chance);
        co_await tell(api, http::request(server.at("/menu")));
    });
}

awaitable<void> come_back_when_told()
{
    common::section("A server that says when to come back");
    http::fields in_seconds;
    in_seconds.add("Retry-After", "1");
    http::fields by_date;
    by_date.add("Date", "Sun, 22 Nov 2026 12:00:00 GMT");
    by_date.add("Retry-After", "Sun, 22 Nov 2026 12:00:02 GMT");
    http::fields next_hour;
    next_hour.add("Retry-After", "3600");
    const auto script = told(in_order(
        {answer(429, "", in_seconds), answer(503, "", by_date), answer(200, "cake is 2.40"),
         answer(429, "come back in an hour", next_hour)}));
    co_await with_server(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        client api(pool, telling(), same_chance);
        co_await tell(api, http::request(server.at("/menu")));
        co_await tell(api, http::request(server.at("/menu")));
    });
}

awaitable<void> do_not_repeat()
{
    common::section("An order that must not be placed twice");
    const auto script = told(in_order({cut_off, cut_off, answer(200, "the order is known")}));
    co_await with_server(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        client api(pool, telling(), same_chance);
        co_await tell(api, order(server));
        auto with_key = order(server);
        with_key.headers.add("Idempotency-Key", "order 7");
        co_await tell(api, std::move(with_key));
    });
}

awaitable<void> meet_the_deadline()
{
    common::section("A deadline, and a limit");
    const auto script = told(in_order({answer(500), dripping(1s, answer(200, "soup is 4.20"))}));
    co_await with_server(script, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        auto options = telling();
        options.deadline = 2s;
        client api(pool, options, same_chance);
        co_await tell(api, http::request(server.at("/menu")));
    });
    const auto long_story = told(in_order({answer(200, std::string(1'000'000, 'x'))}));
    co_await with_server(long_story, [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        client api(pool, telling(), same_chance);
        http::request what(server.at("/story"));
        what.body_limit = 1000;
        co_await tell(api, std::move(what));
    });
}

reply page(const heard& request)
{
    http::fields next;
    next.add("Link", "</guests?page=2>; rel=\"next\"");
    return request.target == "/guests" ? answer(200, R"([{"name": "Ada"}, {"name": "Ben"}])", next)
                                       : answer(200, R"([{"name": "Cleo"}])");
}

awaitable<void> turn_pages()
{
    common::section("Page after page, each when it is wanted");
    co_await with_server(told(page), [](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        client api(pool, telling(), same_chance);
        auto items = items_of(co_await asio::this_coro::executor, api, server.at("/guests"));
        while (const auto item = co_await items.async_resume(asio::deferred)) {
            common::log("client", "{}", boost::json::serialize(*item));
            co_await common::sleep_for(200ms);
        }
    });
}

}  // namespace

awaitable<void> demonstrate()
{
    // What is on its way through a socket is out of sight of virtual time.
    const common::real_work sockets(20ms);
    co_await keep_a_connection();
    co_await get_through();
    co_await come_back_when_told();
    co_await do_not_repeat();
    co_await meet_the_deadline();
    co_await turn_pages();
}

}  // namespace api
