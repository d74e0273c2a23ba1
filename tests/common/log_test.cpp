#include "common/log.hpp"

#include "common/clock.hpp"
#include "common/run.hpp"
#include "tests/common/helpers.hpp"

#include <boost/asio/awaitable.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <latch>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using tests::awaitable;
using namespace std::chrono_literals;

namespace {

// Sends stdout to a file while it lives.
class captured_stdout {
public:
    captured_stdout() : file_(std::tmpfile()), terminal_(::dup(STDOUT_FILENO))
    {
        std::fflush(stdout);
        ::dup2(::fileno(file_.get()), STDOUT_FILENO);
    }

    ~captured_stdout()
    {
        std::fflush(stdout);
        ::dup2(terminal_, STDOUT_FILENO);
        ::close(terminal_);
    }

    captured_stdout(const captured_stdout&) = delete;
    captured_stdout& operator=(const captured_stdout&) = delete;

    // What has arrived in the file; what is still in stdout's buffer has not.
    std::string text() const
    {
        std::string all;
        std::array<char, 4096> part;
        while (true) {
            const auto offset = static_cast<off_t>(all.size());
            const auto read = ::pread(::fileno(file_.get()), part.data(), part.size(), offset);
            if (read <= 0) {
                return all;
            }
            all.append(part.data(), static_cast<std::size_t>(read));
        }
    }

private:
    struct closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };

    std::unique_ptr<std::FILE, closer> file_;
    int terminal_;
};

// What `main` prints on stdout in virtual time.
std::string printed_by(awaitable<void> main)
{
    const captured_stdout captured;
    tests::run_virtually(std::move(main));
    return captured.text();
}

}  // namespace

TEST_CASE("a log line has the time, the actor and the text")
{
    const auto main = []() -> awaitable<void> {
        common::log("main", "begins");
        co_await common::sleep_for(100ms);
        common::log("worker", "has {} of {}", 3, "ten");
    };
    CHECK(printed_by(main()) == "[0.00s] main: begins\n[0.10s] worker: has 3 of ten\n");
}

TEST_CASE("the time in a log line is in seconds, with two digits")
{
    const auto main = []() -> awaitable<void> {
        co_await common::sleep_for(1996ms);
        common::log("a", "x");
        co_await common::sleep_for(1h);
        common::log("a", "x");
    };
    CHECK(printed_by(main()) == "[2.00s] a: x\n[3602.00s] a: x\n");
}

TEST_CASE("a log line takes fmt's format, and braces in the actor and arguments as they are")
{
    const auto main = []() -> awaitable<void> {
        common::log("{}", "{{}} {:>4} {:.1f} {}", 7, 0.25, "{0}");
        co_return;
    };
    CHECK(printed_by(main()) == "[0.00s] {}: {}    7 0.2 {0}\n");
}

TEST_CASE("a section is a heading without a time")
{
    const auto main = []() -> awaitable<void> {
        co_await common::sleep_for(1s);
        common::section("one by one");
    };
    CHECK(printed_by(main()) == "== one by one ==\n");
}

TEST_CASE("each line is flushed when it is written")
{
    std::string after_log;
    std::string after_section;
    {
        const captured_stdout captured;
        const auto main = [&]() -> awaitable<void> {
            common::log("a", "x");
            after_log = captured.text();
            common::section("y");
            after_section = captured.text();
            co_return;
        };
        tests::run_virtually(main());
    }
    CHECK(after_log == "[0.00s] a: x\n");
    CHECK(after_section == "[0.00s] a: x\n== y ==\n");
}

TEST_CASE("what was printed before a log line stays before it")
{
    const auto main = []() -> awaitable<void> {
        std::printf("first\n");
        common::log("a", "second");
        co_return;
    };
    CHECK(printed_by(main()) == "first\n[0.00s] a: second\n");
}

TEST_CASE("another thread logs the time of the run")
{
    const auto main = []() -> awaitable<void> {
        co_await common::sleep_for(2s);
        std::thread([] { common::log("thread", "here"); }).join();
    };
    CHECK(printed_by(main()) == "[2.00s] thread: here\n");
}

TEST_CASE("lines of several threads do not mix")
{
    const std::string text(200, 'x');
    const auto main = [&]() -> awaitable<void> {
        std::latch all_there(4);
        std::vector<std::thread> threads;
        for (const auto* const who : {"a", "b", "c", "d"}) {
            threads.emplace_back([&, who] {
                all_there.arrive_and_wait();
                for (int line = 0; line < 2000; ++line) {
                    common::log(who, "{}", text);
                }
            });
        }
        for (auto& thread : threads) {
            thread.join();
        }
        co_return;
    };
    const std::string printed = printed_by(main());

    std::map<std::string, int> lines;
    for (std::size_t begin = 0; begin < printed.size();) {
        const auto end = printed.find('\n', begin);
        REQUIRE(end != std::string::npos);
        ++lines[printed.substr(begin, end - begin)];
        begin = end + 1;
    }
    CHECK(lines.size() == 4);
    for (const auto& [line, count] : lines) {
        CHECK(line.ends_with(": " + text));
        CHECK(count == 2000);
    }
}
