// Sleeps. What is measured is what a sleep costs the processor, not how long it lasts.

#include "bench.hpp"

#include "common/clock.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <chrono>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace bench {

namespace {

using pause = std::chrono::nanoseconds;

awaitable<void> sleep(rounds& left, pause length)
{
    while (left.next()) {
        co_await common::sleep_for(length);
    }
}

// With a timer of its own for each sleep, as sleep_for has it.
awaitable<void> wait_for_timer(rounds& left, pause length)
{
    const auto executor = co_await asio::this_coro::executor;
    while (left.next()) {
        asio::steady_timer timer(executor, length);
        co_await timer.async_wait(asio::deferred);
    }
}

// The lengths are all different, so that the queue of sleepers has something to sort.
template <auto Sleep, pause::rep Nanoseconds>
awaitable<void> sleep_many(rounds& left, std::size_t coroutines)
{
    pause length = pause(Nanoseconds);
    auto all = copies(coroutines, [&] {
        length += length / 10;
        length = length > 100 * pause(Nanoseconds) ? pause(Nanoseconds + 1) : length;
        return Sleep(left, length);
    });
    co_await together(std::move(all));
}

}  // namespace

void add_sleeps()
{
    add("common: sleep of 0", sleep_many<sleep, 0>);
    add("asio: sleep of 0", sleep_many<wait_for_timer, 0>);
    for (const std::size_t coroutines : {1U, 10U, 1000U}) {
        const auto row = fmt::format("short sleep, {}", coroutines);
        add("common: " + row, sleep_many<sleep, 1'000>, coroutines);
        add("asio: " + row, sleep_many<wait_for_timer, 1'000>, coroutines);
    }
    for (const std::size_t coroutines : {1U, 10U, 1000U}) {
        add(fmt::format("common: virtual sleep, {}", coroutines), sleep_many<sleep, 1'000'000>,
            coroutines, common::clock_mode::virtual_time);
    }
}

}  // namespace bench
