// 004 · Exceptions, error codes and cleanup
//
// Idea     An exception leaves a coroutine at its co_await, as it leaves a function at its call.
// asyncio  `try: await order()`, `gather(..., return_exceptions=True)`
// Before   003_gather.cpp
// Run      ./learn run 4
// Read     docs/progression.md, lesson 004, beside this file

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/run.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using boost::asio::ip::tcp;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

// An exception of one's own, derived from a standard one.
class sold_out : public std::runtime_error {
public:
    explicit sold_out(const std::string& dish) : std::runtime_error(dish + " is sold out") {}
};

// Lays a table, and clears it when it goes out of scope. A coroutine's locals are destroyed when it
// ends, whether by co_return, by an exception or by cancellation, so cleanup belongs in
// destructors.
class table {
public:
    explicit table(std::string guest) : guest_(std::move(guest)) {}
    ~table() { common::log("waiter", "clears the table of {}", guest_); }
    table(const table&) = delete;
    table& operator=(const table&) = delete;

private:
    std::string guest_;
};

awaitable<std::string> cook(std::string dish, common::duration time)
{
    co_await common::sleep_for(time);
    if (dish == "lobster") {
        throw sold_out(dish);
    }
    co_return dish;
}

awaitable<std::string> serve(std::string guest, std::string dish, common::duration time)
{
    const table laid(guest);
    const std::string served = co_await cook(dish, time);
    common::log("waiter", "brings {} the {}", guest, served);
    co_return served;
}

// Catching around co_await is catching around a call. What comes after goes on as if nothing had
// been.
awaitable<void> catch_an_exception()
{
    common::section("Caught at the co_await");
    try {
        co_await serve("Ada", "lobster", 100ms);
    } catch (const sold_out& refusal) {
        common::log("Ada", "hears that {}", refusal.what());
    }
    co_await serve("Ada", "soup", 100ms);
}

// Pitfall: a catch block cannot contain a co_await; the language forbids it. So the handler notes
// what happened, and whatever has to be awaited is awaited behind it.
awaitable<void> await_after_the_catch()
{
    common::section("No co_await in a catch block");
    bool refused = false;
    try {
        co_await serve("Bob", "lobster", 100ms);
    } catch (const sold_out&) {
        refused = true;
    }
    if (refused) {
        co_await serve("Bob", "salad", 100ms);
    }
}

// A port that is free, and where nobody listens: the acceptor that the system gave it to is closed.
tcp::endpoint closed_port(const asio::any_io_executor& executor)
{
    const tcp::acceptor acceptor(executor, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    return acceptor.local_endpoint();
}

// Asio's operations throw a system_error. With as_tuple they return their error code instead, which
// suits an error that is an ordinary answer.
awaitable<void> error_codes()
{
    common::section("system_error, or an error code");
    const auto executor = co_await asio::this_coro::executor;
    const auto endpoint = closed_port(executor);

    tcp::socket phone(executor);
    try {
        co_await phone.async_connect(endpoint, asio::deferred);
    } catch (const boost::system::system_error& error) {
        common::log(
            "phone", "caught: refused is {}", error.code() == asio::error::connection_refused);
    }

    tcp::socket again(executor);
    const auto [code] = co_await again.async_connect(endpoint, asio::as_tuple(asio::deferred));
    common::log("phone", "returned: refused is {}", code == asio::error::connection_refused);
}

std::vector<awaitable<std::string>> three_orders()
{
    std::vector<awaitable<std::string>> orders;
    orders.push_back(serve("Ada", "soup", 100ms));
    orders.push_back(serve("Bob", "lobster", 200ms));
    orders.push_back(serve("Cleo", "roast", 300ms));
    return orders;
}

// gather cancels the others when one fails. Ada has been served by then; Cleo's table is cleared at
// 0.20 s of the 0.30 s that the roast takes.
awaitable<void> one_failure_cancels_the_rest()
{
    common::section("gather: one failure cancels the rest");
    try {
        co_await common::gather(three_orders());
    } catch (const sold_out& refusal) {
        common::log("kitchen", "stops: {}", refusal.what());
    }
}

// gather_results lets everyone finish. Each place has either a result or an exception.
awaitable<void> the_rest_keeps_going()
{
    common::section("gather_results: the rest keeps going");
    const auto outcomes = co_await common::gather_results(three_orders());
    for (const auto& outcome : outcomes) {
        common::log("kitchen", "{}", outcome.has_value() ? outcome.value() : "sold out");
    }
}

// Pitfall: && throws one exception itself, but two of them as multiple_exceptions, which no handler
// for sold_out catches. And two there are as soon as one side fails, because the other is then
// cancelled, and fails too. It keeps the first.
awaitable<void> both_sides_fail()
{
    common::section("&&: multiple_exceptions");
    try {
        co_await (cook("lobster", 100ms) && cook("roast", 300ms));
    } catch (const sold_out&) {
        common::log("kitchen", "never gets here");
    } catch (const asio::multiple_exceptions& failures) {
        try {
            std::rethrow_exception(failures.first_exception());
        } catch (const sold_out& refusal) {
            common::log("kitchen", "the first of several: {}", refusal.what());
        }
    }
}

// Pitfall: detached throws away whatever the coroutine throws, and no caller awaits it to catch it.
// A completion handler gets the exception, and can at least say so.
awaitable<void> nobody_awaits()
{
    common::section("detached swallows");
    const auto executor = co_await asio::this_coro::executor;

    asio::co_spawn(executor, cook("lobster", 100ms), asio::detached);  // to show what is lost
    co_await common::sleep_for(200ms);
    common::log("kitchen", "has heard nothing of the lobster");

    asio::co_spawn(executor, cook("lobster", 100ms), [](std::exception_ptr failure, std::string) {
        common::log("kitchen", "this time a handler is told: failed is {}", failure != nullptr);
    });
    co_await common::sleep_for(200ms);
}

awaitable<void> evening()
{
    co_await catch_an_exception();
    co_await await_after_the_catch();
    co_await error_codes();
    co_await one_failure_cancels_the_rest();
    co_await the_rest_keeps_going();
    co_await both_sides_fail();
    co_await nobody_awaits();
}

}  // namespace

int main()
{
    common::run(evening());
}
