#include "common/process.hpp"

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/run.hpp"
#include "common/temporary_folder.hpp"
#include "common/timeout.hpp"
#include "tests/common/helpers.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asio = boost::asio;
namespace errc = boost::system::errc;
using asio::awaitable;
using common::process;
using common::run_process;
using common::with_process;
using common::with_timeout;
using namespace std::chrono_literals;

namespace {

common::command shell(const std::string& script)
{
    return common::command("sh", {"-c", script});
}

common::command nap()
{
    return common::command("sleep", {"1000"});
}

// The state and the parent of a process, as /proc has them; a state of 0 for one that is not there.
struct process_state {
    char state = 0;
    int parent = 0;
};

process_state state_of(int id)
{
    std::ifstream file(fmt::format("/proc/{}/stat", id));
    std::string text;
    std::getline(file, text, '\0');  // nothing, if the process went since the file was opened
    const auto name_end = text.rfind(") ");
    if (name_end == std::string::npos) {
        return {};
    }
    return {text[name_end + 2], std::stoi(text.substr(name_end + 4))};
}

bool alive(int id)
{
    const auto state = state_of(id).state;
    return state != 0 && state != 'Z';
}

// A signal takes a moment.
bool dies(int id)
{
    for (int i = 0; i < 3000 && alive(id); ++i) {
        std::this_thread::sleep_for(10ms);
    }
    return !alive(id);
}

// Children of this process, zombies included.
std::size_t children()
{
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const auto name = entry.path().filename().string();
        if (std::all_of(
                name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c); })) {
            count += state_of(std::stoi(name)).parent == getpid() ? 1 : 0;
        }
    }
    return count;
}

std::size_t descriptors()
{
    const std::filesystem::directory_iterator each("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(each), end(each)));
}

// Every test ends with no child and no descriptor more than it began with.
class leaves_nothing {
public:
    leaves_nothing() { ::alarm(110); }

    ~leaves_nothing()
    {
        ::alarm(0);
        CHECK(children() == 0);
        CHECK(descriptors() == before_);
    }

private:
    std::size_t before_ = descriptors();
};

template <class Main>
auto run(Main main, common::clock_mode mode = common::clock_mode::steady)
{
    return common::run(main(), mode);
}

common::process_output output_of(common::command what, std::string input = {})
{
    return common::run(run_process(std::move(what), std::move(input)), common::clock_mode::steady);
}

// Until its output, or its body, says that it is ready, a child may not have set its traps yet.
const std::string deaf = "trap '' TERM; echo ready; exec sleep 1000";
const std::string obedient = "echo ready; exec sleep 1000";

awaitable<void> be_ready(process& child)
{
    const common::real_work until_it_is;
    const auto line = co_await child.read_line();
    CHECK(line == "ready");
}

awaitable<void> ready_and_wait(process& child)
{
    co_await be_ready(child);
    co_await child.wait();
}

awaitable<common::exit_status> end_of(common::command what, common::duration grace)
{
    common::exit_status status;
    const auto stop = [&](process& child) -> awaitable<void> {
        co_await be_ready(child);
        status = co_await child.stop(grace);
    };
    co_await with_process(std::move(what), stop);
    co_return status;
}

constexpr std::size_t ten_mib = 10 << 20;

}  // namespace

TEST_CASE("process: exit code, output and errors are told apart")
{
    const leaves_nothing after;
    const auto ran = output_of(shell("printf out; printf err >&2; exit 3"));
    CHECK(ran.out == "out");
    CHECK(ran.err == "err");
    CHECK(ran.status.code() == 3);
    CHECK_FALSE(ran.status.signal());
    CHECK_FALSE(ran.status.success());
    CHECK(ran.status.text() == "exit code 3");
    CHECK(output_of(common::command("true")).status.success());
}

