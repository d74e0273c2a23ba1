// 015 · The event loop, from inside
//
// Idea     An event loop is a queue of who is ready, a heap of who sleeps, and a while around them.
// asyncio  `loop.call_soon`, `run_forever`, `stop`, `asyncio.run_coroutine_threadsafe`
// Before   014_timeouts.cpp
// Run      ./learn run 15
// Read     docs/progression.md, lesson 015, beside this file

#include "common/clock.hpp"
#include "common/run.hpp"
#include "lessons/015_loop_by_hand.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/defer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>

#include <fmt/core.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

// The same names for io_context.
struct asio_loop {
    using task = awaitable<void>;
    task sleep_for(common::duration pause) { return common::sleep_for(pause); }
    common::duration elapsed() const { return common::elapsed(); }
};

template <class Loop>
void say(const Loop& loop, const std::string& what)
{
    const std::chrono::duration<double> seconds = loop.elapsed();
    fmt::print("[{:.2f}s] {}\n", seconds.count(), what);
}

// Two coroutines, written once, for either loop.
template <class Loop>
Loop::task brew(Loop& loop)
{
    say(loop, "brew: the water is on");
    co_await loop.sleep_for(300ms);
    say(loop, "brew: the coffee is ready");
}

template <class Loop>
Loop::task toast(Loop& loop)
{
    for (int side = 1; side <= 2; ++side) {
        co_await loop.sleep_for(150ms);
        say(loop, fmt::format("toast: side {} is brown", side));
    }
}

void two_loops()
{
    event_loop by_hand;
    fmt::print("== On a loop by hand ==\n");
    by_hand.spawn(brew(by_hand));
    by_hand.spawn(toast(by_hand));
    by_hand.run();

    fmt::print("== On io_context ==\n");
    asio_loop on_asio;
    common::run(brew(on_asio) && toast(on_asio));
}

// Says when it is destroyed, with the frame that it is in.
struct stove {
    ~stove() { fmt::print("stove: is switched off\n"); }
};

event_loop::task froth_milk(event_loop& loop, common::duration until_it_fails)
{
    const stove hot;
    co_await loop.sleep_for(until_it_fails);
    throw std::runtime_error("there is no milk");
}

// The first exception leaves run(). The other coroutine is suspended when the loop is destroyed.
void two_fail()
{
    fmt::print("== What a coroutine throws leaves run() ==\n");
    event_loop loop;
    loop.spawn(froth_milk(loop, 100ms));
    loop.spawn(froth_milk(loop, 200ms));
    try {
        loop.run();
    } catch (const std::runtime_error& failure) {
        say(loop, fmt::format("main: {}", failure.what()));
    }
}

// A handler: a function for a loop to run.
auto say_later(std::string what)
{
    return [what] { fmt::print("{}\n", what); };
}

// dispatch runs its handler at once where it may, which is inside a handler of the same loop. post
// and defer never do. defer says that the handler goes on where this one ends, so the loop need not
// hear of it before.
void who_comes_first()
{
    fmt::print("== post, dispatch, defer ==\n");
    asio::io_context loop;
    asio::dispatch(loop, say_later("dispatched by main: when the loop runs"));
    asio::post(loop, [&loop] {
        fmt::print("handler: begins\n");
        asio::defer(loop, say_later("deferred"));
        asio::post(loop, say_later("posted"));
        asio::dispatch(loop, say_later("dispatched by the handler: at once"));
        fmt::print("handler: ends\n");
    });
    loop.run();
}

// Each way of running a loop gives the number of handlers that it has run.
void a_bit_at_a_time()
{
    fmt::print("== A bit at a time ==\n");
    asio::io_context kitchen;
    for (const std::string dish : {"soup", "roast", "cake"}) {
        asio::post(kitchen, say_later("kitchen: " + dish));
    }
    fmt::print("main: run_one() ran {}\n", kitchen.run_one());  // waits for one, if need be
    fmt::print("main: poll() ran {}\n", kitchen.poll());        // all that are ready; never waits
    fmt::print("main: out of work, stopped is {}\n", kitchen.stopped());

    // A guard counts as work. run_for() waits until its time is over, run() until the guard is
    // gone.
    kitchen.restart();
    auto guard = asio::make_work_guard(kitchen);
    fmt::print("main: run_for(20ms) ran {}\n", kitchen.run_for(20ms));
    fmt::print("main: guarded, stopped is {}\n", kitchen.stopped());
    guard.reset();
    fmt::print("main: without the guard, stopped is {}\n", kitchen.stopped());
}

// Pitfall: a loop that has stopped stays stopped, whether stop() was called or work has run out. It
// takes new work, and does not run it.
void a_second_run()
{
    fmt::print("== A second run() ==\n");
    asio::io_context kitchen;
    asio::post(kitchen, [&kitchen] { kitchen.stop(); });  // the last handler of this run
    asio::post(kitchen, say_later("kitchen: breakfast"));
    fmt::print("main: run() ran {}, up to stop()\n", kitchen.run());
    fmt::print("main: a second run() ran {}\n", kitchen.run());
    kitchen.restart();
    fmt::print("main: after restart(), run() ran {}\n", kitchen.run());
}

awaitable<int> look_up_price(std::string item)
{
    co_await common::sleep_for(10ms);
    co_return static_cast<int>(item.size()) * 30;
}

// An ordinary function around a coroutine. It blocks until the price is there, and what the
// coroutine throws would come out of get().
int price_of(std::string item)
{
    asio::io_context loop;
    auto price = asio::co_spawn(loop, look_up_price(std::move(item)), asio::use_future);
    loop.run();
    return price.get();
}

void from_ordinary_code()
{
    fmt::print("== From ordinary code ==\n");
    fmt::print("main: coffee is {} cents\n", price_of("coffee"));

    // A loop in a thread of its own, kept there by the guard. At the end they go in turn, the last
    // first: the guard, so that run() returns; the thread, which waits for that; the loop.
    asio::io_context loop;
    std::jthread thread;
    const auto guard = asio::make_work_guard(loop);
    thread = std::jthread([&loop] { loop.run(); });
    auto price = asio::co_spawn(loop, look_up_price("tea"), asio::use_future);
    fmt::print("main: tea is {} cents, says the other thread\n", price.get());
}

}  // namespace

int main()
{
    two_loops();
    two_fail();
    who_comes_first();
    a_bit_at_a_time();
    a_second_run();
    from_ordinary_code();
}
