#include "common/queue.hpp"

#include "tests/common/started.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using common::queue;
using common::queue_closed;
using tests::started;
using tests::asio::awaitable;

namespace asio = boost::asio;

namespace {

using items = std::vector<int>;

awaitable<void> get_into(queue<int>& from, items& got)
{
    got.push_back(co_await from.get());
}

// What can be got without waiting.
items drain(queue<int>& from)
{
    items rest;
    while (const auto item = from.try_get()) {
        rest.push_back(*item);
    }
    return rest;
}

}  // namespace

TEST_CASE("queue: a capacity of 0 is refused")
{
    CHECK_THROWS_AS(queue<int>(0), std::invalid_argument);
}

TEST_CASE("queue: try_put and try_get, and how full it is")
{
    queue<std::string> two(2);
    CHECK(two.empty());
    CHECK_FALSE(two.full());
    CHECK_FALSE(two.try_get());
    CHECK(two.try_put("a"));
    CHECK(two.try_put("b"));
    CHECK(two.size() == 2);
    CHECK(two.full());
    std::string third = "c";
    CHECK_FALSE(two.try_put(std::move(third)));
    CHECK(third == "c");
    CHECK(two.try_get() == "a");
    CHECK(two.try_put(std::move(third)));
    CHECK(two.try_get() == "b");
    CHECK(two.try_get() == "c");
    CHECK(two.empty());

    queue<int> unbounded;
    for (int item = 0; item < 1000; ++item) {
        CHECK(unbounded.try_put(item));
    }
    CHECK_FALSE(unbounded.full());
}

TEST_CASE("queue: items may be movable only, and need no default constructor")
{
    struct parcel {
        explicit parcel(int number_) : number(std::make_unique<int>(number_)) {}
        std::unique_ptr<int> number;
    };
    int sum = 0;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<parcel> parcels(1);
        auto producer = [&]() -> awaitable<void> {
            for (int number = 1; number <= 4; ++number) {
                parcel next(number);
                co_await parcels.put(std::move(next));
            }
        };
        const started producing(executor, producer());
        for (int number = 1; number <= 4; ++number) {
            const auto got = co_await parcels.get();
            sum = 10 * sum + *got.number;
        }
        CHECK(parcels.try_put(parcel(5)));
        CHECK(*parcels.try_get()->number == 5);
    };
    tests::run(main);
    CHECK(sum == 1234);
}

TEST_CASE("queue: an item that is there and room that is there cost no trip through the loop")
{
    asio::io_context loop;
    queue<int> numbers(2);
    bool had_turn = false;
    std::optional<bool> had_turn_before_end;
    auto main = [&]() -> awaitable<void> {
        asio::post(loop, [&] { had_turn = true; });
        co_await numbers.put(1);
        co_await numbers.put(2);
        tests::check_equal(co_await numbers.get(), 1);
        tests::check_equal(co_await numbers.get(), 2);
        had_turn_before_end = had_turn;
    };
    const started task(loop.get_executor(), main());
    loop.run();
    CHECK(task.finished());
    CHECK(had_turn_before_end == false);
}

TEST_CASE("queue: a put into a full queue waits for room, so a fast producer keeps step")
{
    const auto capacity = GENERATE(as<std::size_t>{}, 1, 2, 5);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(capacity);
        int made = 0;
        auto producer = [&]() -> awaitable<void> {
            for (; made < 20; ++made) {
                co_await numbers.put(made);
            }
        };
        const started producing(executor, producer());
        for (int number = 0; number < 20; ++number) {
            co_await common::sleep_for(10ms);
            CHECK(numbers.size() <= capacity);
            CHECK(made <= number + static_cast<int>(capacity));
            tests::check_equal(co_await numbers.get(), number);
        }
        CHECK(numbers.empty());
    };
    tests::run(main);
}

