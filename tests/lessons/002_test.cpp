#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

const std::string lesson = "002_awaiting_values";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("002: awaits in a row add up, 0.10 s + 0.20 s = 0.30 s")
{
    const auto row = said().section("Awaits in a row add up");
    CHECK(row.time_of("shop: looks up the price of coffee") == 0.00);
    CHECK(row.time_of("shop: works out the discount on 180 cents") == 0.10);
    CHECK(row.time_of("main: coffee is 162 cents: 0.10 s + 0.20 s took 0.30 s") == 0.30);
}

TEST_CASE("002: a result that cannot be copied is moved to the caller")
{
    CHECK(said().has("main: holds the only receipt: paid 162 cents"));
}

TEST_CASE("002: a parameter by value outlives the argument that was passed")
{
    const auto stays = said().section("A parameter by value lives as long as the coroutine");
    CHECK(stays.before(
        "main: the string that was passed is gone, and greet() has not begun",
        "shop: thank you, Ada, and do come again"));
}

TEST_CASE("002 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
