#include "file_streaming/commands.hpp"

#include "common/clock.hpp"
#include "common/command_line.hpp"
#include "common/run.hpp"
#include "common/serving.hpp"
#include "common/task_group.hpp"
#include "file_streaming/checksum.hpp"
#include "file_streaming/copy.hpp"
#include "file_streaming/file_error.hpp"
#include "file_streaming/progress.hpp"
#include "file_streaming/source.hpp"
#include "file_streaming/target.hpp"
#include "file_streaming/together.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace asio = boost::asio;
using boost::asio::awaitable;

namespace file_streaming {

namespace {

void complain(std::string_view message)
{
    common::complain("file_streaming", message);
}

class interrupted : public std::runtime_error {
public:
    interrupted() : runtime_error("interrupted") {}
};

bool is_ignored(int signal)
{
    struct sigaction action = {};
    return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

awaitable<void> cancel_at_signal(common::stop_signal& stop, common::task_group& group, bool& heard)
{
    co_await stop.wait();
    heard = true;
    group.cancel();
}

awaitable<void> run_to_its_end(awaitable<void> work, bool& done)
{
    co_await std::move(work);
    done = true;
}

// Runs `work`, and cancels it when a signal comes. Throws `interrupted` then, unless the work was
// done before it heard of that. There is one for a whole command: so a signal between two of its
// files, or in the last moment of one, ends the command, too.
awaitable<void> until_signal(awaitable<void> work)
{
    common::stop_signal stop(co_await asio::this_coro::executor);
    if (!is_ignored(SIGHUP)) {  // the terminal has been closed; under nohup that is ignored
        stop.add(SIGHUP);
    }
    bool heard = false;
    bool done = false;
    const auto both = [&](common::task_group& group) -> awaitable<void> {
        group.spawn(cancel_at_signal(stop, group, heard));
        co_await run_to_its_end(std::move(work), done);
        group.cancel();
    };
    co_await together(both);
    if (heard && !done) {
        throw interrupted();
    }
}

// Runs `work`, and shows how far it is.
awaitable<void> shown(awaitable<void> work, const progress& how_far, const settings& settings)
{
    const auto style = settings.quiet            ? progress_style::none
                       : ::isatty(STDERR_FILENO) ? progress_style::bar
                                                 : progress_style::lines;
    const auto both = [&](common::task_group& group) -> awaitable<void> {
        group.spawn(show_progress(how_far, style, settings.progress_interval, stderr));
        co_await std::move(work);
        group.cancel();
    };
    co_await together(both);
}

std::string summary(const progress& work, double seconds, const engine& with, block_limits limits)
{
    const auto done = static_cast<double>(work.done());
    return fmt::format(
        "{}: {} in {:.2f} s, {}/s; engine {}, {} blocks of {}", printable(work.name()),
        human_size(done), seconds, human_size(seconds > 0 ? done / seconds : 0), with.name(),
        limits.count, human_size(static_cast<double>(limits.size)));
}

awaitable<void> copy_one(std::string from_path, std::string to_path, bool exactly, settings how)
{
    const auto engine = make_engine(how.engine, co_await asio::this_coro::executor, how.threads);
    const source from(from_path);
    const target to(from, to_path);
    progress work(to.path.string());
    const auto start = common::now();
    // A signal cancels the copy alone: when that is done, a cancelled end of what shows it must not
    // make anyone say that there is no copy.
    auto copying = copy(*engine, from, to, how.blocks, exactly, work);
    co_await shown(until_signal(std::move(copying)), work, how);
    if (!how.quiet) {
        const auto text = summary(work, common::seconds_since(start), *engine, how.blocks);
        std::fputs((text + "\n").c_str(), stderr);  // the copy is there, also when this is not
    }
}

// Asio lets no call go on that a signal has interrupted. One that waits for somebody to read stdout
// then fails, and that is as well: the loop, which would hear the signal, stands still meanwhile.
void print(std::string_view line)
{
    while (!line.empty()) {
        const auto size = ::write(STDOUT_FILENO, line.data(), line.size());
        if (size >= 0) {
            line.remove_prefix(static_cast<std::size_t>(size));
        } else if (errno == EINTR) {
            throw interrupted();
        } else {
            throw file_error("stdout", errno);
        }
    }
}

awaitable<void> store_sha256(
    std::string& digits, engine& with, const source& from, block_limits limits, progress& work)
{
    digits = co_await sha256(with, from, limits, work);
}

awaitable<std::string> checksum_one(engine& with, const std::string& path, const settings& how)
{
    const source from(path);
    progress work(path);
    std::string digits;
    co_await shown(store_sha256(digits, with, from, how.blocks, work), work, how);
    co_return checksum_line(digits, path);
}

awaitable<void> checksum_each(
    const std::vector<std::string>& files, const settings& how, bool& well)
{
    const auto engine = make_engine(how.engine, co_await asio::this_coro::executor, how.threads);
    for (const auto& path : files) {
        co_await common::yield();  // a file that cannot be opened has no other await
        std::string line;
        try {
            line = co_await checksum_one(*engine, path, how);
        } catch (const file_error& failure) {
            complain(failure.what());
            well = false;
            continue;
        }
        print(line);
    }
}

awaitable<bool> checksum_all(std::vector<std::string> files, settings how)
{
    bool well = true;
    co_await until_signal(checksum_each(files, how, well));
    co_return well;
}

}  // namespace

int run_copy(const std::string& from, const std::string& to, bool exactly, const settings& settings)
{
    try {
        common::run(copy_one(from, to, exactly, settings), common::clock_mode::steady);
        return 0;
    } catch (const interrupted&) {
        complain("interrupted; there is no copy");
    } catch (const std::exception& failure) {
        complain(failure.what());
    }
    return 1;
}

int run_checksum(const std::vector<std::string>& files, const settings& settings)
{
    try {
        return common::run(checksum_all(files, settings), common::clock_mode::steady) ? 0 : 1;
    } catch (const std::exception& failure) {
        complain(failure.what());
        return 1;
    }
}

}  // namespace file_streaming