TEST_CASE("process: death by a signal is not an exit code")
{
    const leaves_nothing after;
    const auto ran = output_of(shell("kill -KILL $$"));
    CHECK(ran.status.signal() == SIGKILL);
    CHECK_FALSE(ran.status.code());
    CHECK_FALSE(ran.status.success());
    CHECK(ran.status.text() == "signal 9 (Killed)");
    CHECK(output_of(shell("exit 137")).status.code() == 137);
}

TEST_CASE("process: arguments arrive as they are")
{
    const leaves_nothing after;
    const common::command print("printf", {"%s|", "two words", "", "*", "$HOME"});
    CHECK(output_of(print).out == "two words||*|$HOME|");
}

TEST_CASE("process: it has this program's environment, and what is added or changed for it")
{
    ::setenv("LEFT_ALONE", "as = it was", 1);
    ::setenv("CHANGED", "old", 1);
    auto show = shell("echo \"$LEFT_ALONE, $CHANGED, $ADDED, $EMPTY.\"");
    show.environment.emplace_back("CHANGED", "new");
    show.environment.emplace_back("ADDED", "x=y");
    show.environment.emplace_back("EMPTY", "");
    CHECK(common::run(run_process(show)).out == "as = it was, new, x=y, .\n");
    CHECK(std::string(::getenv("CHANGED")) == "old");
}

TEST_CASE("process: a program that cannot be started is an error that names it")
{
    const leaves_nothing after;
    const common::temporary_folder folder;
    const auto plain = (folder / "plain").string();
    const auto broken = (folder / "broken").string();
    std::ofstream(plain) << "no program\n";
    std::ofstream(broken) << "no program\n";
    std::filesystem::permissions(broken, std::filesystem::perms::owner_all);

    const auto reason = [](const std::string& program) {
        try {
            output_of(common::command(program));
        } catch (const boost::system::system_error& error) {
            const auto& code = error.code();
            CHECK(
                error.what() == fmt::format(
                                    "cannot start {}: {} [{}:{}]", program, code.message(),
                                    code.category().name(), code.value()));
            CHECK(children() == 0);
            return error.code();
        }
        return boost::system::error_code();
    };
    CHECK(reason("no-such-program") == errc::no_such_file_or_directory);
    CHECK(reason("./nosuch") == errc::no_such_file_or_directory);
    CHECK(reason("/no/such/program") == errc::no_such_file_or_directory);
    CHECK(reason("") == errc::no_such_file_or_directory);
    CHECK(reason(plain) == errc::permission_denied);
    CHECK(reason(folder.path().string()) == errc::permission_denied);
    CHECK(reason(broken) == errc::executable_format_error);
}

TEST_CASE("process: what cannot be started runs nothing of this program in its place")
{
    const leaves_nothing after;
    static const int test = getpid();
    static const auto mark =
        std::filesystem::temp_directory_path() / fmt::format("process-exit-{}", test);
    std::atexit([] {
        if (getpid() != test) {
            std::ofstream(mark) << "ran";
        }
    });
    CHECK_THROWS_AS(output_of(common::command("/no/such/program")), boost::system::system_error);
    CHECK_FALSE(std::filesystem::exists(mark));
}

TEST_CASE("process: stdin is fed and closed")
{
    const leaves_nothing after;
    CHECK(output_of(common::command("sort"), "pear\napple\n").out == "apple\npear\n");
    CHECK(output_of(common::command("cat")).out.empty());
}

TEST_CASE("process: 10 MiB on each pipe, in any order, do not deadlock")
{
    const leaves_nothing after;
    const std::string zeros = fmt::format("head -c {} /dev/zero", ten_mib);
    const auto script = GENERATE_COPY(
        zeros + "; " + zeros + " >&2", zeros + " >&2; " + zeros,
        zeros + " & " + zeros + " >&2; wait");
    const auto ran = output_of(shell(script));
    CHECK(ran.status.success());
    CHECK(ran.out.size() == ten_mib);
    CHECK(ran.err.size() == ten_mib);
}