TEST_CASE("queue: neither put nor get resumes anybody inside the call")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(1);
        items got;
        const started getting(executor, get_into(numbers, got));
        co_await numbers.put(1);
        CHECK(got.empty());
        CHECK(numbers.size() == 1);  // the item stays until the getter runs
        CHECK_FALSE(numbers.try_get());
        co_await tests::settle();
        CHECK(got == items{1});

        co_await numbers.put(2);
        const started putting(executor, numbers.put(3));
        tests::check_equal(co_await numbers.get(), 2);
        CHECK(putting.running());
        CHECK(numbers.size() == 1);
        co_await tests::settle();
        CHECK(putting.finished());
        CHECK(drain(numbers) == items{3});
    };
    tests::run(main);
}

TEST_CASE("queue: getters are served in the order of coming, before any newcomer")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers;
        items a_got;
        items b_got;
        items c_got;
        const started a(executor, get_into(numbers, a_got));
        started b(executor, get_into(numbers, b_got));
        const started c(executor, get_into(numbers, c_got));
        b.cancel();
        for (int number = 1; number <= 4; ++number) {
            CHECK(numbers.try_put(number));
        }
        CHECK_FALSE(numbers.try_get());
        tests::check_equal(co_await numbers.get(), 3);
        CHECK(a_got == items{1});
        CHECK(c_got == items{2});
        CHECK(drain(numbers) == items{4});
        CHECK(b.aborted());
    };
    tests::run(main);
}

TEST_CASE("queue: putters are served in the order of coming, before any newcomer")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(2);
        co_await numbers.put(1);
        co_await numbers.put(2);
        const started a(executor, numbers.put(3));
        started b(executor, numbers.put(4));
        const started c(executor, numbers.put(5));
        b.cancel();
        items got;
        got.push_back(*numbers.try_get());
        got.push_back(*numbers.try_get());
        CHECK_FALSE(numbers.try_put(9));  // the room is a's and c's
        const started newcomer(executor, numbers.put(6));
        for (int rest = 0; rest < 3; ++rest) {
            got.push_back(co_await numbers.get());
        }
        co_await tests::settle();
        CHECK(got == items{1, 2, 3, 5, 6});
        CHECK(b.aborted());
        CHECK(a.finished());
    };
    tests::run(main);
}

TEST_CASE("queue: a newcomer does not put its item in front of one that was promised room")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(2);
        co_await numbers.put(1);
        co_await numbers.put(2);
        const started first(executor, numbers.put(3));
        items got;
        got.push_back(*numbers.try_get());
        got.push_back(*numbers.try_get());
        CHECK_FALSE(numbers.full());
        CHECK_FALSE(numbers.try_put(9));
        const started newcomer(executor, numbers.put(4));
        co_await tests::settle();
        for (const int rest : drain(numbers)) {
            got.push_back(rest);
        }
        CHECK(got == items{1, 2, 3, 4});
    };
    tests::run(main);
}

TEST_CASE("queue: several producers and consumers, each item once, each producer's in order")
{
    const auto capacity = GENERATE(as<std::size_t>{}, 1, 3, 64);
    const int yields = GENERATE(0, 1);
    items got;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(capacity);
        auto produce = [&](int from) -> awaitable<void> {
            for (int number = from; number < from + 100; ++number) {
                co_await numbers.put(number);
                for (int each = 0; each < yields; ++each) {
                    co_await common::yield();
                }
            }
        };
        auto consume = [&]() -> awaitable<void> {
            while (true) {
                got.push_back(co_await numbers.get());
                numbers.task_done();
            }
        };
        std::vector<started> all;
        for (int each = 0; each < 3; ++each) {
            all.emplace_back(executor, consume());
        }
        for (int from = 0; from < 400; from += 100) {
            all.emplace_back(executor, produce(from));
        }
        co_await common::sleep_for(1s);
        co_await numbers.join();
        numbers.close();
        co_await tests::settle();
        CHECK(all[0].failed_with<queue_closed>());
    };
    tests::run(main);
    REQUIRE(got.size() == 400);
    for (int from = 0; from < 400; from += 100) {
        items of_one;
        std::copy_if(got.begin(), got.end(), std::back_inserter(of_one), [&](int number) {
            return number >= from && number < from + 100;
        });
        CHECK(of_one.size() == 100);
        CHECK(std::is_sorted(of_one.begin(), of_one.end()));
    }
}

