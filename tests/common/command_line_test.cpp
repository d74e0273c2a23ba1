#include "common/command_line.hpp"

#include "common/clock.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using boost::asio::awaitable;

namespace {

std::vector<std::string> called;

awaitable<void> note(common::arguments given)
{
    called = std::move(given);
    called.insert(called.begin(), "note");
    co_return;
}

awaitable<void> fail(common::arguments given)
{
    if (given[0] == "usage") {
        throw common::usage_error("so not");
    }
    if (given[0] == "system") {
        throw boost::system::system_error(boost::asio::error::connection_refused);
    }
    throw std::runtime_error(given[0]);
    co_return;
}

awaitable<void> rest(common::arguments)
{
    called = {"rest"};
    co_await common::sleep_for(std::chrono::hours(1));
}

int run(std::vector<std::string> words)
{
    called.clear();
    std::vector<char*> argv;
    words.insert(words.begin(), "path/to/program");
    for (auto& word : words) {
        argv.push_back(word.data());
    }
    const std::vector<common::subcommand> commands = {
        {"", "rests", rest, common::clock_mode::virtual_time},
        {"note WHAT WHERE", "notes", note},
        {"fail HOW", "fails", fail}};
    return common::run_command(static_cast<int>(argv.size()), argv.data(), commands);
}

}  // namespace

TEST_CASE("a command gets its arguments")
{
    CHECK(run({"note", "this", "here"}) == 0);
    CHECK(called == std::vector<std::string>{"note", "this", "here"});
}

TEST_CASE("a command without a name runs without arguments, on the clock that it has")
{
    CHECK(run({}) == 0);
    CHECK(called == std::vector<std::string>{"rest"});
}

TEST_CASE("a command line that makes no sense is status 2")
{
    CHECK(run({"note"}) == 2);
    CHECK(run({"note", "this"}) == 2);
    CHECK(run({"note", "this", "here", "too"}) == 2);
    CHECK(run({"notes", "this", "here"}) == 2);
    CHECK(run({"--nonsense"}) == 2);
    CHECK(run({"fail", "usage"}) == 2);
    CHECK(called.empty());
}

TEST_CASE("a command that fails is status 1")
{
    CHECK(run({"fail", "system"}) == 1);
    CHECK(run({"fail", "otherwise"}) == 1);
}

TEST_CASE("a complaint that nobody can hear changes no status")
{
    std::fflush(stderr);
    const int kept = ::dup(STDERR_FILENO);
    const int full = ::open("/dev/full", O_WRONLY);
    ::dup2(full, STDERR_FILENO);
    const int refused = run({"notes"});
    const int failed = run({"fail", "otherwise"});
    ::dup2(kept, STDERR_FILENO);
    ::close(kept);
    ::close(full);
    std::clearerr(stderr);
    CHECK(refused == 2);
    CHECK(failed == 1);
}

TEST_CASE("help is status 0, and runs nothing")
{
    CHECK(run({"--help"}) == 0);
    CHECK(run({"-h"}) == 0);
    CHECK(run({"help"}) == 0);
    CHECK(called.empty());
}

TEST_CASE("ports are 0 to 65535, and nothing else is one")
{
    CHECK(common::parse_port("0") == 0);
    CHECK(common::parse_port("8080") == 8080);
    CHECK(common::parse_port("65535") == 65535);
    for (const auto* const text : {"", "65536", "-1", "+1", " 1", "1 ", "0x10", "http", "1.5"}) {
        CHECK_THROWS_AS(common::parse_port(text), common::usage_error);
    }
}
