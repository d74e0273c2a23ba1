// 017 · A loop to one's own rules
//
// Idea     An executor decides when and where work runs. With one of your own, the rules are yours.
// asyncio  a subclass of `asyncio.SelectorEventLoop` that overrides `call_soon`
// Before   016_task_internals.cpp
// Run      ./learn run 17
// Read     docs/progression.md, lesson 017, beside this file

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/run.hpp"
#include "lessons/017_priority.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <ratio>
#include <string>
#include <thread>
#include <utility>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace {

constexpr int low = 1;
constexpr int high = 2;

void rethrow(std::exception_ptr failure)
{
    if (failure) {
        std::rethrow_exception(failure);
    }
}

// Three steps, with room for others in between.
awaitable<void> work(std::string who)
{
    for (int step = 1; step <= 3; ++step) {
        common::log(who, "step {}", step);
        co_await common::yield();
    }
}

awaitable<void> in_turn()
{
    common::section("On the loop's executor: in turn");
    const auto loop = co_await asio::this_coro::executor;
    asio::co_spawn(loop, work("dishes"), rethrow);
    asio::co_spawn(loop, work("soup"), rethrow);
}

awaitable<void> by_priority()
{
    common::section("On executors with a priority: the soup first");
    const auto loop = co_await asio::this_coro::executor;
    asio::co_spawn(with_priority(loop, low), work("dishes"), rethrow);
    asio::co_spawn(with_priority(loop, high), work("soup"), rethrow);
}

awaitable<void> wake_up(std::string who, common::time_point when)
{
    co_await common::sleep_until(when);
    common::log(who, "is awake");
}

using local_socket = asio::local::stream_protocol::socket;

awaitable<void> read_letter(std::string who, local_socket mailbox)
{
    char letter = ' ';
    co_await mailbox.async_read_some(asio::buffer(&letter, 1), asio::deferred);
    common::log(who, "has the letter {}", letter);
}

// Both are due at the same instant, and both sockets have a byte when the loop looks at them.
awaitable<void> timers_and_sockets()
{
    common::section("Timers and sockets");
    const auto loop = co_await asio::this_coro::executor;
    const auto calm = with_priority(loop, low);
    const auto urgent = with_priority(loop, high);
    const auto when = common::now() + 100ms;
    asio::co_spawn(calm, wake_up("dishes", when), rethrow);
    asio::co_spawn(urgent, wake_up("soup", when), rethrow);
    co_await common::sleep_until(when + 100ms);

    local_socket to_calm(loop), from_calm(calm), to_urgent(loop), from_urgent(urgent);
    asio::local::connect_pair(to_calm, from_calm);
    asio::local::connect_pair(to_urgent, from_urgent);
    asio::co_spawn(calm, read_letter("dishes", std::move(from_calm)), rethrow);
    asio::co_spawn(urgent, read_letter("soup", std::move(from_urgent)), rethrow);
    co_await common::yield();
    asio::write(to_calm, asio::buffer("A", 1));
    asio::write(to_urgent, asio::buffer("B", 1));
}

// A handler without an executor of its own runs on that of its timer.
void ring(const asio::any_io_executor& executor, std::string what)
{
    const auto timer = std::make_shared<asio::steady_timer>(executor, 0ms);
    timer->async_wait([timer, what](auto) { common::log("bell", "{}", what); });
}

// Pitfall: the loop's own executor knows of no priority. What is spawned there, and the handler of
// a timer that is made there, take turns with the whole queue, however urgent its work.
awaitable<void> on_the_wrong_executor()
{
    common::section("On the wrong executor");
    const auto loop = co_await asio::this_coro::executor;
    asio::co_spawn(loop, work("dishes"), rethrow);
    asio::co_spawn(with_priority(loop, high), work("soup"), rethrow);
}

awaitable<void> timers_on_the_wrong_executor()
{
    common::section("A timer on the wrong executor");
    const auto loop = co_await asio::this_coro::executor;
    ring(with_priority(loop, low), "low");
    ring(with_priority(loop, high), "high");
    ring(loop, "no priority");
}

// A clock that can simulate time, as that of lesson 015.
class frame_clock {
public:
    common::time_point now() const { return virtual_ ? virtual_now_ : common::now(); }

    void wait_until(common::time_point due)
    {
        if (virtual_) {
            virtual_now_ = std::max(virtual_now_, due);
        } else {
            std::this_thread::sleep_until(due);
        }
    }

    // Keeps the thread busy.
    void work_for(common::duration cost)
    {
        const auto done = now() + cost;
        virtual_now_ = done;
        while (now() < done) {
        }
    }

private:
    const bool virtual_ = common::clock_mode_from_environment() == common::clock_mode::virtual_time;
    common::time_point virtual_now_;
};

// A game: half a second of frames, 60 a second. It has a loop already, so it does not run() the
// io_context, but lets it handle messages in each frame: one, and more while the budget lasts.
void play(common::duration budget)
{
    using frames = std::chrono::duration<int, std::ratio<1, 60>>;
    frame_clock clock;
    asio::io_context network;
    const auto guard = asio::make_work_guard(network);  // without work, poll_one() would stop it
    int handled = 0;
    int on_time = 0;

    const auto start = clock.now();
    const auto begin_of = [&](int frame) {
        return start + std::chrono::duration_cast<common::duration>(frames(frame));
    };
    for (int frame = 0; frame < 30; ++frame) {
        clock.wait_until(begin_of(frame));
        for (int message = 0; frame == 5 && message < 100; ++message) {
            asio::post(network, [&] {
                clock.work_for(1ms);
                ++handled;
            });
        }
        const auto enough = clock.now() + budget;
        while (network.poll_one() == 1 && clock.now() < enough) {
        }
        clock.work_for(5ms);  // draws
        on_time += clock.now() <= begin_of(frame + 1) ? 1 : 0;
    }
    fmt::print("game: {} messages handled, {} of 30 frames on time\n", handled, on_time);
}

void frame_loop()
{
    common::section("A frame loop, and poll() without a limit");
    play(1h);
    common::section("A frame loop, and a budget of 8 ms a frame");
    play(8ms);
}

}  // namespace

int main()
{
    common::run(in_turn());
    common::run(by_priority());
    common::run(timers_and_sockets());
    common::run(on_the_wrong_executor());
    common::run(timers_on_the_wrong_executor());
    frame_loop();
}
