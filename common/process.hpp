// Programs outside: to start one, to talk to it, and to be rid of it.
//
// A child process is another program, which the operating system runs beside this one. It has three
// pipes to this program: one that it reads (stdin) and two that it writes (stdout, stderr). When it
// has ended, its status stays with the operating system until its parent collects it; a child that
// has ended and was not collected is a zombie. Boost.Process starts the child and waits for its end
// without blocking the event loop. What it leaves open is here:
//
// - A pipe holds 64 KiB. A child that writes more waits until somebody reads; if its parent is
//   waiting for something else, the two wait for ever. So run_process() reads both pipes at the
//   same time as it writes the third.
// - A child does not end because its parent has lost interest. It has to be asked, by SIGTERM, and
//   if it does not listen, killed, by SIGKILL, and then collected. That takes time, and a
//   destructor cannot await. So with_process() is a scope, as with_task_group() is: it returns when
//   the child has ended and is collected, also when what is inside throws or is cancelled.
// - A child can start others. Each child leads a process group, and signals go to all of the group.
//
// On virtual time a child counts as real work: whoever waits for it here gives it a second of real
// time in which nothing happens, before the clock moves on. That is for a child that may never
// end. Where one is sure to, hold a real_work of your own, and the clock waits as long as it takes.
//
// Linux only. The first child that is started makes this program ignore SIGPIPE, so that writing to
// a child that has closed its stdin is an error, and not the end of the program.

#pragma once

#include "common/clock.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/process/v2/process.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace common {

// A program and its arguments, without the name of the program as the first. A program whose name
// has no slash in it is looked for in PATH.
struct command {
    explicit command(std::string program_, std::vector<std::string> arguments_ = {})
        : program(std::move(program_)), arguments(std::move(arguments_))
    {
    }

    std::string program;
    std::vector<std::string> arguments;

    // Variables that the program gets besides those of this one, or in place of them: the name, and
    // the value.
    std::vector<std::pair<std::string, std::string>> environment = {};
};

// How a child ended: by itself, with an exit code, or by a signal.
class exit_status {
public:
    exit_status() = default;

    // From what waitpid() gives.
    explicit exit_status(int native) : native_(native) {}

    bool success() const { return native_ == 0; }
    std::optional<int> code() const;
    std::optional<int> signal() const;

    // "exit code 3" or "signal 9 (Killed)".
    std::string text() const;

private:
    int native_ = 0;
};

// A child process, with this program's ends of its three pipes.
class process {
public:
    // Starts it. Throws boost::system::system_error if it cannot be started, with the program's
    // name in what(); nothing is left of it then. Blocks until the program has been loaded.
    process(boost::asio::any_io_executor executor, const command& what);

    // Kills the child, and all of its group, if it has not ended, and collects it.
    ~process();

    process(const process&) = delete;
    process& operator=(const process&) = delete;

    int id() const { return id_; }

    // What the child reads, and what it writes. Closing in() is how it learns that no more comes.
    boost::asio::writable_pipe& in() { return in_; }
    boost::asio::readable_pipe& out() { return out_; }
    boost::asio::readable_pipe& err() { return err_; }

    // The next line of out(), without its end, or nothing when there are no more. What follows the
    // last end of a line counts as a line. Keeps what it has read ahead, so stay with it.
    boost::asio::awaitable<std::optional<std::string>> read_line();

    // Waits until the child has ended, and collects it; from then on, returns at once. Cancelled,
    // it throws operation_aborted, and the child runs on. Only one may wait at a time. Throws
    // no_child_process when the program collects its children by other means, too.
    boost::asio::awaitable<exit_status> wait();

    // Asks the child's group to end, by SIGTERM; after `grace`, by the run's clock, kills it, by
    // SIGKILL. Completes when the child has ended. What is left of its group is killed then.
    boost::asio::awaitable<exit_status> stop(duration grace);

private:
    bool running() const { return !ended_ && !lost_; }
    boost::asio::awaitable<void> collect_status();
    void signal_group(int signal) const;

    boost::asio::writable_pipe in_;
    boost::asio::readable_pipe out_;
    boost::asio::readable_pipe err_;
    std::string read_ahead_;  // by read_line
    boost::process::v2::process child_;
    int id_ = 0;  // of the child, and of its group
    std::optional<exit_status> ended_;
    bool lost_ = false;  // somebody else has collected it, and its status with it
};

// What a child gets between SIGTERM and SIGKILL where nobody says otherwise.
inline constexpr duration default_grace = std::chrono::seconds(2);

namespace detail {

// Waits for the end of a child, and throws away what it still writes, so that it can end.
boost::asio::awaitable<exit_status> finish(process& child);

// Stops a child in the same way. Cancelling the caller has no effect on it, and it throws nothing.
boost::asio::awaitable<void> stop_regardless(process& child, duration grace);

}  // namespace detail

// Starts a child, runs `body`, an awaitable<void>(process&), closes the child's stdin, and
// completes when the child has ended, with its status. What it writes after the body has ended is
// discarded.
//
// When the body throws, or the caller is cancelled, the child is stopped, as stop() does it, and
// then the exception is thrown. A second cancellation does not shorten the grace.
template <class Body>
boost::asio::awaitable<exit_status> with_process(
    command what, Body body, duration grace = default_grace)
{
    const auto executor = co_await boost::asio::this_coro::executor;
    process child(executor, what);

    std::exception_ptr failure;
    try {
        co_await body(child);
        child.in().close();
        co_return co_await detail::finish(child);
    } catch (...) {
        failure = std::current_exception();
    }

    // In a coroutine that has been cancelled every await throws, unless it is told not to.
    const bool throws = co_await boost::asio::this_coro::throw_if_cancelled();
    co_await boost::asio::this_coro::throw_if_cancelled(false);
    co_await detail::stop_regardless(child, grace);
    co_await boost::asio::this_coro::throw_if_cancelled(throws);
    std::rethrow_exception(failure);
}

struct process_output {
    exit_status status;
    std::string out;
    std::string err;
};

// Runs a program to its end: writes `input` to its stdin and closes that, while it reads the two
// others until nobody writes to them any more. It is no error when the program does not read all of
// its input. Cancelled, it stops the program, as with_process() does.
//
// As subprocess.run(input=..., capture_output=True), and as Process.communicate of asyncio.
boost::asio::awaitable<process_output> run_process(
    command what, std::string input = {}, duration grace = default_grace);

}  // namespace common
