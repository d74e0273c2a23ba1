// 001 · A first coroutine
//
// Idea     A coroutine can stop in the middle, let others run, and go on where it stopped.
// asyncio  `async def`, `await asyncio.sleep(0.3)`, `asyncio.run(main())`
// Before   nothing: start here
// Run      ./learn run 1
// Read     docs/progression.md, lesson 001, beside this file

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/core.h>

#include <chrono>
#include <exception>
#include <stdexcept>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace {

// An ordinary function. Its caller waits until the last line has run.
void grind_beans()
{
    fmt::print("grind: the beans are ground\n");
}

// A coroutine. Two things make it one: it returns an awaitable, and it has a co_await in its body.
awaitable<void> brew_coffee()
{
    fmt::print("brew: the water is on\n");

    // A timer belongs to an event loop. This asks for the loop that runs the coroutine.
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, 300ms);

    // Suspends here. The thread is free, the loop runs whatever else is ready, and when the timer
    // expires it resumes this coroutine at the next line, with `timer` as it was.
    co_await timer.async_wait(asio::deferred);

    fmt::print("brew: the coffee is ready\n");
}

// Waits a third of the time that the coffee takes.
awaitable<void> make_toast()
{
    fmt::print("toast: the bread is in\n");

    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, 100ms);
    co_await timer.async_wait(asio::deferred);

    fmt::print("toast: the toast is done\n");
}

// Fails, after a while.
awaitable<void> froth_milk()
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, 100ms);
    co_await timer.async_wait(asio::deferred);

    throw std::runtime_error("there is no milk");
}

// What becomes of a coroutine's exception is up to this handler, which is called when the coroutine
// has ended. Thrown again from here, an exception leaves run(), as it would leave a function call.
void rethrow(std::exception_ptr failure)
{
    if (failure) {
        std::rethrow_exception(failure);
    }
}

void call_a_function()
{
    fmt::print("== A function runs when it is called ==\n");
    grind_beans();
    fmt::print("main: grind_beans() has returned\n");
}

// Pitfall: the call makes the coroutine, and does not start it. The awaitable that it returns is
// the coroutine, stopped before its first line. Dropped, it is destroyed, and has never
// run. The compiler warns of a bare call; it does not where the awaitable is kept in a variable.
void call_a_coroutine()
{
    fmt::print("== A coroutine does not ==\n");
    const awaitable<void> coffee = brew_coffee();
    fmt::print("main: brew_coffee() has returned, and has not begun\n");
}

// The event loop. co_spawn puts a coroutine on it, and run() runs what is on it until nothing is
// left.
void spawn_a_coroutine()
{
    fmt::print("== The event loop runs it ==\n");
    asio::io_context loop;
    asio::co_spawn(loop, brew_coffee(), rethrow);
    fmt::print("main: it is spawned, and the loop is not running yet\n");
    loop.run();
    fmt::print("main: run() has returned\n");
}

// The toast is spawned second and finished first: it runs while the coffee is suspended.
void spawn_two_coroutines()
{
    fmt::print("== While one is suspended, another runs ==\n");
    asio::io_context loop;
    asio::co_spawn(loop, brew_coffee(), rethrow);
    asio::co_spawn(loop, make_toast(), rethrow);
    loop.run();
    fmt::print("main: breakfast is served\n");
}

// The exception that leaves the coroutine goes to the handler, from there to run(), and out of it.
void spawn_one_that_fails()
{
    fmt::print("== What it throws leaves run() ==\n");
    asio::io_context loop;
    asio::co_spawn(loop, froth_milk(), rethrow);
    try {
        loop.run();
    } catch (const std::runtime_error& failure) {
        fmt::print("main: caught: {}\n", failure.what());
    }
}

}  // namespace

int main()
{
    call_a_function();
    call_a_coroutine();
    spawn_a_coroutine();
    spawn_two_coroutines();
    spawn_one_that_fails();
}