TEST_CASE("queue: an item promised to a cancelled getter is not lost")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers;
        items a_got;
        items b_got;
        started a(executor, get_into(numbers, a_got));
        started b(executor, get_into(numbers, b_got));
        co_await numbers.put(1);
        a.cancel();
        co_await tests::settle();
        CHECK(a.aborted());
        CHECK(b_got == items{1});

        started c(executor, get_into(numbers, a_got));
        co_await numbers.put(2);
        co_await numbers.put(3);
        c.cancel();
        CHECK(drain(numbers) == items{2, 3});
        co_await tests::settle();
        CHECK(c.aborted());
        CHECK(a_got.empty());
    };
    tests::run(main);
}

TEST_CASE("queue: a cancelled putter takes its item with it, also if it was promised room")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(1);
        co_await numbers.put(1);
        started a(executor, numbers.put(2));
        started b(executor, numbers.put(3));
        const started c(executor, numbers.put(4));
        a.cancel();
        tests::check_equal(co_await numbers.get(), 1);
        b.cancel();
        CHECK(numbers.size() == 1);
        tests::check_equal(co_await numbers.get(), 4);
        co_await tests::settle();
        CHECK(a.aborted());
        CHECK(b.aborted());
        CHECK(c.finished());
        CHECK(numbers.empty());
    };
    tests::run(main);
}

TEST_CASE("queue: once a getter has reached for its item, a putter can't be cancelled any more")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(1);
        co_await numbers.put(1);
        started a(executor, numbers.put(2));
        tests::check_equal(co_await numbers.get(), 1);
        tests::check_equal(co_await numbers.get(), 2);
        a.cancel();
        co_await tests::settle();
        CHECK(a.finished());
        CHECK(numbers.empty());
    };
    tests::run(main);
}

TEST_CASE("queue: thousands of timed gets in the same instant as the put lose no item")
{
    const bool put_first = GENERATE(true, false);
    int got = 0;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers;
        auto put_later = [&]() -> awaitable<void> {
            co_await common::sleep_for(10ms);
            co_await numbers.put(1);
        };
        auto timed_get = [&]() -> awaitable<void> {
            got += co_await common::with_timeout(10ms, numbers.get());
        };
        for (int race = 0; race < 2000; ++race) {
            std::vector<started> both;
            if (put_first) {
                both.emplace_back(executor, put_later());
                both.emplace_back(executor, timed_get());
            } else {
                both.emplace_back(executor, timed_get());
                both.emplace_back(executor, put_later());
            }
            co_await common::sleep_for(20ms);
            auto& getting = both[put_first ? 1 : 0];
            REQUIRE((getting.finished() || getting.failed_with<common::timeout_error>()));
            REQUIRE(numbers.size() == (getting.finished() ? 0 : 1));
            drain(numbers);
        }
    };
    tests::run(main);
    CHECK((got == 0 || got == 2000));
}

TEST_CASE("queue: thousands of timed puts in the same instant as the get are in or out")
{
    const bool get_first = GENERATE(true, false);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(1);
        auto get_later = [&]() -> awaitable<void> {
            co_await common::sleep_for(10ms);
            tests::check_equal(co_await numbers.get(), 1);
        };
        bool put_won = false;
        auto timed_put = [&]() -> awaitable<void> {
            const auto result = co_await (numbers.put(2) || common::sleep_for(10ms));
            put_won = result.index() == 0;
        };
        for (int race = 0; race < 2000; ++race) {
            put_won = false;
            co_await numbers.put(1);
            std::vector<started> both;
            if (get_first) {
                both.emplace_back(executor, get_later());
                both.emplace_back(executor, timed_put());
            } else {
                both.emplace_back(executor, timed_put());
                both.emplace_back(executor, get_later());
            }
            co_await common::sleep_for(20ms);
            REQUIRE(drain(numbers) == (put_won ? items{2} : items{}));
        }
    };
    tests::run(main);
}

