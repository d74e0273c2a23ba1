#include "common/mutex.hpp"

#include "tests/common/started.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using common::mutex;
using tests::started;
using tests::asio::awaitable;

namespace asio = boost::asio;

namespace {

awaitable<void> lock_and_note(mutex& lock, std::string& order, char name)
{
    const auto guard = co_await lock.lock();
    order += name;
}

awaitable<void> lock_for(mutex& lock, common::duration time)
{
    const auto guard = co_await lock.lock();
    co_await common::sleep_for(time);
}

}  // namespace

TEST_CASE("mutex: a free lock is taken at once, and again after each unlock")
{
    mutex lock;
    CHECK_FALSE(lock.locked());
    {
        const auto guard = lock.try_lock();
        REQUIRE(guard);
        CHECK(guard->owns_lock());
        CHECK(lock.locked());
        CHECK_FALSE(lock.try_lock());
    }
    CHECK_FALSE(lock.locked());
}

TEST_CASE("mutex: a guard moves, and unlocks once")
{
    mutex first;
    mutex second;
    mutex::guard empty;
    CHECK_FALSE(empty.owns_lock());

    auto guard = *first.try_lock();
    auto other = *second.try_lock();
    auto moved = std::move(guard);
    CHECK_FALSE(guard.owns_lock());
    CHECK(moved.owns_lock());

    moved = std::move(other);
    CHECK_FALSE(first.locked());
    CHECK(second.locked());

    moved.unlock();
    CHECK_FALSE(second.locked());
    moved.unlock();
    CHECK_FALSE(second.locked());
}

TEST_CASE("mutex: a free lock costs no trip through the event loop")
{
    asio::io_context loop;
    mutex lock;
    bool had_turn = false;
    std::optional<bool> had_turn_before_lock;
    auto main = [&]() -> awaitable<void> {
        asio::post(loop, [&] { had_turn = true; });
        const auto guard = co_await lock.lock();
        had_turn_before_lock = had_turn;
    };
    const started task(loop.get_executor(), main());
    loop.run();
    CHECK(had_turn_before_lock == false);
}

TEST_CASE("mutex: unlocking resumes nobody inside the call")
{
    asio::io_context loop;
    mutex lock;
    auto guard = lock.try_lock();
    std::string order;
    const started waiting(loop.get_executor(), lock_and_note(lock, order, 'a'));
    loop.poll();
    guard->unlock();
    CHECK(order.empty());
    CHECK(lock.locked());  // it is on its way
    CHECK_FALSE(lock.try_lock());
    loop.run();
    CHECK(order == "a");
    CHECK_FALSE(lock.locked());
}

TEST_CASE("mutex: who waits is served in the order of coming, and a newcomer goes last")
{
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        auto guard = co_await lock.lock();
        const started a(executor, lock_and_note(lock, order, 'a'));
        const started b(executor, lock_and_note(lock, order, 'b'));
        const started c(executor, lock_and_note(lock, order, 'c'));
        guard.unlock();
        const started newcomer(executor, lock_and_note(lock, order, 'd'));
        guard = co_await lock.lock();
        order += 'e';
    };
    tests::run(main);
    CHECK(order == "abcde");
}

TEST_CASE("mutex: a cancelled waiter leaves the line, and the others keep their places")
{
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        auto guard = co_await lock.lock();
        started a(executor, lock_and_note(lock, order, 'a'));
        const started b(executor, lock_and_note(lock, order, 'b'));
        started c(executor, lock_and_note(lock, order, 'c'));
        const started d(executor, lock_and_note(lock, order, 'd'));
        c.cancel();
        a.cancel();
        co_await tests::settle();
        CHECK(a.aborted());
        CHECK(c.aborted());
        CHECK(b.running());
        guard.unlock();
        co_await tests::settle();
        CHECK_FALSE(lock.locked());
    };
    tests::run(main);
    CHECK(order == "bd");
}

TEST_CASE("mutex: a lock that was handed to a cancelled waiter goes to the next")
{
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        auto guard = co_await lock.lock();
        started a(executor, lock_and_note(lock, order, 'a'));
        started b(executor, lock_and_note(lock, order, 'b'));
        const started c(executor, lock_and_note(lock, order, 'c'));
        guard.unlock();
        a.cancel();
        b.cancel();
        a.cancel();
        co_await tests::settle();
        CHECK(a.aborted());
        CHECK(b.aborted());
        CHECK(c.finished());
        CHECK_FALSE(lock.locked());
    };
    tests::run(main);
    CHECK(order == "c");
}

