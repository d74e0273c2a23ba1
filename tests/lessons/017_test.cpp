#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

const std::string lesson = "017_custom_event_loop";

support::transcript simulated()
{
    return support::simulated_lesson(lesson).said();
}

struct game {
    int messages = 0;
    int on_time = 0;
};

game game_in(const support::transcript& transcript, const std::string& section)
{
    static const std::regex line(R"(game: (\d+) messages handled, (\d+) of 30 frames on time)");
    const auto lines = transcript.section(section).lines();
    REQUIRE(lines.size() == 1);
    std::smatch found;
    REQUIRE(std::regex_match(lines[0].event, found, line));
    return {std::stoi(found[1]), std::stoi(found[2])};
}

const std::string no_limit = "A frame loop, and poll() without a limit";
const std::string budget = "A frame loop, and a budget of 8 ms a frame";

// What it says has been done, without the figures, which vary: the line up to the semicolon.
std::vector<std::string> results_of(const std::string& back_end)
{
    const auto run = support::run_program(support::lesson_program("017_round_trips_" + back_end));
    CHECK(run.status == 0);
    CHECK(run.err == "");
    const auto said = run.said();
    std::vector<std::string> results;
    for (const auto& line : said.lines()) {
        REQUIRE(line.event.starts_with(back_end + ", "));
        REQUIRE(line.event.find(" of CPU each") != std::string::npos);
        const auto name = back_end.size();
        results.push_back(line.event.substr(name, line.event.find(';') - name));
    }
    return results;
}

bool has_back_end(const std::string& name)
{
    std::istringstream libraries(BACK_ENDS);
    for (std::string library; libraries >> library;) {
        if (library == "common_" + name) {
            return true;
        }
    }
    return false;
}

}  // namespace

TEST_CASE("017: on the loop's own executor coroutines take turns")
{
    const std::vector<std::string> expected = {"dishes: step 1", "soup: step 1",   "dishes: step 2",
                                               "soup: step 2",   "dishes: step 3", "soup: step 3"};
    CHECK(simulated().section("On the loop's executor: in turn").events() == expected);
}

TEST_CASE("017: on executors with a priority the urgent one runs first, though it came second")
{
    const std::vector<std::string> expected = {"soup: step 1",   "soup: step 2",
                                               "soup: step 3",   "dishes: step 1",
                                               "dishes: step 2", "dishes: step 3"};
    CHECK(simulated().section("On executors with a priority: the soup first").events() == expected);
}

TEST_CASE("017: timers that are due and sockets that are ready go by priority, too")
{
    const auto both = simulated().section("Timers and sockets");
    const std::vector<std::string> expected = {
        "soup: is awake", "dishes: is awake", "soup: has the letter B", "dishes: has the letter A"};
    CHECK(both.events() == expected);
    CHECK(both.time_of("soup: is awake") == 0.10);
    CHECK(both.time_of("dishes: is awake") == 0.10);
}

TEST_CASE("017: what is spawned on the wrong executor takes turns with the urgent")
{
    const auto wrong = simulated().section("On the wrong executor");
    CHECK(wrong.before("dishes: step 1", "soup: step 1"));
    CHECK(wrong.before("dishes: step 3", "soup: step 3"));
}

TEST_CASE("017: the handler of a timer on the wrong executor comes before the urgent one")
{
    const std::vector<std::string> expected = {"bell: no priority", "bell: high", "bell: low"};
    CHECK(simulated().section("A timer on the wrong executor").events() == expected);
}

TEST_CASE("017: a budget keeps all frames on time, and without one a burst makes them late")
{
    const auto hasty = game_in(simulated(), no_limit);
    CHECK(hasty.messages == 100);
    CHECK(hasty.on_time == 22);
    const auto steady = game_in(simulated(), budget);
    CHECK(steady.messages == 100);
    CHECK(steady.on_time == 30);
}

TEST_CASE("017 takes its time in real time, and goes by the same order")
{
    CHECK(support::real_time_deviation(lesson) == "");
    const auto real = support::run_lesson(lesson, support::lesson_clock::real).said();
    for (const std::string section :
         {"On executors with a priority: the soup first", "Timers and sockets",
          "On the wrong executor", "A timer on the wrong executor"}) {
        CHECK(real.section(section).events() == simulated().section(section).events());
    }
    const auto hasty = game_in(real, no_limit);
    CHECK(hasty.messages == 100);
    CHECK(hasty.on_time <= 22);                   // a busy machine misses more
    CHECK(game_in(real, budget).messages >= 25);  // one in each frame since they came
}

TEST_CASE("017: the three back ends give the same results")
{
    const std::vector<std::string> expected = {
        ", 0 silent: 10000 round trips, sum 505000", ", 400 silent: 10000 round trips, sum 505000"};
    CHECK(results_of("epoll") == expected);
    for (const std::string back_end : {"select", "io_uring"}) {
        if (has_back_end(back_end)) {
            INFO(back_end);
            CHECK(results_of(back_end) == expected);
        }
    }
}

TEST_CASE("017: where the kernel refuses io_uring, the program says so")
{
    if (!has_back_end("io_uring")) {
        SKIP("built without io_uring");
    }
    support::program_options options;
    options.arguments = {support::lesson_program("017_round_trips_io_uring")};
    const auto run = support::run_program(WITHOUT_IO_URING, options);
    CHECK(run.status == 0);
    CHECK(run.out == "io_uring: the kernel refuses it: Operation not permitted\n");
    CHECK(run.err == "");
}
