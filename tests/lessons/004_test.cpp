#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

const std::string lesson = "004_exception_handling";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("004: an exception is caught at the co_await, and work goes on")
{
    const auto caught = said().section("Caught at the co_await");
    CHECK(caught.before("waiter: clears the table of Ada", "Ada: hears that lobster is sold out"));
    CHECK(caught.before("Ada: hears that lobster is sold out", "waiter: brings Ada the soup"));
}

TEST_CASE("004: a refused connection is an exception, or with as_tuple an error code")
{
    const auto codes = said().section("system_error, or an error code");
    CHECK(codes.has("phone: caught, refused is true"));
    CHECK(codes.has("phone: returned, refused is true"));
}

TEST_CASE("004: one failure in a gather cancels the rest, whose cleanup still runs")
{
    const auto failed = said().section("gather: one failure cancels the rest");
    CHECK(failed.has("waiter: brings Ada the soup"));
    CHECK_FALSE(failed.has("waiter: brings Cleo the roast"));
    CHECK(
        failed.time_of("waiter: clears the table of Cleo") ==
        failed.time_of("waiter: clears the table of Bob"));
    CHECK(failed.before("waiter: clears the table of Cleo", "kitchen: stops: lobster is sold out"));
}

TEST_CASE("004: gather_results lets the rest go on, and keeps the order")
{
    const auto all = said().section("gather_results: the rest keeps going");
    CHECK(all.has("waiter: brings Cleo the roast"));
    CHECK(all.before("kitchen: soup", "kitchen: sold out"));
    CHECK(all.before("kitchen: sold out", "kitchen: roast"));
}

TEST_CASE("004: every table that is laid is cleared")
{
    CHECK(said().count_containing("clears the table of") == 8);
}

TEST_CASE("004: two failures under && are multiple_exceptions")
{
    const auto both = said().section("&&: multiple_exceptions");
    CHECK(both.has("kitchen: hears that several things went wrong"));
    CHECK_FALSE(both.has("kitchen: hears of the lobster"));
}

TEST_CASE("004: detached swallows an exception that a handler is told of")
{
    const auto unheard = said().section("detached swallows");
    CHECK(unheard.before(
        "kitchen: has heard nothing of the lobster", "kitchen: a handler is told, failed is true"));
}

TEST_CASE("004 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
