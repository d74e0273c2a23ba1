// 004 · Exceptions, error codes and cleanup
//
// Idea     What a coroutine throws comes out at its caller's co_await, as from a function call.
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

struct sold_out : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// A coroutine's locals are destroyed when it ends, whether by co_return, by an exception or by
// being cancelled. So cleanup belongs in destructors.
struct table {
    std::string guest;
    ~table() { common::log("waiter", "clears the table of {}", guest); }
};

awaitable<std::string> cook(std::string dish, common::duration time)
{
    co_await common::sleep_for(time);
    if (dish == "lobster") {
        throw sold_out(dish + " is sold out");
    }
    co_return dish;
}

awaitable<std::string> serve(std::string guest, std::string dish, common::duration time)
{
    const table laid{guest};
    const std::string served = co_await cook(dish, time);
    common::log("waiter", "brings {} the {}", guest, served);
    co_return served;
}

// Catching around co_await is catching around a call. Pitfall: the language forbids a co_await in a
// catch block. So the block notes what happened, and what is to be awaited comes after it.
awaitable<void> catch_and_go_on()
{
    common::section("Caught at the co_await");
    bool refused = false;
    try {
        co_await serve("Ada", "lobster", 100ms);
    } catch (const sold_out& refusal) {
        common::log("Ada", "hears that {}", refusal.what());
        refused = true;
    }
    if (refused) {
        co_await serve("Ada", "soup", 100ms);
    }
}

// Asio's operations throw a system_error. With as_tuple they return their error code instead, which
// suits an error that is an ordinary answer. Here nobody listens: the acceptor is only bound.
awaitable<void> error_codes()
{
    common::section("system_error, or an error code");
    const auto executor = co_await asio::this_coro::executor;
    tcp::acceptor nobody(executor, tcp::v4());
    nobody.bind(tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket phone(executor);
    try {
        co_await phone.async_connect(nobody.local_endpoint(), asio::deferred);
    } catch (const boost::system::system_error& error) {
        common::log(
            "phone", "caught, refused is {}", error.code() == asio::error::connection_refused);
    }
    phone.close();
    const auto [code] =
        co_await phone.async_connect(nobody.local_endpoint(), asio::as_tuple(asio::deferred));
    common::log("phone", "returned, refused is {}", code == asio::error::connection_refused);
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
// 0.20 s of the 0.30 s that the roast takes. gather_results lets everyone finish, and has either a
// result or an exception in each place.
awaitable<void> one_of_three_fails()
{
    common::section("gather: one failure cancels the rest");
    try {
        co_await common::gather(three_orders());
    } catch (const sold_out& refusal) {
        common::log("kitchen", "stops: {}", refusal.what());
    }

    common::section("gather_results: the rest keeps going");
    const auto outcomes = co_await common::gather_results(three_orders());
    for (const auto& outcome : outcomes) {
        common::log("kitchen", "{}", outcome.has_value() ? outcome.value() : "sold out");
    }
}

// Pitfall: one failure under && cancels the other side, if that still runs, and it fails too. The
// two come out as multiple_exceptions, which no handler for sold_out catches.
awaitable<void> both_sides_fail()
{
    common::section("&&: multiple_exceptions");
    try {
        co_await (cook("lobster", 100ms) && cook("roast", 300ms));
    } catch (const sold_out&) {
        common::log("kitchen", "hears of the lobster");
    } catch (const asio::multiple_exceptions&) {
        common::log("kitchen", "hears that several things went wrong");
    }
}

// Pitfall: detached drops whatever the coroutine throws. A completion handler is told.
awaitable<void> nobody_awaits()
{
    common::section("detached swallows");
    const auto executor = co_await asio::this_coro::executor;

    asio::co_spawn(executor, cook("lobster", 100ms), asio::detached);  // to show what is lost
    co_await common::sleep_for(200ms);
    common::log("kitchen", "has heard nothing of the lobster");

    asio::co_spawn(executor, cook("lobster", 100ms), [](std::exception_ptr failure, std::string) {
        common::log("kitchen", "a handler is told, failed is {}", failure != nullptr);
    });
    co_await common::sleep_for(200ms);
}

awaitable<void> evening()
{
    co_await catch_and_go_on();
    co_await error_codes();
    co_await one_of_three_fails();
    co_await both_sides_fail();
    co_await nobody_awaits();
}

}  // namespace

int main()
{
    common::run(evening());
}
