#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace {

const std::string lesson = "011_barriers";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("011: each phase starts when the slowest has arrived")
{
    const auto phases = said().section("Three phases, three speeds");
    for (const std::string who : {"hare", "fox", "tortoise"}) {
        CHECK(phases.time_of(who + ": starts phase 1") == 0.00);
        CHECK(phases.time_of(who + ": starts phase 2") == 0.10);
        CHECK(phases.time_of(who + ": starts phase 3") == 0.20);
    }
}

TEST_CASE("011: the place in the order of arrival elects exactly one")
{
    const auto merge = said().section("The place elects one");
    CHECK(merge.has("hare: arrived first, and merges 3 parts: 100"));
    CHECK(merge.has("fox: has place 1"));
    CHECK(merge.has("tortoise: has place 2"));
    CHECK(merge.count_containing("merges") == 1);
}

TEST_CASE("011: a worker that fails breaks the barrier for those who wait and those who come")
{
    const auto broken = said().section("A worker that fails");
    CHECK(
        broken.time_of("hare: the barrier is broken") ==
        broken.time_of("fox: has sprained a leg, and breaks the barrier"));
    CHECK(
        broken.time_of("tortoise: the barrier is broken") >
        broken.time_of("hare: the barrier is broken"));
    CHECK(broken.has("main: reset: broken is false"));
}

TEST_CASE("011: who gives up does not count as arrived any more")
{
    const auto vain = said().section("A barrier for more than will come");
    CHECK(vain.has("hare: gives up; 1 still wait"));
    CHECK(vain.has("tortoise: gives up; 0 still wait"));
}

TEST_CASE("011 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
