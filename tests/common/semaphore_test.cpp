#include "common/semaphore.hpp"

#include "tests/common/started.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using common::semaphore;
using tests::started;
using tests::asio::awaitable;

namespace asio = boost::asio;

namespace {

awaitable<void> acquire_and_note(semaphore& slots, std::string& order, char name)
{
    const auto permit = co_await slots.acquire();
    order += name;
}

awaitable<void> acquire_for(semaphore& slots, common::duration time)
{
    const auto permit = co_await slots.acquire();
    co_await common::sleep_for(time);
}

}  // namespace

TEST_CASE("semaphore: as many permits as it was made with, and as were added")
{
    semaphore slots(2);
    CHECK(slots.available() == 2);
    auto first = slots.try_acquire();
    auto second = slots.try_acquire();
    REQUIRE(first);
    REQUIRE(second);
    CHECK_FALSE(slots.try_acquire());
    slots.release();
    CHECK(slots.available() == 1);
    slots.release(3);
    CHECK(slots.available() == 4);
    first->release();
    first->release();
    CHECK(slots.available() == 5);
    CHECK_FALSE(first->owns_permit());
    *second = semaphore::permit();
    CHECK(slots.available() == 6);
}

TEST_CASE("semaphore: so many at a time and no more")
{
    int inside = 0;
    int peak = 0;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        semaphore slots(3);
        auto download = [&]() -> awaitable<void> {
            const auto permit = co_await slots.acquire();
            peak = std::max(peak, ++inside);
            co_await common::sleep_for(100ms);
            --inside;
        };
        std::vector<started> downloads;
        for (int file = 0; file < 10; ++file) {
            downloads.emplace_back(executor, download());
        }
        co_await common::sleep_for(399ms);
        CHECK(downloads.back().running());
        co_await common::sleep_for(2ms);
        CHECK(downloads.back().finished());
        CHECK(slots.available() == 3);
    };
    tests::run(main);
    CHECK(peak == 3);
}

TEST_CASE("semaphore: a free permit costs no trip through the event loop")
{
    asio::io_context loop;
    semaphore slots(1);
    bool had_turn = false;
    std::optional<bool> had_turn_before_permit;
    auto main = [&]() -> awaitable<void> {
        asio::post(loop, [&] { had_turn = true; });
        const auto permit = co_await slots.acquire();
        had_turn_before_permit = had_turn;
    };
    const started task(loop.get_executor(), main());
    loop.run();
    CHECK(had_turn_before_permit == false);
}

TEST_CASE("semaphore: who waits is served in the order of coming, before any newcomer")
{
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        semaphore slots(0);
        const started a(executor, acquire_and_note(slots, order, 'a'));
        started b(executor, acquire_and_note(slots, order, 'b'));
        const started c(executor, acquire_and_note(slots, order, 'c'));
        b.cancel();
        slots.release();
        CHECK_FALSE(slots.try_acquire());  // it is on its way to a
        const started newcomer(executor, acquire_and_note(slots, order, 'd'));
        co_await tests::settle();
        CHECK(b.aborted());
        CHECK(slots.available() == 1);
    };
    tests::run(main);
    CHECK(order == "acd");
}

TEST_CASE("semaphore: releasing several wakes as many, and none of them inside the call")
{
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        semaphore slots(0);
        const started a(executor, acquire_for(slots, 1s));
        const started b(executor, acquire_for(slots, 1s));
        const started c(executor, acquire_and_note(slots, order, 'c'));
        slots.release(2);
        CHECK(slots.available() == 0);
        co_await common::sleep_for(999ms);
        CHECK(c.running());
        co_await common::sleep_for(2ms);
        CHECK(c.finished());
        slots.release(2);
        CHECK(slots.available() == 4);
    };
    tests::run(main);
}

TEST_CASE("semaphore: a permit on its way to a cancelled waiter goes to the next")
{
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        semaphore slots(0);
        started a(executor, acquire_and_note(slots, order, 'a'));
        started b(executor, acquire_and_note(slots, order, 'b'));
        const started c(executor, acquire_and_note(slots, order, 'c'));
        slots.release(2);
        a.cancel();
        co_await tests::settle();
        CHECK(a.aborted());
        CHECK(order == "bc");
        CHECK(slots.available() == 2);
    };
    tests::run(main);
}

TEST_CASE("semaphore: thousands of races against a timer in the same instant leak nothing")
{
    const bool release_first = GENERATE(true, false);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        semaphore slots(2);
        for (int race = 0; race < 2000; ++race) {
            auto racer = [&]() -> awaitable<void> {
                co_await (slots.acquire() || common::sleep_for(10ms));
            };
            std::vector<started> racing;
            auto hold = [&]() -> awaitable<void> {
                for (int holder = 0; holder < 2; ++holder) {
                    racing.emplace_back(executor, acquire_for(slots, 10ms));
                }
                co_return;
            };
            if (release_first) {
                co_await hold();
                for (int each = 0; each < 5; ++each) {
                    racing.emplace_back(executor, racer());
                }
            } else {
                auto first = co_await slots.acquire();
                auto second = co_await slots.acquire();
                for (int each = 0; each < 5; ++each) {
                    racing.emplace_back(executor, racer());
                }
                co_await common::sleep_for(10ms);
            }
            co_await common::sleep_for(20ms);
            REQUIRE(slots.available() == 2);
        }
    };
    tests::run(main);
}

TEST_CASE("semaphore: terminal, partial and total cancellation all end the wait")
{
    const auto type = GENERATE(
        asio::cancellation_type::terminal, asio::cancellation_type::partial,
        asio::cancellation_type::total);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        semaphore slots(0);
        started waiting(executor, tests::hearing_all(slots.acquire()));
        waiting.cancel(type);
        co_await tests::settle();
        CHECK(waiting.aborted());
    };
    tests::run(main);
}

TEST_CASE("semaphore: an event loop destroyed with coroutines in every state gives permits back")
{
    semaphore slots(2);
    {
        asio::io_context loop;
        const started a(loop.get_executor(), acquire_for(slots, 1h));
        const started b(loop.get_executor(), acquire_for(slots, 1h));
        const started c(loop.get_executor(), slots.acquire());
        const started d(loop.get_executor(), slots.acquire());
        const started e(loop.get_executor(), slots.acquire());
        loop.poll();
        slots.release();
    }
    CHECK(slots.available() == 3);
}

TEST_CASE("semaphore: may die before its permits, its waiters and their event loop")
{
    asio::io_context loop;
    auto slots = std::make_unique<semaphore>(1);
    const started holder(loop.get_executor(), acquire_for(*slots, 1h));
    started waiting(loop.get_executor(), slots->acquire());
    loop.poll();
    slots.reset();
    waiting.cancel();
    loop.poll();
    CHECK(waiting.running());

    std::optional<semaphore::permit> permit;
    {
        semaphore shorter(1);
        permit = shorter.try_acquire();
    }
    CHECK_FALSE(permit->owns_permit());
}
