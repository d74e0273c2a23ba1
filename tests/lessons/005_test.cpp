#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

namespace {

const std::string lesson = "005_creating_tasks";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("005: a spawned coroutine runs at once to its first await, beside its caller")
{
    const auto spawned = said().section("A handler is told; with detached, nobody is");
    CHECK(spawned.before("baker: spawns the rye", "rye: in the oven"));
    CHECK(spawned.before("rye: in the oven", "baker: goes on while the rye is baking"));
    CHECK(spawned.before("baker: goes on while the rye is baking", "rye: baked"));
    CHECK(spawned.has("handler: 3 loaves, failed is false"));
}

TEST_CASE("005: a detached coroutine runs to its end")
{
    CHECK(said().has("radio: ends its tune"));
}

TEST_CASE("005: a promise is awaited when its result is wanted")
{
    const auto promised = said().section("A promise is awaited later, or dropped");
    CHECK(promised.before(
        "baker: lets go of the brioche, the spelt completed is false", "spelt: baked"));
    CHECK(promised.has("baker: awaited the spelt: 4 loaves"));
}

TEST_CASE("005: a promise that is dropped cancels its coroutine")
{
    const auto promised = said().section("A promise is awaited later, or dropped");
    CHECK(
        promised.time_of("brioche: taken out half done") <
        promised.time_of("baker: awaited the spelt: 4 loaves"));
    CHECK_FALSE(promised.has("brioche: baked"));
}

TEST_CASE("005: a future is ready when the loop has run its coroutine")
{
    const auto future = said().section("A future is for ordinary code");
    CHECK(future.has("baker: ready at once is false, ready later is true"));
    CHECK(future.has("baker: 6 loaves from get()"));
}

TEST_CASE("005: a signal cancels, and the handler is told")
{
    const auto cancelled = said().section("A signal cancels");
    CHECK(cancelled.before("baker: wants the oven back", "bagels: taken out half done"));
    CHECK(cancelled.has("handler: ended with an exception is true"));
    CHECK_FALSE(cancelled.has("bagels: baked"));
}

TEST_CASE("005: a group ends when the last task has")
{
    const auto group = said().section("A group ends when all its tasks have");
    CHECK(group.before("van: both are spawned", "Mill Lane: delivered"));
    CHECK(group.before("High Street: delivered", "baker: both are delivered"));
    CHECK(group.time_of("Mill Lane: delivered") == group.time_of("High Street: delivered"));
}

TEST_CASE("005: a task that fails cancels its siblings, and its error comes out in a group")
{
    const auto failed = said().section("A group's errors come as a group");
    CHECK(failed.has("Mill Lane: is on the way"));
    CHECK_FALSE(failed.has("Mill Lane: delivered"));
    CHECK(failed.has("baker: 1 task failed: no petrol in High Street"));
}

TEST_CASE("005 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
