#include "common/condition_variable.hpp"

#include "tests/common/started.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using common::condition_variable;
using common::mutex;
using tests::started;
using tests::asio::awaitable;

namespace asio = boost::asio;

namespace {

// A mutex and a condition, and what became of the coroutines that waited on it.
struct waiting_room {
    mutex lock;
    condition_variable changed;
    std::string order;        // who returned from the wait
    std::string cancelled;    // who threw from it
    bool always_held = true;  // and all of them had the lock then

    awaitable<void> wait(char name)
    {
        auto guard = co_await lock.lock();
        try {
            co_await changed.wait(guard);
            order += name;
        } catch (...) {
            cancelled += name;
            always_held = always_held && guard.owns_lock() && !lock.try_lock();
            throw;
        }
        always_held = always_held && guard.owns_lock() && !lock.try_lock();
    }
};

}  // namespace

TEST_CASE("condition_variable: a wait unlocks, and has the lock again when it returns")
{
    waiting_room room;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        const started a(executor, room.wait('a'));
        CHECK_FALSE(room.lock.locked());
        auto guard = co_await room.lock.lock();
        room.changed.notify_one();
        CHECK(a.running());
        co_await common::sleep_for(1s);
        CHECK(a.running());  // it has been notified, and waits for the lock
        guard.unlock();
        co_await tests::settle();
        CHECK(a.finished());
    };
    tests::run(main);
    CHECK(room.always_held);
    CHECK_FALSE(room.lock.locked());
}

TEST_CASE("condition_variable: notify_one wakes the longest waiter, notify_all the rest, in order")
{
    waiting_room room;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        room.changed.notify_one();  // nobody hears it, and nothing remembers it
        std::vector<started> waiting;
        for (const char name : {'a', 'b', 'c', 'd'}) {
            waiting.emplace_back(executor, room.wait(name));
        }
        co_await tests::settle();
        CHECK(room.order.empty());
        room.changed.notify_one();
        co_await tests::settle();
        CHECK(room.order == "a");
        room.changed.notify_all();
        CHECK(room.order == "a");
        co_await tests::settle();
        CHECK(room.order == "abcd");
    };
    tests::run(main);
    CHECK(room.always_held);
}

TEST_CASE("condition_variable: a wait with a predicate asks first and asks again")
{
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        condition_variable changed;
        int level = 0;
        int asked = 0;
        auto until_two = [&]() -> awaitable<void> {
            auto guard = co_await lock.lock();
            auto reached = [&] {
                ++asked;
                return level >= 2;
            };
            co_await changed.wait(guard, reached);
            CHECK(level == 2);
        };
        const started waiting(executor, until_two());
        CHECK(asked == 1);
        for (level = 1; level <= 2; ++level) {
            changed.notify_all();
            co_await tests::settle();
            CHECK(asked == level + 1);
            CHECK(waiting.finished() == (level == 2));
        }
        level = 2;
        const started at_once(executor, until_two());
        CHECK(asked == 4);
        co_await tests::settle();
        CHECK(at_once.finished());
    };
    tests::run(main);
}

TEST_CASE("condition_variable: a guard that holds nothing is refused")
{
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        condition_variable changed;
        mutex::guard nothing;
        const started plain(executor, changed.wait(nothing));
        const started with_predicate(executor, changed.wait(nothing, [] { return true; }));
        co_await tests::settle();
        CHECK(plain.failed_with<std::logic_error>());
        CHECK(with_predicate.failed_with<std::logic_error>());
    };
    tests::run(main);
}