TEST_CASE("process: 10 MiB both ways at once come back as they went")
{
    const leaves_nothing after;
    std::string input(ten_mib, ' ');
    for (std::size_t i = 0; i < input.size(); ++i) {
        input[i] = static_cast<char>(i * 7 % 251);
    }
    const auto ran = output_of(shell("tee /dev/stderr"), input);
    CHECK(ran.status.success());
    CHECK(ran.out == input);
    CHECK(ran.err == input);
}

TEST_CASE("process: a child need not read its input")
{
    const leaves_nothing after;
    const auto ran = output_of(shell("exit 4"), std::string(ten_mib, 'x'));
    CHECK(ran.status.code() == 4);
}

TEST_CASE("process: writing to a child that does not read is an error, and not a signal")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        const auto write = [](process& child) -> awaitable<void> {
            co_await child.wait();
            co_await asio::async_write(child.in(), asio::buffer("too late", 8), asio::deferred);
        };
        bool broken = false;
        try {
            co_await with_process(common::command("true"), write);
        } catch (const boost::system::system_error& error) {
            broken = error.code() == errc::broken_pipe;
        }
        CHECK(broken);
    });
}

TEST_CASE("process: a child has its three pipes open, and no other file of this program")
{
    const leaves_nothing after;
    int pair[2];
    REQUIRE(pipe(pair) == 0);  // not marked as private
    const auto open = output_of(shell("for f in /proc/$$/fd/*; do echo ${f##*/}; done")).out;
    close(pair[0]);
    close(pair[1]);
    CHECK_THAT(open, Catch::Matchers::StartsWith("0\n1\n2\n"));
    // A shell keeps the script that it runs as number 10 or 255.
    CHECK(open.size() <= std::string("0\n1\n2\n255\n").size());
}

TEST_CASE("process: signals mean in a child what they mean in any program")
{
    const leaves_nothing after;
    sigset_t term;
    sigset_t before;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    const auto terminated = output_of(shell("kill -TERM $$; exit 0"));
    sigprocmask(SIG_SETMASK, &before, nullptr);
    CHECK(terminated.status.signal() == SIGTERM);
    CHECK(output_of(shell("kill -PIPE $$; exit 0")).status.signal() == SIGPIPE);
}

TEST_CASE("process: lines are read one by one, the last one without its end, too")
{
    const leaves_nothing after;
    const std::string longest(1 << 20, 'x');
    std::vector<std::string> lines;
    run([&]() -> awaitable<void> {
        const auto read = [&](process& child) -> awaitable<void> {
            while (auto line = co_await child.read_line()) {
                lines.push_back(*line);
            }
            const auto no_more = co_await child.read_line();
            CHECK_FALSE(no_more);
        };
        const auto script = fmt::format(
            "printf 'one\\n\\nthree\\n'; head -c {} /dev/zero | tr '\\0' x; printf '\\nend'",
            longest.size());
        co_await with_process(shell(script), read);
    });
    CHECK(lines == std::vector<std::string>{"one", "", "three", longest, "end"});
}

TEST_CASE("process: what the body has not read does not keep the child from ending")
{
    const leaves_nothing after;
    const auto status = run([]() -> awaitable<common::exit_status> {
        const auto zeros = shell(fmt::format("head -c {} /dev/zero | tee /dev/stderr", ten_mib));
        co_return co_await with_process(zeros, [](process&) -> awaitable<void> { co_return; });
    });
    CHECK(status.success());
}

TEST_CASE("process: wait can be cancelled, and asked again, and then always says the same")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        const auto ask = [](process& child) -> awaitable<void> {
            bool late = false;
            try {
                co_await with_timeout(20ms, child.wait());
            } catch (const common::timeout_error&) {
                late = true;
            }
            CHECK(late);
            CHECK(alive(child.id()));
            child.in().close();
            const auto first = co_await child.wait();
            const auto second = co_await child.wait();
            const auto stopped = co_await child.stop(1s);
            CHECK(first.code() == 5);
            CHECK(second.code() == 5);
            CHECK(stopped.code() == 5);
        };
        co_await with_process(shell("cat; exit 5"), ask);
    });
}

