#include "chat_server/token_bucket.hpp"

#include "common/clock.hpp"
#include "common/run.hpp"

#include <catch2/catch_test_macros.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <stdexcept>

using namespace std::chrono_literals;
using boost::asio::awaitable;

namespace {

int take_all(chat::token_bucket& bucket)
{
    int taken = 0;
    while (bucket.try_take()) {
        ++taken;
    }
    return taken;
}

}  // namespace

TEST_CASE("a bucket allows a burst, and then its rate")
{
    const auto main = []() -> awaitable<void> {
        chat::token_bucket bucket(5, 3);
        CHECK(take_all(bucket) == 3);
        CHECK(bucket.wait() == 200ms);
        co_await common::sleep_for(199ms);
        CHECK(take_all(bucket) == 0);
        co_await common::sleep_for(bucket.wait());
        CHECK(bucket.wait() == 0ms);
        CHECK(take_all(bucket) == 1);
        co_await common::sleep_for(401ms);
        CHECK(take_all(bucket) == 2);
        co_await common::sleep_for(1h);
        CHECK(take_all(bucket) == 3);
    };
    common::run(main(), common::clock_mode::virtual_time);
}

TEST_CASE("a bucket that could never have a token is refused")
{
    CHECK_THROWS_AS(chat::token_bucket(0, 1), std::invalid_argument);
    CHECK_THROWS_AS(chat::token_bucket(-1, 1), std::invalid_argument);
    CHECK_THROWS_AS(chat::token_bucket(1, 0.5), std::invalid_argument);
}