TEST_CASE("condition_variable: cancelled before a notification, a wait throws with the lock held")
{
    const auto type = GENERATE(
        asio::cancellation_type::terminal, asio::cancellation_type::partial,
        asio::cancellation_type::total);
    const bool lock_is_taken = GENERATE(true, false);
    waiting_room room;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        started a(executor, tests::hearing_all(room.wait('a')));
        const started b(executor, room.wait('b'));
        auto guard = co_await room.lock.lock();
        if (!lock_is_taken) {
            guard.unlock();
        }
        a.cancel(type);
        a.cancel(type);
        co_await common::sleep_for(1s);
        CHECK(a.running() == lock_is_taken);
        a.cancel(type);  // while it waits for the lock
        guard.unlock();
        co_await tests::settle();
        CHECK(a.aborted());
        room.changed.notify_one();
        co_await tests::settle();
        CHECK(b.finished());
    };
    tests::run(main);
    CHECK(room.cancelled == "a");
    CHECK(room.order == "b");
    CHECK(room.always_held);
    CHECK_FALSE(room.lock.locked());
}

TEST_CASE("condition_variable: a notification that meets a cancelled waiter goes to the next")
{
    const bool cancel_first = GENERATE(true, false);
    waiting_room room;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        started a(executor, room.wait('a'));
        started b(executor, room.wait('b'));
        const started c(executor, room.wait('c'));
        const started d(executor, room.wait('d'));
        if (cancel_first) {
            a.cancel();
            b.cancel();
        }
        room.changed.notify_one();
        a.cancel();
        b.cancel();
        co_await tests::settle();
        CHECK(a.aborted());
        CHECK(b.aborted());
        CHECK(c.finished());
        CHECK(d.running());
        room.changed.notify_all();
    };
    tests::run(main);
    CHECK(room.order == "cd");
    CHECK(room.always_held);
}

TEST_CASE("condition_variable: cancelled while it takes the lock back, a notified wait returns")
{
    waiting_room room;
    bool next_await_throws = false;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        auto wait_and_go_on = [&]() -> awaitable<void> {
            co_await room.wait('a');
            try {
                co_await common::sleep_for(1s);
            } catch (const boost::system::system_error&) {
                next_await_throws = true;
                throw;
            }
        };
        started a(executor, wait_and_go_on());
        auto guard = co_await room.lock.lock();
        room.changed.notify_one();
        co_await common::sleep_for(1s);
        a.cancel();
        co_await common::sleep_for(1s);
        CHECK(a.running());
        guard.unlock();
        co_await tests::settle();
        CHECK(a.aborted());
    };
    tests::run(main);
    CHECK(room.order == "a");
    CHECK(room.always_held);
    CHECK(next_await_throws);
}

TEST_CASE("condition_variable: a cancelled wait leaves the cancellation state as it found it")
{
    const bool throws = GENERATE(true, false);
    std::optional<bool> found;
    bool cancelled = false;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        condition_variable changed;
        auto wait = [&]() -> awaitable<void> {
            co_await asio::this_coro::throw_if_cancelled(throws);
            auto guard = co_await lock.lock();
            try {
                co_await changed.wait(guard);
            } catch (const boost::system::system_error&) {
                cancelled = true;
            }
            found = co_await asio::this_coro::throw_if_cancelled();
            const auto state = co_await asio::this_coro::cancellation_state;
            CHECK(state.cancelled() == asio::cancellation_type::terminal);
        };
        started waiting(executor, wait());
        auto guard = co_await lock.lock();
        waiting.cancel();
        co_await tests::settle();
        guard.unlock();
        co_await tests::settle();
        CHECK(waiting.finished());
    };
    tests::run(main);
    CHECK(cancelled);
    CHECK(found == throws);
}

