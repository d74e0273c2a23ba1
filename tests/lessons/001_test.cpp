#include "tests/support/document.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

// Lesson 001 is bare Asio, and always runs in real time. Its output has no times in it, and the
// order of two timers started together does not depend on the machine.
TEST_CASE("001 prints what the documents show")
{
    const auto run = support::run_lesson("001_simple_coroutine", support::lesson_clock::real);
    CHECK(run.status == 0);
    CHECK(run.err.empty());
    CHECK(
        run.out == support::shown_output(
                       support::source_dir() / "docs/progression.md", "001_simple_coroutine"));
}

TEST_CASE("001 waits for real: two brewings of 0.3 s, the toast during one of them, and the milk")
{
    const auto run = support::run_lesson("001_simple_coroutine", support::lesson_clock::real);
    CHECK(run.took >= std::chrono::milliseconds(700));

    const auto alone = run.said().section("The event loop runs it");
    CHECK(alone.before(
        "main: it is spawned, and the loop is not running yet", "brew: the water is on"));
    CHECK(alone.before("brew: the coffee is ready", "main: run() has returned"));

    const auto both = run.said().section("While one is suspended, another runs");
    CHECK(both.before("brew: the water is on", "toast: the bread is in"));
    CHECK(both.before("toast: the toast is done", "brew: the coffee is ready"));
}

TEST_CASE("001 calls a coroutine, and nothing of it runs")
{
    const auto run = support::run_lesson("001_simple_coroutine", support::lesson_clock::real);
    const auto called = run.said().section("A coroutine does not");
    CHECK(called.count_containing("brew:") == 0);
    CHECK(called.has("main: brew_coffee() has returned, and has not begun"));
}

TEST_CASE("001: an exception goes through the handler and leaves run()")
{
    const auto run = support::run_lesson("001_simple_coroutine", support::lesson_clock::real);
    CHECK(run.said().section("What it throws leaves run()").has("main: caught: there is no milk"));
}
