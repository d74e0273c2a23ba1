// 013 · Other programs, as children of this one
//
// Idea     A child process is fed, read and waited for as a coroutine is; it has to be ended, too.
// asyncio  `child = await asyncio.create_subprocess_exec("sort", stdin=PIPE, stdout=PIPE)`
// Before   012_streams.cpp
// Run      ./learn run 13
// Read     docs/progression.md, lesson 013, beside this file

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/log.hpp"
#include "common/process.hpp"
#include "common/run.hpp"
#include "common/timeout.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/process/v2/stdio.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include <sys/wait.h>

namespace asio = boost::asio;
namespace process = boost::process::v2;
using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::literals;

namespace {

// A shell that runs a script.
common::command shell(const char* script)
{
    return common::command("sh", {"-c", script});
}

// Boost.Process starts a program, by its path, with the arguments and the three streams that it is
// to have: an empty stdin, a pipe for stdout, and the stderr of this program.
awaitable<void> by_hand()
{
    common::section("A program is started, read and waited for");
    const auto executor = co_await asio::this_coro::executor;
    asio::readable_pipe out(executor);
    process::process child(
        executor, "/bin/sh", {"-c", "printf 'the water boils'; exit 3"},
        process::process_stdio{nullptr, out, {}});

    // The pipe ends when nobody can write to it any more. That is not yet the end of the program.
    std::string text;
    co_await asio::async_read(out, asio::dynamic_buffer(text), asio::as_tuple(asio::deferred));
    const int code = co_await child.async_wait(asio::deferred);
    common::log("kettle", "wrote '{}', and ended with exit code {}", text, code);
}

// From here on, common/process.hpp makes the three pipes, and does what is the same each time. The
// kitchen gets an order every 0.10 s. After the last, its stdin is closed.
awaitable<void> take_orders(common::process& kitchen, common::event& served)
{
    constexpr std::array<std::string_view, 3> orders = {"soup\n", "fish\n", "cake\n"};
    for (const auto order : orders) {
        co_await common::sleep_for(100ms);
        // Virtual time knows nothing of other programs: while this lives, it stands still.
        const common::real_work until_it_is_served;
        co_await asio::async_write(kitchen.in(), asio::buffer(order), asio::deferred);
        co_await served.wait();
        served.clear();
    }
    kitchen.in().close();
}

awaitable<void> serve(common::process& kitchen, common::event& served)
{
    while (const auto line = co_await kitchen.read_line()) {
        common::log("kitchen", "{}", *line);
        served.set();
    }
}

awaitable<void> tick()
{
    for (int i = 0; i < 3; ++i) {
        co_await common::sleep_for(80ms);
        common::log("clock", "tick");
    }
}

// The kitchen answers each line that it reads. Waiting for the answer is an await like any other,
// so the clock ticks on. with_process() returns when the kitchen has ended.
awaitable<void> line_by_line()
{
    common::section("Line by line, and the loop goes on");
    const auto kitchen = shell("while read -r order; do echo \"$order is ready\"; done");
    co_await common::with_process(kitchen, [](common::process& child) -> awaitable<void> {
        common::event served;
        co_await (take_orders(child, served) && serve(child, served) && tick());
    });
    common::log("main", "the kitchen is closed");
}

// sort cannot write its first line before it has read its last one. It waits until stdin is closed.
awaitable<void> fed_and_closed()
{
    common::section("Fed, closed, and read");
    const common::command sort("sort");
    co_await common::with_process(sort, [](common::process& child) -> awaitable<void> {
        co_await asio::async_write(
            child.in(), asio::buffer("pear\napple\nfig\n"sv), asio::deferred);
        child.in().close();
        while (const auto line = co_await child.read_line()) {
            common::log("sort", "{}", *line);
        }
    });
}

awaitable<void> report(std::string who, common::command what)
{
    try {
        const auto ran = co_await common::run_process(what);
        common::log(who, "{}, out '{}', err '{}'", ran.status.text(), ran.out, ran.err);
    } catch (const boost::system::system_error& failure) {
        common::log(who, "cannot be started: {}", failure.code().message());
    }
}

// A child ends with an exit code of its own, or by a signal, and what it has to say comes in two
// streams. A program that does not exist is an exception, and no child.
awaitable<void> ways_to_end()
{
    common::section("How it ended");
    co_await report("cook", shell("printf 'half a cake'; printf 'no eggs' >&2; exit 1"));
    co_await report("diver", shell("kill -KILL $$"));
    co_await report("ghost", common::command("no-such-program"));
}

// cat ends when its stdin is closed: here, after as long as the guest stays.
awaitable<void> visit(std::string who, common::duration stay)
{
    const common::command cat("cat");
    const auto sit = [&](common::process& child) -> awaitable<void> {
        co_await common::sleep_for(stay);
        const common::real_work until_it_has_ended;
        child.in().close();
        co_await child.wait();
    };
    co_await common::with_process(cat, sit);
    common::log(who, "has left");
}

awaitable<void> several_at_once()
{
    common::section("Three children at once");
    co_await (visit("ann", 300ms) && visit("bob", 100ms) && visit("cid", 200ms));
    common::log("main", "all three took as long as the longest visit");
}

// A child that is past its deadline is asked to end, by the signal SIGTERM. It can ignore that. If
// it is still there 0.20 s later, it is killed, by SIGKILL, which no program can ignore.
awaitable<void> at_most(common::duration limit, std::string who, common::command what)
{
    const auto watch = [&](common::process& child) -> awaitable<void> {
        {
            const common::real_work until_it_is_ready;
            co_await child.read_line();
        }
        co_await (child.wait() || common::sleep_for(limit));
        const auto end = co_await child.stop(200ms);
        common::log(who, "ended by {}", end.text());
    };
    co_await common::with_process(what, watch);
}

awaitable<void> past_the_deadline()
{
    common::section("Past the deadline: asked, then killed");
    auto sleeper = at_most(100ms, "sleeper", shell("echo ready; exec sleep 60"));
    auto deaf = at_most(100ms, "deaf", shell("trap '' TERM; echo ready; exec sleep 60"));
    co_await (std::move(sleeper) && std::move(deaf));
}

// Whether this program has a child, running, or ended and not collected. WNOWAIT collects none.
bool has_children()
{
    siginfo_t child{};
    return waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

// Pitfall: a pipe holds 64 KiB, and cat writes back what it reads. Who writes all before reading
// any waits until cat reads on, and cat waits until somebody reads what it has written. Here the
// timeout cancels who waits. with_process() then stops the child, and only after that it throws.
awaitable<void> full_pipe()
{
    common::section("A full pipe");
    const common::command cat("cat");
    const std::string megabyte(1'000'000, 'x');
    const auto write_first = [&](common::process& child) -> awaitable<void> {
        const common::real_work while_bytes_move(50ms);
        co_await asio::async_write(child.in(), asio::buffer(megabyte), asio::deferred);
    };
    try {
        co_await common::with_timeout(100ms, common::with_process(cat, write_first));
    } catch (const common::timeout_error& late) {
        common::log("main", "write, then read: {}; a child left: {}", late.what(), has_children());
    }
    // run_process() writes and reads at the same time.
    const auto ran = co_await common::run_process(cat, megabyte);
    common::log("main", "write and read at once: {} bytes came back", ran.out.size());
}

awaitable<void> show()
{
    co_await by_hand();
    co_await line_by_line();
    co_await fed_and_closed();
    co_await ways_to_end();
    co_await several_at_once();
    co_await past_the_deadline();
    co_await full_pipe();
}

}  // namespace

int main()
{
    common::run(show());
}