TEST_CASE("queue: close fails putters at once, and getters when nothing is left")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(2);
        co_await numbers.put(1);
        co_await numbers.put(2);
        const started a(executor, numbers.put(3));
        const started b(executor, numbers.put(4));
        numbers.close();
        numbers.close();
        CHECK_THROWS_AS(numbers.try_put(5), queue_closed);
        const started c(executor, numbers.put(6));
        co_await tests::settle();
        CHECK(a.failed_with<queue_closed>());
        CHECK(b.failed_with<queue_closed>());
        CHECK(c.failed_with<queue_closed>());
        tests::check_equal(co_await numbers.get(), 1);
        tests::check_equal(co_await numbers.get(), 2);
        const started d(executor, numbers.get());
        co_await tests::settle();
        CHECK(d.failed_with<queue_closed>());
        CHECK_FALSE(numbers.try_get());
    };
    tests::run(main);
}

TEST_CASE("queue: close wakes the getters that wait, and those with a promise keep it")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(1);
        items got;
        const started a(executor, get_into(numbers, got));
        const started b(executor, get_into(numbers, got));
        co_await numbers.put(1);
        numbers.close();
        co_await tests::settle();
        CHECK(a.finished());
        CHECK(got == items{1});
        CHECK(b.failed_with<queue_closed>());
    };
    tests::run(main);
}

TEST_CASE("queue: close with a putter that has been promised room neither loses nor invents items")
{
    const bool cancel_putter = GENERATE(true, false);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(1);
        co_await numbers.put(1);
        started putting(executor, numbers.put(2));
        tests::check_equal(co_await numbers.get(), 1);
        numbers.close();
        if (cancel_putter) {
            putting.cancel();
        }
        const auto left = drain(numbers);
        co_await tests::settle();
        CHECK(left.size() == (putting.finished() ? 1 : 0));
        CHECK((putting.finished() || putting.failed_with<queue_closed>() || putting.aborted()));
        CHECK(drain(numbers).empty());
    };
    tests::run(main);
}

TEST_CASE("queue: after the close no getter waits for a putter that will fail")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(2);
        items got;
        auto close_between = [&]() -> awaitable<void> {
            got.push_back(co_await numbers.get());  // makes room, and that is promised to 3
            numbers.close();
            got.push_back(co_await numbers.get());
        };
        const started a(executor, close_between());
        const started b(executor, get_into(numbers, got));
        co_await numbers.put(1);
        co_await numbers.put(2);
        const started putting(executor, numbers.put(3));
        co_await tests::settle();
        CHECK(a.failed_with<queue_closed>());
        CHECK(putting.failed_with<queue_closed>());
        CHECK(got == items{1, 2});
    };
    tests::run(main);
}

TEST_CASE("queue: an item given back after the close goes to a getter that waited")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers;
        items got;
        started a(executor, get_into(numbers, got));
        const started b(executor, get_into(numbers, got));
        co_await numbers.put(1);
        numbers.close();
        a.cancel();
        co_await tests::settle();
        CHECK(a.aborted());
        CHECK(b.finished());
        CHECK(got == items{1});
    };
    tests::run(main);
}

TEST_CASE(
    "queue: a getter that comes after the close waits for who has been promised the last item")
{
    const bool given_back = GENERATE(true, false);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers;
        items first;
        items second;
        started a(executor, get_into(numbers, first));
        co_await numbers.put(1);
        numbers.close();
        const started b(executor, get_into(numbers, second));
        if (given_back) {
            a.cancel();
        }
        co_await tests::settle();
        CHECK(a.aborted() == given_back);
        CHECK(first == (given_back ? items{} : items{1}));
        CHECK(second == (given_back ? items{1} : items{}));
        CHECK(b.finished() == given_back);
        CHECK(b.failed_with<common::queue_closed>() == !given_back);
        CHECK(numbers.empty());
    };
    tests::run(main);
}

