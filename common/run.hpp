// Runs a coroutine from ordinary code, as asyncio.run does.
//
// `run` makes an io_context, spawns the coroutine on it, and runs the context on the calling thread
// until no work is left. Everything that the coroutine starts runs on that one thread, so between
// two awaits nothing else happens, and the objects of this library need no locks.

#pragma once

#include "common/clock.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace common {

namespace detail {

// The io_context of one run, and its clock.
class run_loop {
public:
    explicit run_loop(clock_mode mode);

    // Runs `main` and all that it starts. Throws what `main` throws, at once.
    void run(boost::asio::awaitable<void> main);

private:
    boost::asio::io_context context_;
    class run_clock& clock_;
};

template <class T>
boost::asio::awaitable<void> store_result(boost::asio::awaitable<T> main, std::optional<T>& result)
{
    result.emplace(co_await std::move(main));
}

}  // namespace detail

// Runs `main` on a one-threaded io_context of its own, and gives its result; T need not be default
// constructible. Returns when no work is left: coroutines that `main` has spawned finish first, and
// as in asyncio the call does not return while something waits for what never comes.
//
// A thread of another pool that uses the loop has to be done with it before run returns: join the
// pool inside `main`.
//
// An exception that leaves `main`, or that a completion handler throws, comes out of run at once;
// what was still suspended is destroyed. Without a mode it takes the one that LESSON_CLOCK names.
//
// As asyncio.run, which cancels the tasks that are left when main returns; this waits for them.
template <class T>
T run(boost::asio::awaitable<T> main, clock_mode mode = clock_mode_from_environment())
{
    if constexpr (std::is_void_v<T>) {
        detail::run_loop(mode).run(std::move(main));
    } else {
        std::optional<T> result;
        detail::run_loop(mode).run(detail::store_result(std::move(main), result));
        return std::move(*result);
    }
}

}  // namespace common
