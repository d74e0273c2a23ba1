// 003 · Several things at once
//
// Idea     && and gather start several coroutines, and wait until all of them have ended.
// asyncio  `await asyncio.gather(*downloads)`
// Before   002_awaiting_values.cpp
// Run      ./learn run 3
// Read     docs/progression.md, lesson 003, beside this file

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/run.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <fmt/ranges.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

// Gives the size of the file in kilobytes, which is also how many milliseconds it takes.
awaitable<int> download(std::string file, int kilobytes)
{
    co_await common::sleep_for(std::chrono::milliseconds(kilobytes));
    common::log("download", "{} has arrived", file);
    co_return kilobytes;
}

awaitable<void> one_after_another()
{
    common::section("One after another");
    const auto start = common::now();
    const int song = co_await download("song", 300);
    const int photo = co_await download("photo", 100);
    const int text = co_await download("text", 200);
    common::log("main", "{} kB in {:.2f} s", song + photo + text, common::seconds_since(start));
}

// && is for a number of coroutines that is known here. Both are started, and the results come as a
// tuple, in the order in which they are written, also when the second is the first to arrive.
awaitable<void> both_at_once()
{
    common::section("Two at once, with &&");
    const auto start = common::now();
    const auto [song, photo] = co_await (download("song", 300) && download("photo", 100));
    common::log(
        "main", "song {} kB, photo {} kB in {:.2f} s", song, photo, common::seconds_since(start));
}

// gather is for a vector of them. They finish by size; the results have the order of the vector.
awaitable<void> all_at_once()
{
    common::section("Any number at once, with gather");
    const auto start = common::now();
    std::vector<awaitable<int>> downloads;
    downloads.push_back(download("song", 300));
    downloads.push_back(download("photo", 100));
    downloads.push_back(download("text", 200));
    const std::vector<int> sizes = co_await common::gather(std::move(downloads));
    common::log("main", "{} kB in {:.2f} s", fmt::join(sizes, ", "), common::seconds_since(start));
}

// Concurrency is not parallelism. These two overlap in time, and run on the same thread: coroutines
// take turns, and what overlaps is only the waiting.
awaitable<std::thread::id> thread_of_a_coroutine()
{
    co_await common::sleep_for(100ms);
    co_return std::this_thread::get_id();
}

awaitable<void> all_on_one_thread()
{
    common::section("At once, on one thread");
    const auto [one, other] = co_await (thread_of_a_coroutine() && thread_of_a_coroutine());
    common::log("main", "both ran on the same thread: {}", one == other);
}

// Pitfall: an awaitable that is stored is not a task in the background. It starts when it is
// awaited, so two of them awaited in turn take as long as two calls in a row.
awaitable<void> stored_and_awaited_in_turn()
{
    common::section("Stored and awaited in turn: no overlap");
    const auto start = common::now();
    auto photo = download("photo", 100);
    auto text = download("text", 200);
    co_await std::move(photo);
    co_await std::move(text);
    common::log("main", "0.10 s and 0.20 s took {:.2f} s", common::seconds_since(start));
}

struct clock_tower {
    int ticks = 0;
    bool stopped = false;
};

awaitable<void> tick(clock_tower& tower)
{
    while (!tower.stopped) {
        co_await common::sleep_for(5ms);
        ++tower.ticks;
    }
}

// Suspends, and the clock ticks.
awaitable<void> wait_on_the_loop(clock_tower& tower)
{
    co_await common::sleep_for(20ms);
    common::log("clock", "{} ticks in 20 ms of common::sleep_for", tower.ticks);
    tower.stopped = true;
}

// Blocks the thread, and with it the loop and everybody on it. As long a wait, but the clock does
// not tick.
awaitable<void> block_the_loop(clock_tower& tower)
{
    std::this_thread::sleep_for(20ms);
    common::log("clock", "{} ticks in 20 ms of std::this_thread::sleep_for", tower.ticks);
    tower.stopped = true;
    co_return;
}

// Pitfall: a call that blocks stalls every coroutine there is.
awaitable<void> a_blocking_call_stalls_everyone()
{
    common::section("A blocking call stalls everyone");
    clock_tower tower;
    co_await (tick(tower) && wait_on_the_loop(tower));
    clock_tower stalled;
    co_await (tick(stalled) && block_the_loop(stalled));
}

awaitable<void> downloads()
{
    co_await one_after_another();
    co_await both_at_once();
    co_await all_at_once();
    co_await all_on_one_thread();
    co_await stored_and_awaited_in_turn();
    co_await a_blocking_call_stalls_everyone();
}

}  // namespace

int main()
{
    common::run(downloads());
}