TEST_CASE("queue: a newcomer after the close does not overtake a getter that waits")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers;
        items first;
        items second;
        items third;
        started a(executor, get_into(numbers, first));
        const started b(executor, get_into(numbers, second));
        co_await numbers.put(1);
        numbers.close();
        a.cancel();
        const started newcomer(executor, get_into(numbers, third));
        co_await tests::settle();
        CHECK(a.aborted());
        CHECK(second == items{1});
        CHECK(b.finished());
        CHECK(newcomer.failed_with<common::queue_closed>());
    };
    tests::run(main);
}

TEST_CASE("queue: join waits until every item is done with, closed or not")
{
    const bool closed = GENERATE(true, false);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(1);
        CHECK_THROWS_AS(numbers.task_done(), std::logic_error);
        co_await numbers.join();  // nothing to wait for
        co_await numbers.put(1);
        const started putting(executor, numbers.put(2));
        const started joining(executor, numbers.join());
        started impatient(executor, numbers.join());
        tests::check_equal(co_await numbers.get(), 1);
        tests::check_equal(co_await numbers.get(), 2);  // straight from the putter
        if (closed) {
            numbers.close();
        }
        impatient.cancel();
        numbers.task_done();
        co_await tests::settle();
        CHECK(impatient.aborted());
        CHECK(joining.running());
        numbers.task_done();
        co_await tests::settle();
        CHECK(joining.finished());
        CHECK_THROWS_AS(numbers.task_done(), std::logic_error);
    };
    tests::run(main);
}

TEST_CASE("queue: terminal, partial and total cancellation end put and get")
{
    const auto type = GENERATE(
        asio::cancellation_type::terminal, asio::cancellation_type::partial,
        asio::cancellation_type::total);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> none;
        queue<int> full(1);
        co_await full.put(1);
        started getting(executor, tests::hearing_all(none.get()));
        started putting(executor, tests::hearing_all(full.put(2)));
        getting.cancel(type);
        putting.cancel(type);
        co_await tests::settle();
        CHECK(getting.aborted());
        CHECK(putting.aborted());
        CHECK(drain(full) == items{1});
    };
    tests::run(main);
}

TEST_CASE("queue: 100 000 items and 50 000 waiters on either side need no stack")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        queue<int> numbers(1);
        auto produce = [&]() -> awaitable<void> {
            for (int number = 0; number < 100'000; ++number) {
                co_await numbers.put(number);
            }
        };
        const started producing(executor, produce());
        for (int number = 0; number < 100'000; ++number) {
            tests::check_equal(co_await numbers.get(), number);
        }

        items got;
        for (int number = 0; number < 50'000; ++number) {
            const started getting(executor, get_into(numbers, got));
        }
        for (int number = 0; number < 50'000; ++number) {
            const started putting(executor, numbers.put(number));
        }
        co_await tests::settle();
        CHECK(got.size() == 50'000);
        CHECK(std::is_sorted(got.begin(), got.end()));
        for (int number = 0; number < 50'000; ++number) {
            const started putting(executor, numbers.put(number));
        }
        for (int number = 0; number < 50'000; ++number) {
            tests::check_equal(co_await numbers.get(), number);
        }
    };
    tests::run(main);
}

TEST_CASE("queue: the event loop may be destroyed with waiters in every state")
{
    const bool queue_dies_first = GENERATE(true, false);
    auto none = std::make_unique<queue<std::unique_ptr<int>>>(1);
    auto full = std::make_unique<queue<std::unique_ptr<int>>>(1);
    full->try_put(std::make_unique<int>(1));
    asio::io_context loop;
    std::vector<started> all;
    for (int each = 0; each < 3; ++each) {
        all.emplace_back(loop.get_executor(), none->get());
        all.emplace_back(loop.get_executor(), full->put(std::make_unique<int>(2)));
    }
    all.emplace_back(loop.get_executor(), full->join());
    loop.poll();
    none->try_put(std::make_unique<int>(3));  // the first getter is about to run
    (void)full->try_get();                    // and so is the first putter
    if (queue_dies_first) {
        none.reset();
        full.reset();
        for (auto& each : all) {
            each.cancel();
        }
    }
}