TEST_CASE("process: a child that has ended long before is waited for at once")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        const auto wait_late = [](process& child) -> awaitable<void> {
            while (state_of(child.id()).state != 'Z') {
                co_await common::sleep_for(1ms);
            }
            const auto status = co_await child.wait();
            CHECK(status.code() == 6);
        };
        co_await with_process(shell("exit 6"), wait_late);
    });
}

TEST_CASE("process: stop asks, and a child that listens is not killed")
{
    const leaves_nothing after;
    const auto mode = tests::any_mode();
    CHECK(run([]() { return end_of(shell(obedient), 1h); }, mode).signal() == SIGTERM);

    const std::string tidy = "trap 'exit 7' TERM; echo ready; sleep 1000 & wait";
    CHECK(run([&]() { return end_of(shell(tidy), 1h); }, mode).code() == 7);
}

TEST_CASE("process: stop kills a child that does not listen, after the grace and not before")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        const auto before = common::elapsed();
        const auto status = co_await end_of(shell(deaf), 200ms);
        CHECK(status.signal() == SIGKILL);
        CHECK(common::elapsed() - before >= 200ms);
    });
}

TEST_CASE("process: on virtual time a grace takes none, and the child has had real time to listen")
{
    const leaves_nothing after;
    run(
        []() -> awaitable<void> {
            auto status = co_await end_of(shell(deaf), 1h);
            CHECK(status.signal() == SIGKILL);
            CHECK(common::elapsed() == 1h);
            status = co_await end_of(
                shell("trap 'sleep 0.1; exit 7' TERM; echo ready; sleep 1000 & wait"), 1h);
            CHECK(status.code() == 7);
            CHECK(common::elapsed() == 1h);
        },
        common::clock_mode::virtual_time);
}

TEST_CASE("process: on virtual time a child that is at work counts as real work")
{
    const leaves_nothing after;
    run(
        []() -> awaitable<void> {
            const auto ran = co_await with_timeout(1s, run_process(shell("sleep 0.2; echo done")));
            CHECK(ran.out == "done\n");
            CHECK(common::elapsed() == 0s);
        },
        common::clock_mode::virtual_time);
}

TEST_CASE("process: past its deadline, a child is asked, killed, and only then reported")
{
    const leaves_nothing after;
    run(
        []() -> awaitable<void> {
            int id = 0;
            const auto wait = [&](process& child) -> awaitable<void> {
                id = child.id();
                co_await ready_and_wait(child);
            };
            bool late = false;
            try {
                co_await with_timeout(10s, with_process(shell(deaf), wait, 3s));
            } catch (const common::timeout_error&) {
                late = true;
            }
            CHECK(late);
            CHECK(common::elapsed() == 13s);
            CHECK(state_of(id).state == 0);
        },
        common::clock_mode::virtual_time);
}

TEST_CASE("process: when the body throws, the child is stopped, and the exception is the same")
{
    const leaves_nothing after;
    int id = 0;
    const auto fail = [&](process& child) -> awaitable<void> {
        id = child.id();
        throw std::runtime_error("the body");
        co_return;
    };
    CHECK_THROWS_WITH(
        run([&]() -> awaitable<void> { co_await with_process(shell(obedient), fail); }),
        "the body");
    CHECK(state_of(id).state == 0);
}

TEST_CASE("process: an exception of the body leaves the coroutine uncancelled")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        const auto fail = [](process&) -> awaitable<void> {
            throw std::runtime_error("the body");
            co_return;
        };
        bool failed = false;
        try {
            co_await with_process(shell(obedient), fail);
        } catch (const std::runtime_error&) {
            failed = true;
        }
        CHECK(failed);
        const bool throws = co_await asio::this_coro::throw_if_cancelled();
        CHECK(throws);
        co_await common::sleep_for(1ms);
    });
}

