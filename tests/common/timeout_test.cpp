#include "common/timeout.hpp"

#include "common/event.hpp"
#include "common/gather.hpp"
#include "common/mutex.hpp"
#include "common/queue.hpp"
#include "common/task_group.hpp"
#include "tests/common/started.hpp"

#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using common::timeout_error;
using common::with_timeout;
using tests::started;
using tests::asio::awaitable;

namespace asio = boost::asio;

namespace {

awaitable<int> answer_after(common::duration time)
{
    co_await common::sleep_for(time);
    co_return 42;
}

awaitable<void> fail_after(common::duration time)
{
    co_await common::sleep_for(time);
    throw std::runtime_error("broken");
}

// Finishes what it is doing when it is asked to stop, and that takes a second.
awaitable<int> finish_anyway()
{
    try {
        co_await common::sleep_for(1h);
    } catch (const boost::system::system_error&) {
    }
    co_await asio::this_coro::reset_cancellation_state();
    co_await common::sleep_for(1s);
    co_return 42;
}

// Takes a second to clean up when it is asked to stop.
awaitable<void> clean_up_slowly(bool& cleaned)
{
    std::exception_ptr cancelled;
    try {
        co_await common::sleep_for(1h);
    } catch (...) {
        cancelled = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state();
    co_await common::sleep_for(1s);
    cleaned = true;
    std::rethrow_exception(cancelled);
}

template <class T>
awaitable<bool> times_out(common::duration limit, awaitable<T> operation)
{
    try {
        (void)co_await with_timeout(limit, std::move(operation));
    } catch (const timeout_error&) {
        co_return true;
    }
    co_return false;
}

}  // namespace

TEST_CASE("with_timeout: an operation that ends in time gives its result, and no time is lost")
{
    auto main = []() -> awaitable<void> {
        tests::check_equal(co_await with_timeout(2s, answer_after(1s)), 42);
        CHECK(common::elapsed() == 1s);
        co_await with_timeout(2s, common::sleep_for(1s));
        CHECK(common::elapsed() == 2s);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: an operation that is too slow is cancelled, and timeout_error thrown")
{
    auto main = []() -> awaitable<void> {
        tests::check_equal(co_await times_out(1s, answer_after(2s)), true);
        CHECK(common::elapsed() == 1s);
        tests::check_equal(co_await times_out(1s, common::sleep_for(2s)), true);
        CHECK(common::elapsed() == 2s);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: what the operation throws is thrown as it is")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        const started early(executor, with_timeout(2s, fail_after(1s)));
        auto abort_itself = []() -> awaitable<void> {
            co_await common::sleep_for(1s);
            throw boost::system::system_error(asio::error::operation_aborted);
        };
        const started itself(executor, with_timeout(2s, abort_itself()));
        auto fail_when_cancelled = []() -> awaitable<void> {
            try {
                co_await common::sleep_for(1h);
            } catch (const boost::system::system_error&) {
                throw std::runtime_error("cleaning up failed");
            }
        };
        const started late(executor, with_timeout(2s, fail_when_cancelled()));
        co_await common::sleep_for(3s);
        CHECK(early.failed_with<std::runtime_error>());
        CHECK_FALSE(early.failed_with<timeout_error>());
        CHECK(itself.aborted());
        CHECK(late.failed_with<std::runtime_error>());
        CHECK_FALSE(late.failed_with<timeout_error>());
    };
    tests::run(main);
}

TEST_CASE("with_timeout: a result is never dropped, also if it comes after the limit")
{
    auto main = []() -> awaitable<void> {
        tests::check_equal(co_await with_timeout(1s, finish_anyway()), 42);
        CHECK(common::elapsed() == 2s);
        tests::check_equal(co_await with_timeout(1s, answer_after(1s)), 42);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: returns only when the operation has ended")
{
    auto main = []() -> awaitable<void> {
        bool cleaned = false;
        tests::check_equal(co_await times_out(1s, clean_up_slowly(cleaned)), true);
        CHECK(cleaned);
        CHECK(common::elapsed() == 2s);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: a limit of zero or less lets the operation run to its first suspension")
{
    const auto limit = GENERATE(0ns, common::duration(-1s), common::duration::min());
    auto main = [&]() -> awaitable<void> {
        bool began = false;
        auto operation = [&](bool suspends) -> awaitable<int> {
            began = true;
            if (suspends) {
                co_await common::sleep_for(0s);
            }
            co_return 42;
        };
        tests::check_equal(co_await with_timeout(limit, operation(false)), 42);
        began = false;
        tests::check_equal(co_await times_out(limit, operation(true)), true);
        CHECK(began);
        CHECK(common::elapsed() == 0s);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: a limit too large to add up is no limit")
{
    auto main = []() -> awaitable<void> {
        tests::check_equal(co_await with_timeout(common::duration::max(), answer_after(1s)), 42);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: a result needs no default constructor, and may be movable only")
{
    struct parcel {
        explicit parcel(int number_) : number(std::make_unique<int>(number_)) {}
        std::unique_ptr<int> number;
    };
    auto main = []() -> awaitable<void> {
        auto deliver = [](common::duration time) -> awaitable<parcel> {
            co_await common::sleep_for(time);
            co_return parcel(7);
        };
        const auto delivered = co_await with_timeout(2s, deliver(1s));
        CHECK(*delivered.number == 7);
        tests::check_equal(co_await times_out(1s, deliver(2s)), true);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: a cancellation from outside stays a cancellation")
{
    const auto time = GENERATE(0ms, 500ms, 1000ms);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        started waiting(executor, with_timeout(1s, common::sleep_for(2s)));
        if (time == 1000ms) {
            // In the same instant, and before the timer has its turn.
            co_await common::sleep_for(999ms);
            waiting.cancel();
            co_await common::sleep_for(1ms);
        } else {
            co_await common::sleep_for(time);
            waiting.cancel();
            co_await tests::settle();
        }
        CHECK(waiting.aborted());
    };
    tests::run(main);
}

TEST_CASE(
    "with_timeout: cancelled from outside in the instant of the limit, whoever is first counts")
{
    const bool cancel_first = GENERATE(true, false);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        std::optional<started> waiting;
        auto cancel_later = [&]() -> awaitable<void> {
            co_await common::sleep_for(1s);
            waiting->cancel();
        };
        if (cancel_first) {
            const started cancelling(executor, cancel_later());
            waiting.emplace(executor, with_timeout(1s, common::sleep_for(2s)));
        } else {
            waiting.emplace(executor, with_timeout(1s, common::sleep_for(2s)));
            const started cancelling(executor, cancel_later());
        }
        co_await common::sleep_for(2s);
        CHECK(waiting->aborted() == cancel_first);
        CHECK(waiting->failed_with<timeout_error>() == !cancel_first);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: once it has expired, a cancellation from outside changes nothing")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        bool cleaned = false;
        started waiting(executor, with_timeout(1s, clean_up_slowly(cleaned)));
        co_await common::sleep_for(1500ms);
        waiting.cancel();
        co_await common::sleep_for(1h / 2);
        CHECK(waiting.failed_with<timeout_error>());
    };
    tests::run(main);
}

TEST_CASE("with_timeout: cancelled from outside and finished all the same, it gives the result")
{
    auto main = []() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        started waiting(executor, with_timeout(1h, finish_anyway()));
        waiting.cancel();
        co_await common::sleep_for(500ms);
        CHECK(waiting.running());
        co_await common::sleep_for(1s);
        CHECK(waiting.finished());
    };
    tests::run(main);
}

TEST_CASE("with_timeout: of nested timeouts the one whose limit is reached reports it")
{
    auto main = []() -> awaitable<void> {
        bool inner_expired = false;
        bool inner_cancelled = false;
        auto nested = [&](common::duration limit) -> awaitable<void> {
            try {
                co_await with_timeout(limit, common::sleep_for(1h));
            } catch (const timeout_error&) {
                inner_expired = true;
                throw std::runtime_error("the inner one");
            } catch (const boost::system::system_error&) {
                inner_cancelled = true;
                throw;
            }
        };
        tests::check_equal(co_await times_out(1s, nested(2s)), true);
        CHECK_FALSE(std::exchange(inner_expired, false));
        CHECK(std::exchange(inner_cancelled, false));

        const auto executor = co_await asio::this_coro::executor;
        const started outer(executor, with_timeout(2s, nested(1s)));
        co_await common::sleep_for(3s);
        CHECK_FALSE(outer.failed_with<timeout_error>());
        CHECK(outer.failed_with<std::runtime_error>());
        CHECK(inner_expired);
        CHECK_FALSE(inner_cancelled);

        tests::check_equal(co_await times_out(1s, with_timeout(1s, common::sleep_for(1h))), true);
        tests::check_equal(co_await times_out(2s, with_timeout(1s, common::sleep_for(1h))), true);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: works around and inside gather and task groups")
{
    auto main = []() -> awaitable<void> {
        std::vector<awaitable<int>> slow;
        slow.push_back(answer_after(1s));
        slow.push_back(answer_after(3s));
        tests::check_equal(co_await times_out(2s, common::gather(std::move(slow))), true);

        std::vector<awaitable<int>> each;
        each.push_back(with_timeout(2s, answer_after(1s)));
        each.push_back(with_timeout(2s, answer_after(3s)));
        auto results = co_await common::gather_results(std::move(each));
        CHECK(results[0].value() == 42);
        REQUIRE(results[1].has_error());
        CHECK_THROWS_AS(std::rethrow_exception(results[1].error()), timeout_error);

        bool cleaned = false;
        auto body = [&](common::task_group& group) -> awaitable<void> {
            group.spawn(clean_up_slowly(cleaned));
            co_await common::sleep_for(1h);
        };
        tests::check_equal(co_await times_out(1s, common::with_task_group(body)), true);
        CHECK(cleaned);

        // In a group that another task brings down, the timeout is a cancelled task like others.
        auto failing = [&](common::task_group& group) -> awaitable<void> {
            group.spawn(fail_after(1s));
            co_await with_timeout(1h, common::sleep_for(1h));
        };
        try {
            co_await common::with_task_group(failing);
            FAIL("must throw");
        } catch (const common::exception_group& errors) {
            CHECK(errors.exceptions().size() == 1);
        }
    };
    tests::run(main);
}

TEST_CASE("with_timeout: waiting for a lock, it leaves the lock as it was")
{
    auto main = []() -> awaitable<void> {
        common::mutex lock;
        auto guard = co_await lock.lock();
        tests::check_equal(co_await times_out(1s, lock.lock()), true);
        guard.unlock();
        CHECK_FALSE(lock.locked());
        guard = co_await with_timeout(1s, lock.lock());
        CHECK(guard.owns_lock());
        guard.unlock();
        CHECK_FALSE(lock.locked());
    };
    tests::run(main);
}

TEST_CASE("with_timeout: leaves the caller's cancellation state as it found it")
{
    auto main = []() -> awaitable<void> {
        tests::check_equal(co_await times_out(1s, common::sleep_for(2s)), true);
        const auto state = co_await asio::this_coro::cancellation_state;
        CHECK(state.cancelled() == asio::cancellation_type::none);
        tests::check_equal(co_await asio::this_coro::throw_if_cancelled(), true);
        co_await common::sleep_for(1s);
    };
    tests::run(main);
}

TEST_CASE("with_timeout: terminal, partial and total cancellation reach the operation as terminal")
{
    const auto type = GENERATE(
        asio::cancellation_type::terminal, asio::cancellation_type::partial,
        asio::cancellation_type::total);
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        started waiting(executor, tests::hearing_all(with_timeout(1h, common::sleep_for(1h))));
        waiting.cancel(type);
        co_await tests::settle();
        CHECK(waiting.aborted());
    };
    tests::run(main);
}

TEST_CASE("with_timeout: works on the steady clock of a plain io_context")
{
    asio::io_context loop;
    const started slow(loop.get_executor(), with_timeout(10ms, common::sleep_for(1h)));
    const started fast(loop.get_executor(), with_timeout(1h, common::sleep_for(10ms)));
    loop.run();
    CHECK(slow.failed_with<timeout_error>());
    CHECK(fast.finished());
}

TEST_CASE("with_timeout: the event loop may be destroyed while it waits")
{
    asio::io_context loop;
    auto news = std::make_unique<common::event>();
    auto numbers = std::make_unique<common::queue<int>>();
    const started a(loop.get_executor(), with_timeout(1h, news->wait()));
    const started b(loop.get_executor(), with_timeout(1h, with_timeout(2h, numbers->get())));
    const started expired(loop.get_executor(), with_timeout(0s, news->wait()));
    loop.poll_one();
    news.reset();
}
