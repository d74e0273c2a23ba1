#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

const std::string lesson = "010_condition";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("010: a buffer of a mutex and two conditions gives each item once, and is never too full")
{
    CHECK(said().has("buffer: 1 2 3 4 5 6 7 8 9 10: each once, never more than 2"));
}

TEST_CASE("010: notify_one wakes one for each roll, notify_all everybody who waits")
{
    CHECK(said().has("bakery: five customers, five rolls: notify_one wakes 5, notify_all 15"));
}

TEST_CASE("010: who asks once finds the roll gone")
{
    const auto once = said().section("Asking once, with if");
    CHECK(once.before("customer: has a roll", "customer: was woken, and there is no roll"));
    CHECK(once.count("customer: has a roll") == 1);
}

TEST_CASE("010 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