TEST_CASE("process: who is cancelled stays cancelled after the child is gone")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        bool slept = false;
        const auto go_on = [&]() -> awaitable<void> {
            try {
                co_await with_process(shell(obedient), ready_and_wait);
            } catch (const boost::system::system_error&) {
            }
            co_await common::sleep_for(1ms);
            slept = true;
        };
        tests::side_task task(co_await asio::this_coro::executor, go_on());
        co_await common::sleep_for(50ms);
        task.cancel();
        while (!task.ended()) {
            co_await common::sleep_for(1ms);
        }
        CHECK(task.aborted());
        CHECK_FALSE(slept);
    });
}

// What a cancellation can meet: input that nobody reads, output that does not come, pipes that have
// ended before the child has, a body that is busy, the discarding of output, and a child that does
// not listen.
TEST_CASE("process: cancelling whoever waits leaves no child, whatever it waits for")
{
    const leaves_nothing after;
    const auto wait_for = [](process& child) -> awaitable<void> { co_await child.wait(); };
    const auto sleep = [](process&) -> awaitable<void> { co_await common::sleep_for(1h); };
    const auto nothing = [](process&) -> awaitable<void> { co_return; };
    const std::string big(ten_mib, 'x');
    const int what = GENERATE(range(0, 8));
    const auto type = tests::any_cancellation();
    run([&]() -> awaitable<void> {
        const auto start = [&]() -> awaitable<void> {
            co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
            const common::duration grace = 50ms;
            switch (what) {
                case 0:
                    co_await run_process(nap(), big, grace);
                    break;
                case 1:
                    co_await run_process(nap(), "", grace);
                    break;
                case 2:
                    co_await run_process(shell("exec >&- 2>&-; exec sleep 1000"), "", grace);
                    break;
                case 3:
                    co_await run_process(shell(deaf), "", grace);
                    break;
                case 4:
                    co_await with_process(shell(obedient), wait_for, grace);
                    break;
                case 5:
                    co_await with_process(shell(obedient), sleep, grace);
                    break;
                case 6:
                    co_await with_process(shell("exec yes"), nothing, grace);
                    break;
                default:
                    co_await run_process(shell("exec cat /dev/zero >&2"), big, grace);
                    break;
            }
        };
        tests::side_task task(co_await asio::this_coro::executor, start());
        CHECK(children() == 1);
        co_await common::sleep_for(30ms);
        CHECK_FALSE(task.ended());
        task.cancel(type);
        while (!task.ended()) {
            co_await common::sleep_for(1ms);
        }
        CHECK(task.aborted());
        CHECK(children() == 0);
    });
}

// After each turn of the event loop in the life of a child that is fed, read and waited for; and at
// last, not at all.
TEST_CASE("process: cancelled at any moment, it leaves no child and no descriptor")
{
    const leaves_nothing after;
    int finished = 0;
    int aborted = 0;
    for (int round = 0; round <= 100; ++round) {
        const int turns = round < 100 ? round : std::numeric_limits<int>::max();
        run([&]() -> awaitable<void> {
            co_await run_process(common::command("true"));  // what the loop needs is open now
            const auto open = descriptors();
            const auto start = []() -> awaitable<void> {
                co_await run_process(
                    shell("head -c 300000; echo done >&2"), std::string(300'000, 'x'));
            };
            tests::side_task task(co_await asio::this_coro::executor, start());
            for (int turn = 0; turn < turns && !task.ended(); ++turn) {
                co_await common::sleep_for(turn % 10 == 0 ? 100us : 0us);
            }
            task.cancel();
            while (!task.ended()) {
                co_await common::sleep_for(100us);
            }
            (task.aborted() ? aborted : finished) += 1;
            CHECK((task.aborted() || !task.failure()));
            CHECK(children() == 0);
            CHECK(descriptors() == open);
        });
    }
    CHECK(aborted > 0);
    CHECK(finished >= 1);
}

TEST_CASE("process: a second cancellation neither shortens the grace nor loses the child")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        const auto start = []() -> awaitable<void> {
            co_await with_process(shell(deaf), ready_and_wait, 300ms);
        };
        tests::side_task task(co_await asio::this_coro::executor, start());
        co_await common::sleep_for(100ms);
        const auto cancelled_at = common::elapsed();
        while (!task.ended()) {
            task.cancel();
            co_await common::sleep_for(10ms);
        }
        CHECK(task.aborted());
        CHECK(task.ended_at() - cancelled_at >= 300ms);
        CHECK(children() == 0);
    });
}

