#include "common/process.hpp"

#include "common/gather.hpp"
#include "common/timeout.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <boost/process/v2/default_launcher.hpp>
#include <boost/process/v2/environment.hpp>
#include <boost/process/v2/stdio.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <string_view>
#include <tuple>

#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asio = boost::asio;
namespace v2 = boost::process::v2;

namespace common {

namespace {

// The real time in which a child may be silent before virtual time moves on.
constexpr duration patience = std::chrono::seconds(1);

boost::system::error_code last_error()
{
    return {errno, boost::system::system_category()};
}

// What the child does between fork and exec.
struct child_setup {
    pid_t parent = getpid();

    template <class Launcher, class Path>
    boost::system::error_code on_exec_setup(Launcher&, const Path&, const char* const*) const
    {
        // A group of its own; and an end of its own, if this program is killed before it can see to
        // that.
        if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
            return last_error();
        }
        if (getppid() != parent) {
            return {
                ESRCH, boost::system::system_category()};  // it was killed before the line above
        }

        // Signals as a program expects to find them.
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        std::signal(SIGPIPE, SIG_DFL);

        // Of this program's files it gets none but its stdin, stdout and stderr. An old kernel
        // cannot do that, and then it gets those that are not marked as private.
        close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
        return {};
    }

    // exit() would run this program's destructors in the child.
    template <class... Details>
    void on_exec_error(const Details&...) const
    {
        _exit(127);
    }
};

void ignore_broken_pipes()
{
    struct sigaction now = {};
    if (sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
        std::signal(SIGPIPE, SIG_IGN);
    }
}

// Blocks, so the child has to be dying.
void collect(pid_t child)
{
    while (waitpid(child, nullptr, 0) == -1 && errno == EINTR) {
    }
}

v2::filesystem::path find(const std::string& program)
{
    if (program.find('/') != std::string::npos) {
        return program;
    }
    return v2::environment::find_executable(program);
}

// This program's environment, with the changes that `what` asks for, as "NAME=value".
std::vector<std::string> environment_of(const command& what)
{
    std::map<std::string, std::string> variables;
    for (char** each = environ; *each != nullptr; ++each) {
        const std::string_view variable = *each;
        const auto end = std::min(variable.find('='), variable.size());
        variables[std::string(variable.substr(0, end))] = variable.substr(end);
    }
    for (const auto& [name, value] : what.environment) {
        variables[name] = '=' + value;
    }
    std::vector<std::string> entries;
    for (const auto& [name, value] : variables) {
        entries.push_back(name + value);
    }
    return entries;
}

// An error from Boost.Process knows the line of Boost's source that it is from, and what() would
// have that, too.
[[noreturn]] void throw_cannot_start(const command& what, const boost::system::error_code& reason)
{
    throw boost::system::system_error(
        reason.value(), reason.category(), fmt::format("cannot start {}", what.program));
}

v2::process start(
    const asio::any_io_executor& executor, const command& what, asio::writable_pipe& in,
    asio::readable_pipe& out, asio::readable_pipe& err)
{
    static const bool ignored = (ignore_broken_pipes(), true);
    static_cast<void>(ignored);

    const auto program = find(what.program);
    if (program.empty()) {
        throw_cannot_start(what, make_error_code(boost::system::errc::no_such_file_or_directory));
    }

    // When a step fails after the fork, Boost.Process may forget the child; the launcher knows it.
    v2::default_process_launcher launcher;
    const auto environment = environment_of(what);
    boost::system::error_code error;
    try {
        auto child = launcher(
            executor, error, program, what.arguments, v2::process_stdio{in, out, err},
            v2::process_environment(environment), child_setup());
        if (!error) {
            return child;
        }
    } catch (const boost::system::system_error& failure) {
        error = failure.code();
    }
    if (launcher.pid > 0 && waitpid(launcher.pid, nullptr, WNOHANG) == 0) {
        kill(launcher.pid, SIGKILL);
        collect(launcher.pid);
    }
    throw_cannot_start(what, error);
}

asio::awaitable<void> feed(asio::writable_pipe& pipe, const std::string& input)
{
    const auto [error, written] =
        co_await asio::async_write(pipe, asio::buffer(input), asio::as_tuple(asio::deferred));
    if (error && error != asio::error::broken_pipe) {
        throw boost::system::system_error(error);
    }
    pipe.close();
}

asio::awaitable<void> read_all(asio::readable_pipe& pipe, std::string& text)
{
    const auto [error, size] =
        co_await asio::async_read(pipe, asio::dynamic_buffer(text), asio::as_tuple(asio::deferred));
    if (error != asio::error::eof) {
        throw boost::system::system_error(error);
    }
}

// Ends when the pipe does, or is closed.
asio::awaitable<void> discard(asio::readable_pipe& pipe)
{
    std::array<char, 4096> nothing;
    boost::system::error_code error;
    while (!error) {
        std::tie(error, std::ignore) =
            co_await pipe.async_read_some(asio::buffer(nothing), asio::as_tuple(asio::deferred));
    }
}

asio::awaitable<void> end_and_close(
    process& child, asio::awaitable<exit_status> end, exit_status& status)
{
    status = co_await std::move(end);
    child.out().close();
    child.err().close();
}

// Awaits `end`, and meanwhile the child can write as much as it likes.
asio::awaitable<exit_status> with_pipes_drained(process& child, asio::awaitable<exit_status> end)
{
    exit_status status;
    std::vector<asio::awaitable<void>> all;
    all.push_back(discard(child.out()));
    all.push_back(discard(child.err()));
    all.push_back(end_and_close(child, std::move(end), status));
    co_await gather(std::move(all));
    co_return status;
}

}  // namespace

