#include "tests/support/program.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <string>

namespace {

const std::string lesson = "018_executors";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("018: while a call blocks the loop, the heart does not beat")
{
    const auto stall = said().section("A call that blocks, on the loop");
    CHECK(stall.has("doctor: hears 0 beats in 0.10 s"));
}

TEST_CASE("018: while the same call blocks a thread, the heart keeps its beat")
{
    const auto all = said();
    const auto free = all.section("The same call on a thread, and a computation on another");
    CHECK(free.has("doctor: hears 3 beats, 0.02 s apart at most"));
    CHECK(free.has("laboratory: has counted 1229 primes"));
    CHECK(
        free.time_of("laboratory: has counted 1229 primes") -
            all.time_of("doctor: hears 0 beats in 0.10 s") ==
        Catch::Approx(0.06));
}

TEST_CASE("018: post alone moves nobody, a bound post until the next await, spawning for good")
{
    const auto moves = said().section("There and back");
    CHECK(moves.has("main: after post(pool): loop"));
    CHECK(moves.has("main: after post bound to the pool: pool"));
    CHECK(moves.has("main: after the next await: loop"));
    CHECK(moves.has("main: spawned on the pool, after an await: pool; its caller: loop"));
}

TEST_CASE("018: on a strand and under a mutex, no count is lost")
{
    const auto total = said().section("Ten counts, four threads, one total");
    CHECK(total.has("laboratory: 1229 by strand, 1229 by mutex"));
}

TEST_CASE("018: those who wait in front of the pool can leave, and those in it cannot")
{
    const auto visits = said().section("Five jobs for one thread");
    CHECK(visits.has("doctor: room for 5: 5 seen, 0 gave up"));
    CHECK(visits.has("doctor: room for 2: 2 seen, 3 gave up"));
}

TEST_CASE("018: the job of a process that is killed is done by another, and none is lost")
{
    const auto pool = said().section("Three processes, and one is killed");
    CHECK(pool.has("pool: signal 9 (Killed) over job 1, which goes to another"));
    CHECK(pool.lines().back().event == "office: 30 answers, whose sum is 9455");
}

TEST_CASE("018 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}

TEST_CASE("018: in real time, a blocked loop is blocked for as long as the call takes")
{
    const auto run = support::run_lesson(lesson, support::lesson_clock::real);
    REQUIRE(run.status == 0);
    CHECK(run.said().time_of("doctor: hears 0 beats in 0.10 s") >= 0.10);
}
