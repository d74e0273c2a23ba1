// 007 · Limiting concurrent work with a semaphore
//
// Idea     A semaphore lets a fixed number of coroutines pass; the others wait in line.
// asyncio  `slots = asyncio.Semaphore(3)`, `async with slots:`
// Before   006_mutex.cpp
// Run      ./learn run 7
// Read     docs/progression.md, lesson 007, beside this file

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/run.hpp"
#include "common/semaphore.hpp"

#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <utility>
#include <vector>

using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace {

// A server made for three at once. It counts how many it serves at the same time, and how many come
// when it is full already; it serves these too.
struct server {
    int busy = 0;
    int peak = 0;
    int too_many = 0;
};

awaitable<void> download(server& files)
{
    if (files.busy >= 3) {
        ++files.too_many;
    }
    files.peak = std::max(files.peak, ++files.busy);
    co_await common::sleep_for(100ms);
    --files.busy;
}

// Suspends while three others hold a permit. It goes back when `permit` leaves its scope, also when
// an exception does the leaving.
awaitable<void> download_in_turn(common::semaphore& slots, server& files)
{
    const auto permit = co_await slots.acquire();
    co_await download(files);
}

// Pitfall: a permit that is not given a name goes back where the statement ends. This line waits
// for its turn, and then gives it away.
awaitable<void> download_without_keeping(common::semaphore& slots, server& files)
{
    co_await slots.acquire();
    co_await download(files);
}

// The time that ten downloads take with `permits` permits.
awaitable<double> time_for_ten(std::size_t permits)
{
    common::semaphore slots(permits);
    server files;
    std::vector<awaitable<void>> downloads;
    for (int i = 0; i < 10; ++i) {
        downloads.push_back(download_in_turn(slots, files));
    }
    const auto start = common::now();
    co_await common::gather(std::move(downloads));
    co_return common::seconds_since(start);
}

// Runs the downloads and says how that went.
awaitable<void> report(std::vector<awaitable<void>> downloads, const server& files)
{
    const auto start = common::now();
    co_await common::gather(std::move(downloads));
    common::log(
        "main", "10 downloads took {:.2f} s, peak {}, {} too many", common::seconds_since(start),
        files.peak, files.too_many);
}

awaitable<void> all_at_once()
{
    common::section("All at once");
    server files;
    std::vector<awaitable<void>> downloads;
    for (int i = 0; i < 10; ++i) {
        downloads.push_back(download(files));
    }
    co_await report(std::move(downloads), files);
}

awaitable<void> three_at_a_time()
{
    common::section("Three at a time");
    common::semaphore slots(3);
    server files;
    std::vector<awaitable<void>> downloads;
    for (int i = 0; i < 10; ++i) {
        downloads.push_back(download_in_turn(slots, files));
    }
    co_await report(std::move(downloads), files);
    common::log("main", "permits available: {}", slots.available());
}

awaitable<void> a_permit_without_a_name()
{
    common::section("A permit that nobody keeps");
    common::semaphore slots(3);
    server files;
    std::vector<awaitable<void>> downloads;
    for (int i = 0; i < 10; ++i) {
        downloads.push_back(download_without_keeping(slots, files));
    }
    co_await report(std::move(downloads), files);
}

// Each line is an experiment of its own. They run side by side, and the longest takes 1.00 s.
awaitable<void> permits_and_time()
{
    common::section("Permits and time");
    const std::vector<std::size_t> permits = {1, 2, 3, 5, 10};
    std::vector<awaitable<double>> experiments;
    for (const auto count : permits) {
        experiments.push_back(time_for_ten(count));
    }
    const auto times = co_await common::gather(std::move(experiments));
    for (std::size_t i = 0; i < permits.size(); ++i) {
        common::log("table", "{:2} permits, {:.2f} s", permits[i], times[i]);
    }
}

awaitable<void> downloads()
{
    co_await all_at_once();
    co_await three_at_a_time();
    co_await a_permit_without_a_name();
    co_await permits_and_time();
}

}  // namespace

int main()
{
    common::run(downloads());
}
