// What Asio's handler tracking says about lesson 016, built with it.

#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace {

const support::program_run& tracked()
{
    static const auto run = support::run_lesson("016_tracked", support::lesson_clock::simulated);
    return run;
}

// What the pattern's group matches in each line of stderr.
std::multiset<std::string> handlers(const std::string& pattern)
{
    const std::regex line_pattern(R"(@asio\|\d+\.\d+\|)" + pattern);
    std::multiset<std::string> found;
    std::istringstream lines(tracked().err);
    for (std::string line; std::getline(lines, line);) {
        std::smatch parts;
        if (std::regex_match(line, parts, line_pattern)) {
            found.insert(parts[1]);
        }
    }
    return found;
}

}  // namespace

TEST_CASE("tracked, the lesson prints on stdout what it prints otherwise")
{
    CHECK(tracked().status == 0);
    CHECK(tracked().out == support::simulated_lesson("016_task_internals").out);
    CHECK(support::simulated_lesson("016_task_internals").err == "");
}

TEST_CASE("tracking shows every handler made, and then called or destroyed, once")
{
    const auto made = handlers(R"(\d+\*(\d+)\|.*)");
    auto ended = handlers(R"(>(\d+)\|.*)");
    ended.merge(handlers(R"(~(\d+)\|)"));
    CHECK(made.size() > 10);
    CHECK(made == ended);
    CHECK(std::set(made.begin(), made.end()).size() == made.size());
}

TEST_CASE("tracking shows the wait for the signal, what ended it, and the one that was cancelled")
{
    CHECK(handlers(R"(\d+\*(\d+)\|signal_set@0x[0-9a-f]+\.async_wait)").size() == 2);
    CHECK(handlers(R"(>(\d+)\|ec=system:0,signal_number=10)").size() == 1);
    CHECK(handlers(R"(>(\d+)\|ec=system:125,signal_number=0)").size() == 1);
}