TEST_CASE("mutex: thousands of races against a timer in the same instant leak nothing")
{
    const bool unlock_first = GENERATE(true, false);
    int won = 0;
    int entered = 0;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        for (int race = 0; race < 2000; ++race) {
            auto racer = [&]() -> awaitable<void> {
                const auto result = co_await (lock.lock() || common::sleep_for(10ms));
                won += result.index() == 0;
            };
            auto next = [&]() -> awaitable<void> {
                const auto guard = co_await lock.lock();
                ++entered;
            };
            if (unlock_first) {
                const started holder(executor, lock_for(lock, 10ms));
                const started racing(executor, racer());
                const started after(executor, next());
                co_await common::sleep_for(20ms);
            } else {
                auto guard = co_await lock.lock();
                const started racing(executor, racer());
                const started after(executor, next());
                co_await common::sleep_for(10ms);
                guard.unlock();
                co_await common::sleep_for(10ms);
            }
            REQUIRE_FALSE(lock.locked());
        }
    };
    tests::run(main);
    CHECK(entered == 2000);
    CHECK((won == 0 || won == 2000));
}

TEST_CASE("mutex: terminal, partial and total cancellation all end the wait")
{
    const auto type = GENERATE(
        asio::cancellation_type::terminal, asio::cancellation_type::partial,
        asio::cancellation_type::total);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        const auto guard = co_await lock.lock();
        started waiting(executor, tests::hearing_all(lock.lock()));
        waiting.cancel(type);
        co_await tests::settle();
        CHECK(waiting.aborted());
    };
    tests::run(main);
}

TEST_CASE("mutex: 100 000 hand-offs and 50 000 waiters need no stack")
{
    int handed = 0;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        auto ten_times = [&]() -> awaitable<void> {
            for (int turn = 0; turn < 10; ++turn) {
                const auto guard = co_await lock.lock();
                ++handed;
            }
        };
        auto twice = [&]() -> awaitable<void> {
            for (int turn = 0; turn < 2; ++turn) {
                const auto guard = co_await lock.lock();
                ++handed;
            }
        };
        auto guard = co_await lock.lock();
        for (int waiter = 0; waiter < 10'000; ++waiter) {
            const started waiting(executor, ten_times());
        }
        for (int waiter = 0; waiter < 50'000; ++waiter) {
            const started waiting(executor, twice());
        }
        guard.unlock();
        co_await tests::settle();
    };
    tests::run(main);
    CHECK(handed == 200'000);
}

TEST_CASE("mutex: a chain of 50 000 cancelled grants needs no stack")
{
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        mutex lock;
        auto guard = co_await lock.lock();
        std::vector<started> waiting;
        for (int waiter = 0; waiter < 50'000; ++waiter) {
            waiting.emplace_back(executor, lock.lock());
        }
        guard.unlock();
        for (auto& each : waiting) {
            each.cancel();
        }
        CHECK_FALSE(lock.locked());
        co_await tests::settle();
        for (const auto& each : waiting) {
            REQUIRE(each.aborted());
        }
    };
    tests::run(main);
}

TEST_CASE("mutex: an event loop destroyed with coroutines in every state takes them along")
{
    // Who holds the lock, who is being handed it, who waits, and who has been cancelled.
    mutex lock;
    {
        asio::io_context loop;
        auto forever = [&]() -> awaitable<void> {
            const auto guard = co_await lock.lock();
            mutex never;
            auto held = never.try_lock();
            co_await never.lock();
        };
        const started holder(loop.get_executor(), forever());
        const started a(loop.get_executor(), lock.lock());
        started b(loop.get_executor(), lock.lock());
        const started c(loop.get_executor(), lock_for(lock, 1h));
        loop.poll();
        b.cancel();
    }
    CHECK_FALSE(lock.locked());

    auto guard = lock.try_lock();
    {
        asio::io_context loop;
        const started a(loop.get_executor(), lock.lock());
        const started b(loop.get_executor(), lock.lock());
        loop.poll();
        guard->unlock();
        CHECK(lock.locked());
    }
    CHECK_FALSE(lock.locked());
}