TEST_CASE("process: what a child has started goes with it")
{
    const leaves_nothing after;
    const auto leaf = GENERATE(
        std::string("sleep 1000 & echo $!; wait"),
        std::string("trap '' TERM; sleep 1000 & trap - TERM; echo $!; wait"));
    int leaf_id = 0;
    run([&]() -> awaitable<void> {
        const auto stop = [&](process& child) -> awaitable<void> {
            const auto line = co_await child.read_line();
            leaf_id = std::stoi(line.value_or("0"));
            CHECK(alive(leaf_id));
            co_await child.stop(10s);
        };
        co_await with_process(shell(leaf), stop);
    });
    CHECK(dies(leaf_id));
}

TEST_CASE("process: a loop that goes away takes the child along")
{
    const leaves_nothing after;
    const auto mode = tests::any_mode();
    tests::abandon([]() -> awaitable<void> { co_await run_process(shell(deaf)); }(), mode);
    CHECK(children() == 0);
    tests::abandon([]() -> awaitable<void> { co_await run_process(shell(deaf), "x"); }());
    CHECK(children() == 0);
}

TEST_CASE("process: a loop that goes away while a child is being stopped takes it along, too")
{
    const leaves_nothing after;
    const auto give_up = []() -> awaitable<void> {
        const auto start = []() -> awaitable<void> {
            co_await with_process(shell(deaf), ready_and_wait, 1h);
        };
        tests::side_task task(co_await asio::this_coro::executor, start());
        co_await common::sleep_for(100ms);
        task.cancel();
        co_await common::sleep_for(20ms);
        CHECK(children() == 1);
        throw tests::given_up();
    };
    CHECK_THROWS_AS(run(give_up), tests::given_up);
}

TEST_CASE("process: works on a plain io_context")
{
    const leaves_nothing after;
    asio::io_context context;
    common::process_output ran;
    asio::co_spawn(
        context, run_process(common::command("cat"), "hello"),
        [&](std::exception_ptr, common::process_output output) { ran = std::move(output); });
    context.run();
    CHECK(ran.out == "hello");
}

TEST_CASE("process: fifty children at once, each with its own output and status")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        std::vector<awaitable<common::process_output>> all;
        for (int i = 0; i < 50; ++i) {
            all.push_back(run_process(
                shell(fmt::format("cat; echo {0} >&2; exit {0}", i)), std::to_string(i)));
        }
        const auto ran = co_await common::gather(std::move(all));
        for (int i = 0; i < 50; ++i) {
            CHECK(ran[static_cast<std::size_t>(i)].out == std::to_string(i));
            CHECK(ran[static_cast<std::size_t>(i)].err == std::to_string(i) + "\n");
            CHECK(ran[static_cast<std::size_t>(i)].status.code() == i);
        }
    });
}

TEST_CASE("process: one of fifty fails, and the other forty-nine are gone with it")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        const auto fail = []() -> awaitable<common::process_output> {
            co_await common::sleep_for(100ms);
            throw std::runtime_error("one failed");
        };
        std::vector<awaitable<common::process_output>> all;
        for (int i = 0; i < 49; ++i) {
            all.push_back(run_process(nap()));
        }
        all.push_back(fail());
        bool failed = false;
        try {
            co_await common::gather(std::move(all));
        } catch (const std::runtime_error&) {
            failed = true;
        }
        CHECK(failed);
        CHECK(children() == 0);
    });
}

