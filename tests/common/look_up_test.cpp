#include "common/look_up.hpp"

#include "common/clock.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"
#include "tests/common/slow_lookup.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>

using boost::asio::awaitable;
using common::look_up;
using namespace std::chrono_literals;
using tests::slow_lookup;

namespace {

awaitable<void> look_up_slow_name()
{
    (void)co_await look_up("slow.test", "80");
}

}  // namespace

TEST_CASE("a name has its addresses, with the port")
{
    const auto main = []() -> awaitable<void> {
        const auto found = co_await look_up("localhost", "80");
        REQUIRE_FALSE(found.empty());
        for (const auto& each : found) {
            CHECK(each.endpoint().address().is_loopback());
            CHECK(each.endpoint().port() == 80);
        }
    };
    common::run(main(), common::clock_mode::steady);
}

TEST_CASE("an address is not looked up")
{
    const auto main = []() -> awaitable<void> {
        const int before = slow_lookup::begun;
        for (const std::string address : {"127.0.0.1", "::1"}) {
            const auto found = co_await look_up(address, "65535");
            REQUIRE(found.size() == 1);
            CHECK(found.begin()->endpoint().address().to_string() == address);
            CHECK(found.begin()->endpoint().port() == 65535);
        }
        CHECK(slow_lookup::begun == before);
    };
    common::run(main(), common::clock_mode::steady);
}

TEST_CASE("a name that does not exist is an error")
{
    slow_lookup::may_end.release();
    try {
        common::run(look_up_slow_name(), common::clock_mode::steady);
        FAIL("it was found");
    } catch (const boost::system::system_error& failure) {
        CHECK(failure.code() == boost::asio::error::host_not_found);
    }
}

TEST_CASE("who is cancelled does not wait for the lookup, and one that is in line is dropped")
{
    const int begun = slow_lookup::begun;
    const int ended = slow_lookup::ended;
    const auto main = [&]() -> awaitable<void> {
        co_await common::with_task_group([&](common::task_group& all) -> awaitable<void> {
            all.spawn(look_up_slow_name());
            all.spawn(look_up_slow_name());
            while (slow_lookup::begun == begun) {
                co_await common::sleep_for(1ms);
            }
            all.cancel();
        });
        CHECK(slow_lookup::ended == ended);
        slow_lookup::may_end.release();
    };
    common::run(main(), common::clock_mode::steady);
    CHECK(slow_lookup::begun == begun + 1);
    CHECK(slow_lookup::ended == ended + 1);
}
