// 002 · Arguments, results, and coroutines that call coroutines
//
// Idea     co_await calls a coroutine, waits until it has ended, and gives its result.
// asyncio  `price = await look_up_price("milk")`
// Before   001_simple_coroutine.cpp
// Run      ./learn run 2
// Read     docs/progression.md, lesson 002, beside this file

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/run.hpp"

#include <boost/asio/awaitable.hpp>

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace {

// Takes an argument and returns a result: the type in awaitable<> is what co_await gives the
// caller. sleep_for is the timer of lesson 001 in one line.
awaitable<int> look_up_price(std::string item)
{
    common::log("shop", "looks up the price of {}", item);
    co_await common::sleep_for(100ms);
    co_return static_cast<int>(item.size()) * 30;
}

awaitable<int> ask_for_discount(int price)
{
    common::log("shop", "works out the discount on {} cents", price);
    co_await common::sleep_for(200ms);
    co_return price / 10;
}

// Coroutines call coroutines. While the inner one is suspended, so is this one, and the whole chain
// goes on when the timer at its end expires.
awaitable<int> final_price(std::string item)
{
    const int price = co_await look_up_price(item);
    const int discount = co_await ask_for_discount(price);
    co_return price - discount;
}

// 0.10 s and 0.20 s, one after the other: nothing here runs side by side.
awaitable<void> awaits_in_a_row()
{
    common::section("Awaits in a row add up");
    const auto start = common::now();
    const int price = co_await final_price("coffee");
    common::log(
        "main", "coffee is {} cents: 0.10 s + 0.20 s took {:.2f} s", price,
        common::seconds_since(start));
}

struct receipt {
    std::string text;
};

// A result is moved out, never copied, so it may be a type that cannot be copied.
awaitable<std::unique_ptr<receipt>> print_receipt(int cents)
{
    co_await common::sleep_for(100ms);
    auto paper = std::make_unique<receipt>();
    paper->text = fmt::format("paid {} cents", cents);
    co_return paper;
}

awaitable<void> a_result_that_moves()
{
    common::section("A result is moved to the caller");
    const std::unique_ptr<receipt> paper = co_await print_receipt(162);
    common::log("main", "holds the only receipt: {}", paper->text);
}

// Pitfall: a coroutine keeps its parameters in its frame, and what it keeps of a reference
// parameter is the reference. Were this declared as greet(const std::string& name), then
//
//     auto greeting = greet(std::string("Ada"));   // the string dies at this semicolon
//     co_await std::move(greeting);                // and only now greet() reads it
//
// would read a string that is gone, without a word from the compiler. Taken by value, the name
// lives in the frame, as long as the coroutine does.
awaitable<void> greet(std::string name)
{
    co_await common::sleep_for(100ms);
    common::log("shop", "thank you, {}, and do come again", name);
}

awaitable<void> a_parameter_that_stays()
{
    common::section("A parameter by value lives as long as the coroutine");
    auto greeting = greet(std::string("Ada"));
    common::log("main", "the string that was passed is gone, and greet() has not begun");
    co_await std::move(greeting);
}

awaitable<void> shopping()
{
    co_await awaits_in_a_row();
    co_await a_result_that_moves();
    co_await a_parameter_that_stays();
}

}  // namespace

int main()
{
    common::run(shopping());
}