TEST_CASE("process: a child that is killed from outside has died of that signal")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        const auto kill_and_wait = [](process& child) -> awaitable<void> {
            ::kill(child.id(), SIGKILL);
            const auto status = co_await child.wait();
            CHECK(status.signal() == SIGKILL);
        };
        co_await with_process(shell(obedient), kill_and_wait);
    });
}

// A child that ends by itself in the moment in which it is asked to, or waited for.
TEST_CASE("process: ends, signals and waits may come in any order")
{
    const leaves_nothing after;
    run([]() -> awaitable<void> {
        for (int i = 0; i < 150; ++i) {
            const auto stop = [i](process& child) -> awaitable<void> {
                child.in().close();
                for (int turn = 0; turn < i % 7; ++turn) {
                    co_await common::sleep_for(200us);
                }
                const auto status = co_await child.stop(10s);
                CHECK((status.success() || status.signal() == SIGTERM));
            };
            co_await with_process(common::command("cat"), stop);
            CHECK(children() == 0);
        }
    });
}

TEST_CASE("process: where somebody else collects the children, that is an error and no hang")
{
    const leaves_nothing after;
    std::signal(SIGCHLD, SIG_IGN);  // the system collects them, and their status is lost
    boost::system::error_code reason;
    try {
        output_of(shell("read -r line; exit 3"));
    } catch (const boost::system::system_error& error) {
        reason = error.code();
    }
    std::signal(SIGCHLD, SIG_DFL);
    CHECK(reason == errc::no_child_process);
}

TEST_CASE("process: out of descriptors, it says so and leaves nothing")
{
#ifdef __SANITIZE_ADDRESS__
    SKIP(
        "UBSan looks at an exception's class through a pipe, and takes a refused pipe for an "
        "error");
#endif
    const leaves_nothing after;
    rlimit before;
    REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
    int failed = 0;
    bool ran = false;
    run([&]() -> awaitable<void> {
        co_await run_process(common::command("true"));  // what the loop needs is open now
        const auto base = descriptors();
        for (rlim_t room = 0; room < 40 && !ran; ++room) {
            auto limit = before;
            limit.rlim_cur = base + room;
            REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
            boost::system::error_code reason;
            try {
                co_await run_process(common::command("true"));
                ran = true;
            } catch (const boost::system::system_error& error) {
                reason = error.code();
            }
            REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
            if (!ran) {
                ++failed;
                INFO("room for " << room << ": " << reason.message());
                CHECK((reason == errc::too_many_files_open || reason == errc::bad_file_descriptor));
            }
            CHECK(children() == 0);
            CHECK(descriptors() == base);
        }
    });
    CHECK(failed > 5);
    CHECK(ran);
}

TEST_CASE("process: a child does not outlive a program that is killed")
{
    const leaves_nothing after;
    int numbers[2];
    REQUIRE(pipe(numbers) == 0);
    const pid_t parent = fork();
    if (parent == 0) {
        const auto tell = [&](process& child) -> awaitable<void> {
            co_await be_ready(child);
            const int id = child.id();
            if (write(numbers[1], &id, sizeof id) == sizeof id) {
                co_await common::sleep_for(1h);
            }
        };
        run([&]() -> awaitable<void> { co_await with_process(shell(deaf), tell); });
        _exit(0);
    }
    int child = 0;
    REQUIRE(read(numbers[0], &child, sizeof child) == sizeof child);
    CHECK(alive(child));
    kill(parent, SIGKILL);
    waitpid(parent, nullptr, 0);
    CHECK(dies(child));
    close(numbers[0]);
    close(numbers[1]);
}
