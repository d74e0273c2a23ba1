#include "tests/support/program.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <regex>
#include <string>
#include <vector>

namespace {

const std::string lesson = "014_timeouts";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

double seconds_between(const support::transcript& part, const char* one, const char* other)
{
    return part.time_of(other) - part.time_of(one);
}

// The pauses between calls, in milliseconds, up to `last`.
std::vector<int> pauses_before(const support::transcript& part, const std::string& last)
{
    static const std::regex failed(R"(caller: call \d+ fails; waits (\d+) ms)");
    std::vector<int> pauses;
    for (const auto& line : part.lines()) {
        std::smatch match;
        if (line.event == last) {
            return pauses;
        }
        if (std::regex_match(line.event, match, failed)) {
            pauses.push_back(std::stoi(match[1]));
        }
    }
    return {};
}

}  // namespace

TEST_CASE("014: three steps share a deadline, and the third is cut off by it")
{
    const auto steps = said().section("One deadline, three steps");
    CHECK(steps.time_of("courier: step 1 is done") == 0.05);
    CHECK(steps.time_of("courier: step 2 is done") == 0.15);
    CHECK(steps.time_of("courier: timed out") == 0.25);
    CHECK(steps.count_containing("courier") == 3);
}

TEST_CASE("014: who is cancelled knows where it was, and cleans up with awaits before it ends")
{
    const auto tour = said().section("Cancelled by hand");
    CHECK(tour.has("courier: is called back at the door"));
    CHECK(
        seconds_between(
            tour, "courier: is called back at the door", "courier: has brought the parcel back") ==
        Catch::Approx(0.05));
    CHECK(tour.before("courier: has brought the parcel back", "depot: the tour was cancelled"));
    CHECK_FALSE(tour.has("courier: has delivered"));
}

TEST_CASE("014: shielded work ends in spite of the limit, and its caller has a result")
{
    const auto shield = said().section("Work that is shielded");
    CHECK(shield.has("courier: has delivered"));
    CHECK(shield.count_containing("called back") == 0);
    CHECK(shield.before("courier: has delivered", "depot: late, but it counts"));
}

TEST_CASE("014: each pause before a retry is twice as long, with half of it left to chance")
{
    const auto calls = said().section("Again, and later each time");
    const auto pauses = pauses_before(calls, "caller: call 4 is answered");
    REQUIRE(pauses.size() == 3);
    int longest = 20;
    for (const int pause : pauses) {
        CHECK(pause >= longest / 2);
        CHECK(pause <= longest);
        longest *= 2;
    }
    CHECK(pauses[1] != 2 * pauses[0]);  // chance has had its part
    CHECK(
        calls.time_of("caller: call 4 is answered") - calls.lines().front().time.value() ==
        Catch::Approx((pauses[0] + pauses[1] + pauses[2] + 3 * 60) / 1000.0).margin(0.011));
}

TEST_CASE("014: a cancellation is not retried")
{
    const auto calls = said().section("Again, and later each time");
    const auto events = calls.events();
    REQUIRE(events.size() >= 2);
    CHECK(events[events.size() - 2] == "caller: call 4 is answered");
    CHECK(events.back() == "caller: hangs up");  // in the first call of the second series
}

TEST_CASE("014: at SIGTERM no more is taken, what was taken is finished, before the deadline")
{
    const auto drained = said().section("SIGTERM: finish what was taken, and leave");
    CHECK(drained.before("kitchen: hears SIGTERM", "cook: order 1 is ready"));
    CHECK(drained.before("cook: order 2 is ready", "kitchen: locks up"));
    CHECK(seconds_between(drained, "kitchen: hears SIGTERM", "kitchen: locks up") < 0.25);
    CHECK(drained.time_of("cook: order 2 is ready") == drained.time_of("kitchen: locks up"));
    CHECK(drained.has("waiter: finds the kitchen closed"));
    CHECK_FALSE(drained.has("cook: order 3 is ready"));
}

TEST_CASE("014: at the deadline it leaves, done or not")
{
    const auto late = said().section("SIGTERM, with more to do than there is time");
    CHECK(
        seconds_between(late, "kitchen: hears SIGTERM", "kitchen: locks up") ==
        Catch::Approx(0.25));
    CHECK(late.has("cook: order 1 is ready"));
    CHECK_FALSE(late.has("cook: order 2 is ready"));
}

TEST_CASE("014: at a second signal it leaves at once")
{
    const auto twice = said().section("SIGINT twice: leave at once");
    REQUIRE(twice.count("kitchen: hears SIGINT") == 2);
    const auto& lines = twice.lines();
    REQUIRE(lines.size() >= 2);
    CHECK(lines[lines.size() - 2].event == "kitchen: hears SIGINT");
    CHECK(lines.back().event == "kitchen: locks up");
    CHECK(lines.back().time == lines[lines.size() - 2].time);
    CHECK(twice.has("cook: order 1 is ready"));
    CHECK_FALSE(twice.has("cook: order 2 is ready"));
}

TEST_CASE("014: a swallowed cancellation makes every further await throw, and nobody hears of it")
{
    const auto swallowed = said().section("A cancellation that is swallowed");
    CHECK(swallowed.has("postman: door 1 opens"));
    CHECK(
        swallowed.time_of("postman: nobody at door 2") ==
        swallowed.time_of("postman: nobody at door 4"));
    CHECK(swallowed.has("depot: thinks that the postman was at every door"));
}

TEST_CASE("014 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}
