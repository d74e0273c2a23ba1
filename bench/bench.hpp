// What the measurements share.
//
// A measurement is a coroutine that does one thing over and over, alone or with others at its side,
// on the same one-threaded loop whether it measures this library or Asio. It asks `rounds` before
// each operation whether there is another; the first question starts the clock, so what comes
// before it, such as starting a thousand coroutines, does not count.

#pragma once

#include "common/clock.hpp"

#include <boost/asio/awaitable.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace bench {

// The operations that are left to do. Coroutines of one measurement share it.
class rounds {
public:
    explicit rounds(benchmark::State& state) : state_(state) {}

    // Counts `count` operations as done, and says whether they are to be. Stays false once it is.
    bool next(std::size_t count = 1)
    {
        over_ = over_ || !state_.KeepRunningBatch(static_cast<benchmark::IterationCount>(count));
        return !over_;
    }

    bool over() const { return over_; }

private:
    benchmark::State& state_;
    bool over_ = false;
};

using body = boost::asio::awaitable<void> (*)(rounds& left, std::size_t coroutines);

// Adds a measurement. The name is "who: what": who is common, asio or floor, and lines of the table
// are made of those that agree in what.
void add(
    const std::string& name, body measured, std::size_t coroutines = 1,
    common::clock_mode mode = common::clock_mode::steady);

// As many coroutines as asked for, each from a call of `make`. Not yet begun.
template <class Make>
std::vector<boost::asio::awaitable<void>> copies(std::size_t count, Make make)
{
    std::vector<boost::asio::awaitable<void>> made;
    made.reserve(count);
    for (std::size_t each = 0; each < count; ++each) {
        made.push_back(make());
    }
    return made;
}

// Runs them side by side to their end.
boost::asio::awaitable<void> together(std::vector<boost::asio::awaitable<void>> coroutines);

// A coroutine that returns at once. It stands in a file of its own, as the library's do, so that
// the compiler cannot look into it.
boost::asio::awaitable<void> nothing();

// What a coroutine does with a thing that it has got: nothing, or one turn of the loop.
enum class inside { nothing, a_yield };

// Of the semaphores that are contended for: three, or one for two coroutines.
inline std::size_t permits_for(std::size_t coroutines)
{
    return std::min<std::size_t>(3, coroutines - 1);
}

// One for each file of measurements; each adds what is in it.
void add_alone();
void add_floors();
void add_locks();
void add_channels_as_locks();
void add_queues();
void add_channels();
void add_signals();
void add_children();
void add_sleeps();
void add_memory();

}  // namespace bench
