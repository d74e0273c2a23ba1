#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace {

const std::string lesson = "013_subprocess";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("013: a child's output and its exit code are read")
{
    const auto kettle = said().section("A program is started, read and waited for");
    CHECK(kettle.has("kettle: wrote 'the water boils', and ended with exit code 3"));
}

TEST_CASE("013: the loop goes on while a child's lines are awaited")
{
    const auto kitchen = said().section("Line by line, and the loop goes on");
    CHECK(kitchen.count("clock: tick") == 3);
    CHECK(kitchen.time_of("clock: tick") == 0.08);
    CHECK(kitchen.time_of("kitchen: soup is ready") == 0.10);
    CHECK(kitchen.time_of("kitchen: fish is ready") == 0.20);
    CHECK(kitchen.time_of("kitchen: cake is ready") == 0.30);
    CHECK(kitchen.before("clock: tick", "kitchen: soup is ready"));
    CHECK(kitchen.before("kitchen: cake is ready", "main: the kitchen is closed"));
}

TEST_CASE("013: sort answers when its input is closed")
{
    const auto sorted = said().section("Fed, closed, and read");
    CHECK(sorted.lines().size() == 3);
    CHECK(sorted.before("sort: apple", "sort: fig"));
    CHECK(sorted.before("sort: fig", "sort: pear"));
}

TEST_CASE("013: an exit code, a signal, stderr and a program that is not there are told apart")
{
    const auto ends = said().section("How it ended");
    CHECK(ends.has("cook: exit code 1, out 'half a cake', err 'no eggs'"));
    CHECK(ends.has("diver: signal 9 (Killed), out '', err ''"));
    CHECK(ends.has("ghost: cannot be started: No such file or directory"));
}

TEST_CASE("013: three children take as long as the slowest")
{
    const auto all = said();
    const auto visits = all.section("Three children at once");
    const auto start = all.time_of("main: the kitchen is closed");
    CHECK(visits.time_of("bob: has left") - start < 0.101);
    CHECK(visits.time_of("cid: has left") - start < 0.201);
    CHECK(visits.time_of("ann: has left") - start < 0.301);
    CHECK(visits.time_of("ann: has left") - start > 0.299);
    CHECK(
        visits.time_of("main: all three took as long as the longest visit") ==
        visits.time_of("ann: has left"));
}

TEST_CASE("013: past the deadline a child is asked, and one that does not listen is killed")
{
    const auto all = said();
    const auto late = all.section("Past the deadline: asked, then killed");
    const auto start = all.time_of("main: all three took as long as the longest visit");
    const auto asked = late.time_of("sleeper: ended by signal 15 (Terminated)") - start;
    const auto killed = late.time_of("deaf: ended by signal 9 (Killed)") - start;
    CHECK((asked > 0.099 && asked < 0.101));
    CHECK((killed > 0.299 && killed < 0.301));
}

TEST_CASE("013: a full pipe stops who writes first, and not who does both; no child is left")
{
    const auto all = said();
    const auto pipe = all.section("A full pipe");
    const auto waited = pipe.time_of("main: write, then read: timed out; a child left: false") -
                        all.time_of("deaf: ended by signal 9 (Killed)");
    CHECK((waited > 0.099 && waited < 0.101));
    CHECK(pipe.has("main: write and read at once: 1000000 bytes came back"));
}

TEST_CASE("013 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
