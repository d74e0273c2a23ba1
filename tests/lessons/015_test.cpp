#include "tests/support/document.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace {

const std::string lesson = "015_event_loop";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("015: the loop by hand is under 100 lines")
{
    const auto source =
        support::read_file(support::source_dir() / "lessons" / "015_loop_by_hand.hpp");
    const auto begin = source.find("\nclass event_loop {");
    const auto end = source.find("\n};", begin);
    REQUIRE(end != std::string::npos);
    std::size_t lines = 1;
    for (auto at = begin; at < end; ++at) {
        lines += source[at] == '\n' ? 1 : 0;
    }
    CHECK(lines < 100);
}

TEST_CASE("015: two coroutines run on the loop by hand, each when it is due")
{
    const auto by_hand = said().section("On a loop by hand");
    CHECK(by_hand.lines().size() == 4);
    CHECK(by_hand.time_of("brew: the water is on") == 0.00);
    CHECK(by_hand.time_of("toast: side 1 is brown") == 0.15);
    CHECK(by_hand.time_of("brew: the coffee is ready") == 0.30);
    CHECK(by_hand.time_of("toast: side 2 is brown") == 0.30);
}

TEST_CASE("015: of two who are due at the same instant, the first to have gone to sleep runs first")
{
    const auto by_hand = said().section("On a loop by hand");
    CHECK(by_hand.before("brew: the coffee is ready", "toast: side 2 is brown"));
}

TEST_CASE("015: io_context runs them in the same order, and at the same times")
{
    const auto by_hand = said().section("On a loop by hand").lines();
    const auto on_asio = said().section("On io_context").lines();
    REQUIRE(by_hand.size() == on_asio.size());
    for (std::size_t i = 0; i < by_hand.size(); ++i) {
        CHECK(by_hand[i].event == on_asio[i].event);
        CHECK(by_hand[i].time == on_asio[i].time);
    }
}

TEST_CASE("015: an exception leaves run(), and the loop destroys who is left with it")
{
    const auto failure = said().section("What a coroutine throws leaves run()");
    const std::vector<std::string> expected = {
        "stove: is switched off", "main: there is no milk", "stove: is switched off"};
    CHECK(failure.events() == expected);
    CHECK(failure.time_of("main: there is no milk") == 0.10);
}

TEST_CASE("015: dispatch runs a handler within another, post and defer after it")
{
    const std::vector<std::string> expected = {
        "dispatched by main: when the loop runs",
        "handler: begins",
        "dispatched by the handler: at once",
        "handler: ends",
        "posted",
        "deferred"};
    CHECK(said().section("post, dispatch, defer").events() == expected);
}

TEST_CASE("015: run_one runs one, poll what is ready, and a guard keeps a loop from stopping")
{
    const std::vector<std::string> expected = {
        "kitchen: soup",
        "main: run_one() ran 1",
        "kitchen: roast",
        "kitchen: cake",
        "main: poll() ran 2",
        "main: out of work, stopped is true",
        "main: run_for(20ms) ran 0",
        "main: guarded, stopped is false",
        "main: without the guard, stopped is true"};
    CHECK(said().section("A bit at a time").events() == expected);
}

TEST_CASE("015: a second run does nothing without restart")
{
    const std::vector<std::string> expected = {
        "main: run() ran 1, up to stop()", "main: a second run() ran 0", "kitchen: breakfast",
        "main: after restart(), run() ran 1"};
    CHECK(said().section("A second run()").events() == expected);
}

TEST_CASE("015: ordinary code has the result of a coroutine, on this thread and from another")
{
    const auto ordinary = said().section("From ordinary code");
    CHECK(ordinary.has("main: coffee is 180 cents"));
    CHECK(ordinary.has("main: tea is 90 cents, says the other thread"));
}

TEST_CASE("015 takes its time in real time, and prints the same lines in the same order")
{
    CHECK(support::real_time_deviation(lesson) == "");
    const auto real = support::run_lesson(lesson, support::lesson_clock::real);
    CHECK(real.said().events() == said().events());
    CHECK(real.took.count() >= 0.30 + 0.30 + 0.10 + 0.02 + 0.01 + 0.01);
}