TEST_CASE("condition_variable: thousands of races against a timer in the same instant lose nothing")
{
    const bool notify_first = GENERATE(true, false);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        condition_variable filled;
        std::deque<int> buffer;
        int taken = 0;
        auto take = [&]() -> awaitable<void> {
            auto guard = co_await lock.lock();
            co_await filled.wait(guard, [&] { return !buffer.empty(); });
            buffer.pop_front();
            ++taken;
        };
        auto put = [&]() -> awaitable<void> {
            co_await common::sleep_for(10ms);
            const auto guard = co_await lock.lock();
            buffer.push_back(1);
            filled.notify_one();
        };
        auto race = [&]() -> awaitable<void> { co_await (take() || common::sleep_for(10ms)); };
        for (int round = 0; round < 2000; ++round) {
            std::vector<started> all;
            if (notify_first) {
                all.emplace_back(executor, put());
            }
            all.emplace_back(executor, race());
            all.emplace_back(executor, take());
            all.emplace_back(executor, take());
            if (!notify_first) {
                all.emplace_back(executor, put());
            }
            co_await common::sleep_for(20ms);
            REQUIRE(buffer.empty());
            REQUIRE_FALSE(lock.locked());
            for (int rest = 0; rest < 2; ++rest) {
                const auto guard = co_await lock.lock();
                buffer.push_back(1);
                filled.notify_one();
            }
            co_await common::sleep_for(20ms);
            REQUIRE(all[notify_first ? 2 : 1].finished());
            REQUIRE(all[notify_first ? 3 : 2].finished());
            buffer.clear();
        }
    };
    tests::run(main);
}

TEST_CASE("condition_variable: 50 000 waiters need no stack")
{
    waiting_room room;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        for (int waiter = 0; waiter < 50'000; ++waiter) {
            const started waiting(executor, room.wait('w'));
        }
        room.changed.notify_all();
        co_await tests::settle();
    };
    tests::run(main);
    CHECK(room.order.size() == 50'000);
}

TEST_CASE("condition_variable: the event loop may be destroyed with waiters in every state")
{
    waiting_room room;
    {
        asio::io_context loop;
        std::vector<started> waiting;
        for (const char name : {'a', 'b', 'c', 'd'}) {
            waiting.emplace_back(loop.get_executor(), room.wait(name));
        }
        loop.poll();
        auto guard = room.lock.try_lock();
        room.changed.notify_one();
        waiting[1].cancel();
        loop.poll();                // a and b wait for the lock
        room.changed.notify_one();  // c is about to run, d waits
    }
    CHECK_FALSE(room.lock.locked());
    CHECK(room.order.empty());

    auto shorter = std::make_unique<waiting_room>();
    asio::io_context loop;
    started a(loop.get_executor(), shorter->wait('a'));
    const started b(loop.get_executor(), shorter->wait('b'));
    loop.poll();
    shorter.reset();
    a.cancel();
    loop.poll();
    CHECK(a.running());
}

TEST_CASE("condition_variable: one that dies with its mutex fails who has just been notified")
{
    auto room = std::make_unique<waiting_room>();
    asio::io_context loop;
    auto wait = [](mutex& lock, condition_variable& changed) -> awaitable<void> {
        auto guard = co_await lock.lock();
        co_await changed.wait(guard);
    };
    const started a(loop.get_executor(), wait(room->lock, room->changed));
    const started b(loop.get_executor(), wait(room->lock, room->changed));
    loop.poll();
    room->changed.notify_one();
    room.reset();
    loop.poll();
    CHECK(a.aborted());
    CHECK(b.running());
}

TEST_CASE("condition_variable: one whose mutex dies before it has the lock again hears as before")
{
    auto room = std::make_unique<waiting_room>();
    asio::io_context loop;
    bool throws = false;
    auto wait = [&throws](mutex& lock, condition_variable& changed) -> awaitable<void> {
        auto guard = co_await lock.lock();
        try {
            co_await changed.wait(guard);
        } catch (const boost::system::system_error&) {
        }
        throws = co_await asio::this_coro::throw_if_cancelled();
    };
    const started a(loop.get_executor(), wait(room->lock, room->changed));
    loop.poll();
    auto held = room->lock.try_lock();
    REQUIRE(held);
    room->changed.notify_one();
    loop.poll();  // it waits for the lock now
    held->unlock();
    room.reset();
    loop.poll();
    CHECK(a.finished());
    CHECK(throws);
}
