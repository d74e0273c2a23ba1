#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

const std::string lesson = "009_event";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("009: a cancelled timer wakes those who wait, and is lost on those who do not yet")
{
    CHECK(said().section("A timer, cancelled").has("herald: cancels the timer, and wakes 2"));
    const auto early = said().section("A timer that is cancelled too early");
    CHECK(early.has("herald: cancels the timer, and wakes 0"));
    CHECK(early.has("Ada: has waited in vain"));
}

TEST_CASE("009: one set wakes all who wait, in order, and none inside the call")
{
    const auto gate = said().section("One event wakes all who wait");
    CHECK(gate.before("porter: goes on, before anybody has moved", "Ada: goes in"));
    CHECK(gate.before("Ada: goes in", "Bob: goes in"));
    CHECK(gate.before("Bob: goes in", "Cleo: goes in"));
    CHECK(gate.time_of("porter: opens the gate") == gate.time_of("Cleo: goes in"));
}

TEST_CASE("009: an event that is set before the wait is remembered")
{
    CHECK(said().section("Set before the wait").has("Dora: goes in"));
}

TEST_CASE("009: a worker pauses while the event is clear")
{
    const auto pause = said().section("Cleared, and set again");
    CHECK(pause.before("worker: does piece 2", "foreman: clear(): stop after this one"));
    CHECK(pause.before("foreman: set(): go on", "worker: does piece 3"));
    CHECK(pause.time_of("worker: does piece 3") == pause.time_of("foreman: set(): go on"));
}

TEST_CASE("009 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
