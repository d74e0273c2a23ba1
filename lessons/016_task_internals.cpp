// 016 · The life of a task, and a list of those that live
//
// Idea     A task is a frame on the heap; a list that frames enter and leave knows where all wait.
// asyncio  `asyncio.all_tasks()`, `asyncio.print_call_graph(task)`
// Before   015_event_loop.cpp
// Run      ./learn run 16
// Read     docs/progression.md, lesson 016, beside this file

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/log.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"
#include "lessons/016_task_list.hpp"
#include "lessons/016_told_task.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <exception>
#include <string>
#include <utility>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

using beans = std::array<int, 1024>;

told::task<int> grind(std::string, told::bell& start, beans& grinder)
{
    co_await start;
    grinder.fill(0);
    co_return 20;
}

// The grinder is in use across an await, so it is part of the frame: 4 KiB of it.
told::task<int> brew(std::string who, told::bell& start)
{
    beans grinder{};
    const int grams = co_await grind("grind", start, grinder);
    common::log(who, "has {} g of coffee", grams);
    co_return grams * 10;
}

// There is no event loop here: whoever has the handle of a suspended coroutine can resume it.
void coffee()
{
    told::bell start;
    auto making = brew("brew", start);
    common::log("main", "brew() has returned");
    making.start();
    common::log("main", "start() has returned; rings the bell");
    start.ring();
    common::log("main", "ring() has returned; {} ml of coffee", making.result());
}

void the_life_of_a_task()
{
    common::section("The life of a task");
    coffee();
    const auto& frames = told::frames;
    common::log(
        "main", "frames: {} made, {} freed, {} bytes left", frames.made, frames.freed,
        frames.bytes);
}

// Needs two tools, and takes one after the other.
awaitable<void> build(listed::task& me, listed::mutex& first, listed::mutex& second)
{
    const auto one = co_await first.lock(me);
    common::log(me.name, "has the {}", first.name);
    co_await listed::wait_for(me, "the glue", common::sleep_for(50ms));
    const auto other = co_await second.lock(me);
    common::log(me.name, "has both, and builds");
}

// Who is asked to give way puts back what it has, and then takes the tools in the other order.
awaitable<void> joiner(
    std::string name, const listed::task& shop, listed::mutex& first, listed::mutex& second)
{
    listed::task me(name, &shop);
    auto attempt = listed::wait_for(me, "the chair", build(me, first, second));
    const auto ended = co_await (std::move(attempt) || me.give_way.wait());
    if (ended.index() == 1) {
        common::log(name, "gives way, and begins again");
        co_await listed::wait_for(me, "the chair", build(me, second, first));
    }
}

// A deadlock is a circle: each waits for what the next one has. One of them must let go.
void end_deadlock()
{
    const auto circle = listed::find_circle();
    for (const auto* const each : circle) {
        common::log("circle", "{} waits for {}", each->name, listed::waits_for_task(*each)->name);
    }
    if (!circle.empty()) {
        circle.back()->give_way.set();
    }
}

// At each SIGUSR1 prints the tasks that live.
awaitable<void> list_on_signal(const listed::task& shop)
{
    listed::task me("lister", &shop);
    asio::signal_set usr1(co_await asio::this_coro::executor, SIGUSR1);
    while (true) {
        co_await listed::wait_for(me, "SIGUSR1", usr1.async_wait(asio::use_awaitable));
        for (const auto& line : listed::lines()) {
            common::log("list", "{}", line);
        }
        end_deadlock();
    }
}

// The signal comes from the program itself here. `kill -USR1` sends it from a shell.
awaitable<void> send_signal(const listed::task& shop)
{
    listed::task me("sender", &shop);
    co_await listed::wait_for(me, "0.10 s", common::sleep_for(100ms));
    common::log(me.name, "raises SIGUSR1");
    std::raise(SIGUSR1);
}

// Ada and Bob take the same two tools in opposite order. Cleo wants one of them too.
awaitable<void> a_deadlock()
{
    common::section("A deadlock, found in the list");
    listed::task me("shop");
    listed::mutex saw("saw");
    listed::mutex drill("drill");
    listed::mutex vice("vice");
    co_await common::with_task_group([&](common::task_group& staff) -> awaitable<void> {
        staff.spawn(list_on_signal(me));
        staff.spawn(send_signal(me));
        auto day = joiner("Ada", me, saw, drill) && joiner("Bob", me, drill, saw) &&
                   joiner("Cleo", me, vice, saw);
        co_await listed::wait_for(me, "three chairs", std::move(day));
        staff.cancel();
    });
    common::log("main", "all three have built");
}

awaitable<void> wait_in_vain(common::event& bell)
{
    listed::task me("apprentice");
    co_await listed::wait_for(me, "the bell", bell.wait());
    common::log("apprentice", "goes home");
}

// Pitfall: a coroutine that waits for what nobody will do. The loop counts it as work, so run()
// would not return. Destroying the loop destroys the frame, and with it the entry in the list.
void never_resumed()
{
    common::section("A task that nothing will resume");
    common::event bell;
    {
        asio::io_context loop;
        asio::co_spawn(loop, wait_in_vain(bell), [](std::exception_ptr failure) {
            if (failure) {
                std::rethrow_exception(failure);
            }
        });
        loop.run_for(20ms);
        common::log("main", "run_for() has returned, and all work is done: {}", loop.stopped());
        for (const auto& line : listed::lines()) {
            common::log("list", "{}", line);
        }
    }
    common::log("main", "the loop is gone, and tasks in the list: {}", listed::all_tasks.size());
}

awaitable<void> workshop()
{
    the_life_of_a_task();
    co_await a_deadlock();
    never_resumed();
}

}  // namespace

int main()
{
    common::run(workshop());
}