TEST_CASE("mutex: a lock on its way into a destroyed event loop goes to another loop's waiter")
{
    mutex lock;
    auto guard = lock.try_lock();
    auto doomed = std::make_unique<asio::io_context>();
    asio::io_context other;
    const started a(doomed->get_executor(), lock.lock());
    const started b(other.get_executor(), lock.lock());
    const started c(doomed->get_executor(), lock.lock());
    const started d(other.get_executor(), lock.lock());
    doomed->poll();
    other.poll();
    guard->unlock();
    doomed.reset();
    other.restart();
    other.run();
    CHECK(b.finished());
    CHECK(d.finished());
    CHECK(a.running());
    CHECK(c.running());
    CHECK_FALSE(lock.locked());
}

TEST_CASE("mutex: a lock may die before its guards, its waiters and their event loop")
{
    asio::io_context loop;
    auto lock = std::make_unique<mutex>();
    auto holder = [](mutex& mutex_) -> awaitable<void> {
        const auto guard = co_await mutex_.lock();
        co_await common::sleep_for(1h);
    };
    const started holding(loop.get_executor(), holder(*lock));
    loop.poll();
    started waiting(loop.get_executor(), lock->lock());
    const started another(loop.get_executor(), lock->lock());
    loop.poll();
    lock.reset();
    waiting.cancel();
    loop.poll();
    CHECK(waiting.running());
}

TEST_CASE("mutex: a lock that dies while it is handed over fails who was to have it")
{
    asio::io_context loop;
    auto lock = std::make_unique<mutex>();
    auto guard = lock->try_lock();
    const started waiting(loop.get_executor(), lock->lock());
    loop.poll();
    guard->unlock();
    lock.reset();
    loop.poll();
    CHECK(waiting.aborted());
}

TEST_CASE("mutex: a guard may outlive its mutex")
{
    std::optional<mutex::guard> guard;
    {
        mutex lock;
        guard = lock.try_lock();
        CHECK(guard->owns_lock());
    }
    CHECK_FALSE(guard->owns_lock());
}

TEST_CASE("mutex: the cancellation signal of a waiter may die before the event loop")
{
    mutex lock;
    auto guard = lock.try_lock();
    asio::io_context loop;
    {
        asio::cancellation_signal signal;
        asio::co_spawn(
            loop, lock.lock(),
            asio::bind_cancellation_slot(signal.slot(), [](std::exception_ptr, mutex::guard) {}));
        loop.poll();
    }
}

TEST_CASE("mutex: works through a strand, and on two event loops one after the other")
{
    mutex lock;
    for (int round = 0; round < 2; ++round) {
        asio::io_context loop;
        auto strand = asio::make_strand(loop);
        std::string order;
        auto guard = lock.try_lock();
        const started a(strand, lock_and_note(lock, order, 'a'));
        const started b(strand, lock_and_note(lock, order, 'b'));
        loop.poll();
        guard->unlock();
        loop.restart();
        loop.run();
        CHECK(order == "ab");
    }
    asio::io_context loop;
    const auto guard = lock.try_lock();
    const started left(asio::make_strand(loop), lock.lock());
    loop.poll();
}

TEST_CASE("mutex: strands of one thread pool may each have their own")
{
    asio::thread_pool pool(4);
    constexpr int strands = 20;
    std::vector<std::unique_ptr<mutex>> locks;
    std::vector<int> counts(strands);
    auto work = [](mutex& lock, int& count) -> awaitable<void> {
        for (int turn = 0; turn < 100; ++turn) {
            const auto guard = co_await lock.lock();
            const int before = count;
            co_await common::yield();
            count = before + 1;
        }
    };
    for (auto& count : counts) {
        locks.push_back(std::make_unique<mutex>());
        const auto strand = asio::make_strand(pool);
        for (int worker = 0; worker < 3; ++worker) {
            asio::co_spawn(strand, work(*locks.back(), count), asio::detached);
        }
    }
    pool.join();
    for (const int count : counts) {
        CHECK(count == 300);
    }
}
