#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <utility>
#include <vector>

namespace {

const std::string lesson = "012_streams";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("012: a guest who has closed one side of the connection gets all answers")
{
    const auto guest = said().section("All orders sent, and all answers to come");
    CHECK(guest.time_of("guest: gets: here is soup, here is bread") == 0.20);
}

TEST_CASE("012: fifty guests are served in the time of one")
{
    const auto fifty = said().section("Fifty guests, 0.10 s of work for each");
    CHECK(fifty.has("main: 50 guests were served in 0.10 s"));
}

TEST_CASE("012: a guest who vanishes hurts no other")
{
    const auto two = said().section("A guest who vanishes");
    CHECK(two.before("guest 1: vanishes", "kitchen: loses a guest: Connection reset by peer"));
    CHECK(two.has("guest 2: gets: here is soup"));
}

TEST_CASE("012: at closing time who is there is served, and who comes is not let in")
{
    const auto closing = said().section("Closing time");
    CHECK(closing.has("guest 2: comes late: Connection refused"));
    CHECK(
        closing.time_of("guest 1: gets: here is tea") >
        closing.time_of("kitchen: takes no more guests"));
    CHECK(closing.count_containing("loses a guest") == 0);
}

TEST_CASE("012: what is read beyond a line is lost with its buffer, and kept by the generator")
{
    const auto ahead = said().section("What was read beyond the line");
    CHECK(ahead.has("wrong: a line of 5 bytes, 11 were read"));
    CHECK(ahead.has("wrong: left for the next line: 0 bytes"));
    CHECK(ahead.has("right: soup, then bread"));
}

TEST_CASE("012 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}

TEST_CASE("012 says what it can do, and refuses what it cannot")
{
    const auto run = [](std::vector<std::string> arguments) {
        return support::run_program(
            support::lesson_program(lesson), {.arguments = std::move(arguments)});
    };
    const auto help = run({"--help"});
    CHECK(help.status == 0);
    CHECK(help.out.find("serve PORT") != std::string::npos);
    CHECK(help.out.find("connect PORT") != std::string::npos);
    CHECK(help.err == "");

    for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{
             {"open"},
             {"serve"},
             {"serve", "1", "2"},
             {"serve", "http"},
             {"serve", "65536"},
             {"serve", "-1"},
             {"serve", "12x"},
             {"connect", ""},
             {"--help", "me"}}) {
        INFO(bad.front() << ' ' << bad.back());
        const auto refused = run(bad);
        CHECK(refused.status == 2);
        CHECK(refused.out == "");
        CHECK(refused.err.starts_with("012_streams: "));
        CHECK(refused.err.ends_with("; see 012_streams --help\n"));
    }
}
