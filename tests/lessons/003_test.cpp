#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

const std::string lesson = "003_gather";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

// How long a section took, from its first line to its last, when it began at `start`.
double since(double start, const support::transcript& section)
{
    return section.lines().back().time.value() - start;
}

bool is_about(double seconds, double expected)
{
    return seconds > expected - 0.001 && seconds < expected + 0.001;
}

}  // namespace

TEST_CASE("003: three downloads one after another take 0.60 s, gathered 0.30 s")
{
    const auto row = said().section("One after another");
    CHECK(is_about(since(0.00, row), 0.60));
    CHECK(row.has("main: 600 kB in 0.60 s"));

    const auto gathered = said().section("Any number at once, with gather");
    CHECK(is_about(since(0.90, gathered), 0.30));
}

TEST_CASE("003: gather gives results in the order asked, though they finish in another")
{
    const auto gathered = said().section("Any number at once, with gather");
    CHECK(gathered.before("download: photo has arrived", "download: text has arrived"));
    CHECK(gathered.before("download: text has arrived", "download: song has arrived"));
    CHECK(gathered.has("main: 300, 100, 200 kB in 0.30 s"));
}

TEST_CASE("003: && takes as long as the slower side")
{
    const auto both = said().section("Two at once, with &&");
    CHECK(is_about(since(0.60, both), 0.30));
    CHECK(both.before("download: photo has arrived", "download: song has arrived"));
    CHECK(both.has("main: song 300 kB, photo 100 kB in 0.30 s"));
}

TEST_CASE("003: what runs at once runs on one thread")
{
    CHECK(said().has("main: both ran on the same thread: true"));
}

TEST_CASE("003: stored awaitables that are awaited in turn do not overlap")
{
    const auto stored = said().section("Stored and awaited in turn: no overlap");
    CHECK(is_about(since(1.30, stored), 0.30));
}

TEST_CASE("003: a clock ticks while a coroutine sleeps, and stands while a call blocks")
{
    const auto stall = said().section("A blocking call stalls everyone");
    CHECK(stall.has("clock: 3 ticks in 20 ms of common::sleep_for"));
    CHECK(stall.has("clock: 0 ticks in 20 ms of std::this_thread::sleep_for"));
}

TEST_CASE("003 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson, {"ticks in"}) == "");
}
