#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

const std::string lesson = "006_mutex";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("006: without a lock nine of ten deposits are lost")
{
    CHECK(said().has("bank: 10 of 100 after 0.01 s"));
}

TEST_CASE("006: with a lock none is lost, and they come one at a time")
{
    CHECK(said().has("bank: 100 of 100 after 0.10 s"));
}

TEST_CASE("006: who unlocks and locks again goes to the end of the line")
{
    const auto line = said().section("The line is served in order");
    CHECK(line.before("Ada: is served, errand 1", "Bob: is served, errand 1"));
    CHECK(line.before("Bob: is served, errand 1", "Cleo: is served, errand 1"));
    CHECK(line.before("Cleo: is served, errand 1", "Ada: is served, errand 2"));
    const auto waited =
        line.time_of("Ada: is served, errand 2") - line.time_of("Ada: is served, errand 1");
    CHECK(waited > 0.299);
    CHECK(waited < 0.301);
}

TEST_CASE("006: what five ask for at once is fetched once")
{
    CHECK(said().has("login: 5 requests, fetched 1 time"));
}

TEST_CASE("006: a lock that blocks the thread keeps its holder from unlocking")
{
    const auto blocked = said().section("A lock that blocks the thread");
    CHECK(blocked.before(
        "blocker: waited 20 ms for what is held for 5 ms, acquired is false",
        "holder: has let go"));
}

TEST_CASE("006 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
