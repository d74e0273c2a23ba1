#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

const std::string lesson = "007_semaphore";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("007: all at once, ten run at once, seven more than the server is made for")
{
    CHECK(said().section("All at once").has("main: 10 downloads took 0.10 s, peak 10, 7 too many"));
}

TEST_CASE("007: with three permits the peak is three, and ten take four rounds")
{
    const auto three = said().section("Three at a time");
    CHECK(three.has("main: 10 downloads took 0.40 s, peak 3, 0 too many"));
    CHECK(three.has("main: permits available: 3"));
}

TEST_CASE("007: a permit that nobody keeps limits nothing")
{
    CHECK(said()
              .section("A permit that nobody keeps")
              .has("main: 10 downloads took 0.10 s, peak 10, 7 too many"));
}

TEST_CASE("007: the time is that of the rounds, for 1, 2, 3, 5 and 10 permits")
{
    const auto table = said().section("Permits and time");
    CHECK(table.has("table:  1 permits, 1.00 s"));
    CHECK(table.has("table:  2 permits, 0.50 s"));
    CHECK(table.has("table:  3 permits, 0.40 s"));
    CHECK(table.has("table:  5 permits, 0.20 s"));
    CHECK(table.has("table: 10 permits, 0.10 s"));
}

TEST_CASE("007 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