std::optional<int> exit_status::code() const
{
    return WIFEXITED(native_) ? std::optional(WEXITSTATUS(native_)) : std::nullopt;
}

std::optional<int> exit_status::signal() const
{
    return WIFSIGNALED(native_) ? std::optional(WTERMSIG(native_)) : std::nullopt;
}

std::string exit_status::text() const
{
    if (const auto number = signal()) {
        return fmt::format("signal {} ({})", *number, strsignal(*number));
    }
    return fmt::format("exit code {}", WEXITSTATUS(native_));
}

process::process(asio::any_io_executor executor, const command& what)
    : in_(executor),
      out_(executor),
      err_(executor),
      child_(start(executor, what, in_, out_, err_)),
      id_(child_.id())
{
}

process::~process()
{
    if (running()) {
        signal_group(SIGKILL);
        collect(id_);
    }
    child_.detach();  // its destructor need not look for a number that may be another's by now
}

asio::awaitable<std::optional<std::string>> process::read_line()
{
    auto [error, size] = co_await asio::async_read_until(
        out_, asio::dynamic_buffer(read_ahead_), '\n', asio::as_tuple(asio::deferred));
    if (error == asio::error::eof) {
        size = read_ahead_.size();
    } else if (error) {
        throw boost::system::system_error(error);
    }
    if (size == 0) {
        co_return std::nullopt;
    }
    std::string line = read_ahead_.substr(0, error ? size : size - 1);
    read_ahead_.erase(0, size);
    co_return line;
}

asio::awaitable<exit_status> process::wait()
{
    if (running()) {
        // In a coroutine of its own, because that hears every kind of cancellation as a terminal
        // one, and Boost.Process 1.83 hears no other.
        const real_work its_end(patience);
        std::vector<asio::awaitable<void>> end;
        end.push_back(collect_status());
        co_await gather(std::move(end));
    }
    co_return ended_.value();
}

asio::awaitable<void> process::collect_status()
{
    const auto [error, code] = co_await child_.async_wait(asio::as_tuple(asio::deferred));
    if (error) {
        lost_ = error == boost::system::errc::no_child_process;
        throw boost::system::system_error(error);
    }
    ended_.emplace(child_.native_exit_code());
}

asio::awaitable<exit_status> process::stop(duration grace)
{
    if (running()) {
        signal_group(SIGTERM);
        try {
            co_await with_timeout(grace, wait());
        } catch (const timeout_error&) {
            signal_group(SIGKILL);
        }
    }
    const real_work sure_to_end;
    const auto status = co_await wait();
    signal_group(SIGKILL);
    co_return status;
}

void process::signal_group(int signal) const
{
    if (!lost_) {
        kill(-id_, signal);
    }
}

asio::awaitable<exit_status> detail::finish(process& child)
{
    co_return co_await with_pipes_drained(child, child.wait());
}

asio::awaitable<void> detail::stop_regardless(process& child, duration grace)
{
    // A coroutine of its own, with a slot that no signal is connected to.
    const auto executor = co_await asio::this_coro::executor;
    auto stopped = asio::co_spawn(
        executor, with_pipes_drained(child, child.stop(grace)),
        asio::bind_cancellation_slot(asio::cancellation_slot(), asio::as_tuple(asio::deferred)));
    co_await std::move(stopped);
}

asio::awaitable<process_output> run_process(command what, std::string input, duration grace)
{
    const real_work its_output(patience);
    process_output output;
    const auto talk = [&](process& child) -> asio::awaitable<void> {
        std::vector<asio::awaitable<void>> pipes;
        pipes.push_back(feed(child.in(), input));
        pipes.push_back(read_all(child.out(), output.out));
        pipes.push_back(read_all(child.err(), output.err));
        co_await gather(std::move(pipes));
    };
    output.status = co_await with_process(std::move(what), talk, grace);
    co_return output;
}

}  // namespace common
