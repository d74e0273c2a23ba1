#include "common/event.hpp"

#include "tests/common/started.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using common::event;
using tests::started;
using tests::asio::awaitable;

namespace asio = boost::asio;

namespace {

awaitable<void> wait_and_note(event& news, std::string& order, char name)
{
    co_await news.wait();
    order += name;
}

}  // namespace

TEST_CASE("event: one set wakes all who wait, in the order of coming, none inside the call")
{
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        event news;
        const started a(executor, wait_and_note(news, order, 'a'));
        const started b(executor, wait_and_note(news, order, 'b'));
        const started c(executor, wait_and_note(news, order, 'c'));
        co_await tests::settle();
        CHECK(order.empty());
        CHECK_FALSE(news.is_set());
        news.set();
        CHECK(news.is_set());
        CHECK(order.empty());
        co_await tests::settle();
    };
    tests::run(main);
    CHECK(order == "abc");
}

TEST_CASE("event: one that is set costs no trip through the event loop, until it is cleared")
{
    asio::io_context loop;
    event news;
    news.set();
    bool had_turn = false;
    std::optional<bool> had_turn_before_news;
    auto main = [&]() -> awaitable<void> {
        asio::post(loop, [&] { had_turn = true; });
        co_await news.wait();
        had_turn_before_news = had_turn;
        news.clear();
        co_await news.wait();
    };
    const started task(loop.get_executor(), main());
    loop.poll();
    CHECK(had_turn_before_news == false);
    CHECK(task.running());
    news.set();
    loop.run();
    CHECK(task.finished());
}

TEST_CASE("event: who was waiting goes on also if it is cleared at once")
{
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        event news;
        const started a(executor, wait_and_note(news, order, 'a'));
        news.set();
        news.clear();
        const started b(executor, wait_and_note(news, order, 'b'));
        co_await tests::settle();
        CHECK(a.finished());
        CHECK(b.running());
        news.set();
    };
    tests::run(main);
    CHECK(order == "ab");
}

TEST_CASE("event: a cancelled wait throws, and the others wait on")
{
    const auto type = GENERATE(
        asio::cancellation_type::terminal, asio::cancellation_type::partial,
        asio::cancellation_type::total);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        event news;
        const started a(executor, news.wait());
        started b(executor, tests::hearing_all(news.wait()));
        const started c(executor, news.wait());
        b.cancel(type);
        co_await tests::settle();
        CHECK(a.running());
        CHECK(b.aborted());
        CHECK(c.running());
        news.set();
        co_await tests::settle();
        CHECK(a.finished());
        CHECK(c.finished());
    };
    tests::run(main);
}

TEST_CASE("event: a cancellation after the set is too late")
{
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        event news;
        started waiting(executor, news.wait());
        news.set();
        waiting.cancel();
        co_await tests::settle();
        CHECK(waiting.finished());
    };
    tests::run(main);
}

TEST_CASE("event: 50 000 waiters need no stack")
{
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        event news;
        std::vector<started> waiting;
        for (int waiter = 0; waiter < 50'000; ++waiter) {
            waiting.emplace_back(executor, news.wait());
        }
        news.set();
        co_await tests::settle();
        for (const auto& each : waiting) {
            REQUIRE(each.finished());
        }
    };
    tests::run(main);
}

TEST_CASE("event: the event loop may be destroyed with waiters, and the event before it")
{
    for (const bool event_dies_first : {true, false}) {
        auto news = std::make_unique<event>();
        auto woken = std::make_unique<event>();
        asio::io_context loop;
        started waiting(loop.get_executor(), news->wait());
        const started other(loop.get_executor(), news->wait());
        const started about_to_run(loop.get_executor(), woken->wait());
        loop.poll();
        woken->set();
        if (event_dies_first) {
            news.reset();
            waiting.cancel();
            loop.poll();
            CHECK(waiting.running());
        }
    }
}
