// What an average hides: how long each guest waits, and how late the loop is. For lesson 020.
//
// An average is made of the many who were served at once and the few who were not. A percentile
// says how long so many in a hundred have waited at most, and the lag says what the loop itself is
// like, without asking any guest.

#pragma once

#include "lessons/020_evening.hpp"
#include "lessons/020_measure.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace tuning {

using steady = std::chrono::steady_clock;

inline double microseconds_since(steady::time_point start)
{
    return std::chrono::duration<double, std::micro>(steady::now() - start).count();
}

// Calls one order after another, and writes down how long each took.
inline boost::asio::awaitable<void> guest(
    pipe& kitchen, std::size_t left, std::vector<double>& waits)
{
    for (order called{}; left > 0; --left) {
        const auto start = steady::now();
        co_await boost::asio::async_write(
            kitchen, boost::asio::buffer(called), boost::asio::deferred);
        co_await boost::asio::async_read(
            kitchen, boost::asio::buffer(called), boost::asio::deferred);
        waits.push_back(microseconds_since(start));
    }
}

// Thinks for 5 ms over every twentieth order: in the way of everybody, or not.
inline boost::asio::awaitable<void> thoughtful_cook(pipe& hatch, std::size_t left, bool blocks)
{
    boost::asio::steady_timer thought(hatch.get_executor());
    for (order heard{}; left > 0; --left) {
        co_await boost::asio::async_read(hatch, boost::asio::buffer(heard), boost::asio::deferred);
        if (left % 20 == 0 && blocks) {
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        } else if (left % 20 == 0) {
            thought.expires_after(std::chrono::milliseconds(5));
            co_await thought.async_wait(boost::asio::deferred);
        }
        co_await boost::asio::async_write(hatch, boost::asio::buffer(heard), boost::asio::deferred);
    }
}

// The loop's lag: how much later than asked for a timer goes off, at worst.
inline boost::asio::awaitable<void> watch(const std::vector<double>& waits, double& lag)
{
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    while (waits.size() < orders) {
        timer.expires_after(std::chrono::milliseconds(1));
        co_await timer.async_wait(boost::asio::deferred);
        lag = std::max(lag, microseconds_since(timer.expiry()));
    }
}

// Ten guests and ten cooks, of whom one is thoughtful. Prints what an average does not tell.
inline void print_waits(const std::string& name, bool blocks)
{
    boost::asio::io_context loop(1);
    std::deque<pipe> ends;
    std::vector<double> waits;
    double lag = 0;
    boost::asio::co_spawn(loop, watch(waits, lag), rethrow);
    for (std::size_t i = 0; i < 10; ++i) {
        auto& kitchen = ends.emplace_back(loop);
        auto& hatch = ends.emplace_back(loop);
        boost::asio::local::connect_pair(kitchen, hatch);
        boost::asio::co_spawn(loop, guest(kitchen, orders / 10, waits), rethrow);
        boost::asio::co_spawn(
            loop,
            i == 0 ? thoughtful_cook(hatch, orders / 10, blocks)
                   : cook(hatch, orders / 10, 1, boost::asio::deferred),
            rethrow);
    }
    const auto start = steady::now();
    loop.run();
    const auto took = microseconds_since(start);

    std::sort(waits.begin(), waits.end());
    const auto average = std::accumulate(waits.begin(), waits.end(), 0.0) / orders;
    fmt::print("{:<20}", name);
    for (const double figure :
         {orders / took * 1e6, average, waits[orders / 2], waits[orders * 99 / 100], waits.back(),
          lag}) {
        fmt::print("{:>10}", timed ? fmt::format("{:.0f}", figure) : "-");
    }
    fmt::print("\n");
}

}  // namespace tuning
