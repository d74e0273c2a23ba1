#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace {

const std::string lesson = "008_queue";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

}  // namespace

TEST_CASE("008: a bounded queue slows a fast producer down to its consumer")
{
    const auto shelf = said().section("A fast baker and a slow shop");
    CHECK(shelf.time_of("baker: puts loaf 3 on the shelf") == 0.00);
    CHECK(shelf.time_of("baker: puts loaf 4 on the shelf") == 0.10);
    CHECK(shelf.time_of("baker: puts loaf 5 on the shelf") == 0.20);
    for (int loaf = 1; loaf <= 5; ++loaf) {
        CHECK(shelf.count("shop: sells loaf " + std::to_string(loaf)) == 1);
    }
}

TEST_CASE("008: a queue that is closed is emptied first")
{
    const auto shelf = said().section("A fast baker and a slow shop");
    CHECK(shelf.before("shop: sells loaf 5", "shop: has sold out, and closes"));
    CHECK(shelf.time_of("shop: has sold out, and closes") == 0.50);
}

TEST_CASE("008: several producers and consumers, and each item is consumed once")
{
    CHECK(said().has("kitchen: served 1 2 3 4 5 6, each once"));
}

TEST_CASE("008: a channel's item is lost in a race")
{
    const auto channel = said().section("A channel's item, lost in a race");
    CHECK(channel.has("postman: got the letter is false"));
    CHECK(channel.has("postman: left in the channel is false"));
}

TEST_CASE("008: a queue's item is still there")
{
    const auto queue = said().section("A queue's item, still there");
    CHECK(queue.has("postman: got nothing in time"));
    CHECK(queue.has("postman: left in the queue: 1"));
}

// Who wins a race of 100 ms against 100 ms is open in real time.
TEST_CASE("008 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson, {"postman:"}) == "");
}
