// 008 · Producers, consumers and a queue between them
//
// Idea     A bounded queue hands items from coroutine to coroutine, and makes the faster side wait.
// asyncio  `queue = asyncio.Queue(maxsize=2)`, `await queue.put(x)`, `await queue.get()`
// Before   007_semaphore.cpp
// Run      ./learn run 8
// Read     docs/progression.md, lesson 008, beside this file

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/queue.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/error_code.hpp>

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

// Makes a loaf in no time, and has to wait when two lie on the shelf that nobody has taken.
awaitable<void> bake(common::queue<int>& shelf, int loaves)
{
    for (int loaf = 1; loaf <= loaves; ++loaf) {
        co_await shelf.put(loaf);
        common::log("baker", "puts loaf {} on the shelf", loaf);
    }
    shelf.close();
}

// Takes 0.10 s for each loaf. get() throws when the shelf is closed and empty, which is the end.
awaitable<void> sell(common::queue<int>& shelf)
{
    try {
        while (true) {
            const int loaf = co_await shelf.get();
            common::log("shop", "sells loaf {}", loaf);
            co_await common::sleep_for(100ms);
        }
    } catch (const common::queue_closed&) {
        common::log("shop", "has sold out, and closes");
    }
}

// The shelf holds two. So the baker runs ahead by two loaves, and from then on is as slow as the
// shop.
awaitable<void> backpressure()
{
    common::section("A fast baker and a slow shop");
    common::queue<int> shelf(2);
    co_await (bake(shelf, 5) && sell(shelf));
}

// Works on orders until it is cancelled. task_done() says that the last one is dealt with.
awaitable<void> cook(common::queue<int>& orders, std::vector<int>& served, common::duration pace)
{
    while (true) {
        const int order = co_await orders.get();
        co_await common::sleep_for(pace);
        served.push_back(order);
        orders.task_done();
    }
}

awaitable<void> take_orders(common::queue<int>& orders, int first)
{
    for (int order = first; order < first + 3; ++order) {
        co_await orders.put(order);
        co_await common::sleep_for(10ms);
    }
}

// Two waiters, three cooks. join() waits until every order that was put is done with, and then the
// cooks, who would wait for ever, are sent home.
awaitable<void> kitchen(common::queue<int>& orders, std::vector<int>& served)
{
    co_await common::with_task_group([&](common::task_group& staff) -> awaitable<void> {
        staff.spawn(cook(orders, served, 30ms));
        staff.spawn(cook(orders, served, 50ms));
        staff.spawn(cook(orders, served, 70ms));
        co_await (take_orders(orders, 1) && take_orders(orders, 4));
        co_await orders.join();
        staff.cancel();
    });
}

awaitable<void> several_of_each()
{
    common::section("Two producers, three consumers");
    common::queue<int> orders(2);
    std::vector<int> served;
    co_await kitchen(orders, served);
    std::sort(served.begin(), served.end());
    common::log("kitchen", "served {}, each once", fmt::join(served, " "));
}

// Asio has a queue of its own, the channel. It is bounded too, and a send waits for room.
using channel = asio::experimental::channel<void(boost::system::error_code, std::string)>;

awaitable<void> send_letter(channel& letters)
{
    co_await common::sleep_for(100ms);
    letters.try_send(boost::system::error_code(), "letter");
}

// Pitfall: || waits until one of two has succeeded, cancels the other, and drops what that gives.
// Here the letter comes in the instant in which the wait ends. The channel has handed it over, the
// race is lost, and the letter with it. (|| takes awaitables, so the token is use_awaitable, and
// not deferred.)
awaitable<void> race_on_a_channel()
{
    common::section("A channel's item, lost in a race");
    channel letters(co_await asio::this_coro::executor, 1);
    const auto wait = [&letters]() -> awaitable<void> {
        const auto first =
            co_await (letters.async_receive(asio::use_awaitable) || common::sleep_for(100ms));
        common::log("postman", "got the letter is {}", first.index() == 0);
    };
    co_await (send_letter(letters) && wait());
    common::log("postman", "left in the channel is {}", letters.ready());
}

awaitable<void> put_letter(common::queue<std::string>& letters)
{
    co_await common::sleep_for(100ms);
    co_await letters.put("letter");
}

// The same race, with a queue. with_timeout cancels what takes longer than the time given, and
// throws timeout_error. The letter stays in the queue until its getter runs, so either the getter
// has it, or it is still there.
awaitable<void> race_on_a_queue()
{
    common::section("A queue's item, still there");
    common::queue<std::string> letters;
    const auto wait = [&letters]() -> awaitable<void> {
        try {
            const auto letter = co_await common::with_timeout(100ms, letters.get());
            common::log("postman", "got the {}", letter);
        } catch (const common::timeout_error&) {
            common::log("postman", "got nothing in time");
        }
    };
    co_await (put_letter(letters) && wait());
    common::log("postman", "left in the queue: {}", letters.size());
}

awaitable<void> town()
{
    co_await backpressure();
    co_await several_of_each();
    co_await race_on_a_channel();
    co_await race_on_a_queue();
}

}  // namespace

int main()
{
    common::run(town());
}
