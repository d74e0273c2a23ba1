#include "common/task_group.hpp"

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/run.hpp"
#include "tests/common/helpers.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace asio = boost::asio;
using asio::cancellation_type;
using common::clock_mode;
using common::exception_group;
using common::task_group;
using common::with_task_group;
using tests::awaitable;
using tests::side_task;
using tests::trace;
using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;

namespace {

// What the tasks of `group` threw, as messages.
trace messages_of(const exception_group& group)
{
    trace messages;
    for (const auto& exception : group.exceptions()) {
        messages.push_back(tests::message_of(exception));
    }
    return messages;
}

// The messages of the exception_group that `scope` throws.
awaitable<trace> messages_from(awaitable<void> scope)
{
    try {
        co_await std::move(scope);
    } catch (const exception_group& group) {
        co_return messages_of(group);
    }
    co_return trace{"no exception_group"};
}

awaitable<void> abort_after(common::duration pause)
{
    co_await common::sleep_for(pause);
    throw tests::abort_error();
}

awaitable<void> sleep_for_both(common::duration first, common::duration second)
{
    co_await (common::sleep_for(first) && common::sleep_for(second));
}

awaitable<void> throw_number()
{
    throw 42;
    co_return;
}

awaitable<void> nest(int depth, int& ended)
{
    if (depth == 0) {
        co_await common::sleep_for(1s);
    } else {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(nest(depth - 1, ended));
            co_return;
        });
    }
    ++ended;
}

// Spawns two of itself, so many generations deep.
awaitable<void> multiply(task_group& group, int generations, int& ended)
{
    co_await common::sleep_for(1s);
    if (generations > 0) {
        group.spawn(multiply(group, generations - 1, ended));
        group.spawn(multiply(group, generations - 1, ended));
    }
    ++ended;
}

}  // namespace

TEST_CASE("a task group ends when every task has")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(3s, notes, "late"));
            group.spawn(tests::note_after(1s, notes, "soon"));
            notes.emplace_back("body");
            co_return;
        });
        CHECK(common::elapsed() == 3s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"body", "soon", "late"});
}

TEST_CASE("a task group waits for its body, too")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(1s, notes, "task"));
            co_await tests::note_after(2s, notes, "body");
        });
        CHECK(common::elapsed() == 2s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"task", "body"});
}

TEST_CASE("a task group without tasks ends with its body")
{
    const auto main = []() -> awaitable<void> {
        co_await with_task_group([](task_group&) -> awaitable<void> { co_return; });
        CHECK(common::elapsed() == 0s);
    };
    tests::run_virtually(main());
}

TEST_CASE("a task runs at once to its first suspension")
{
    trace notes;
    const auto task = [&]() -> awaitable<void> {
        notes.emplace_back("task begins");
        co_await common::yield();
        notes.emplace_back("task ends");
    };
    const auto main = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(task());
            notes.emplace_back("spawned");
            co_return;
        });
        notes.emplace_back("all");
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"task begins", "spawned", "task ends", "all"});
}

TEST_CASE("a task may spawn siblings, also when the body has ended")
{
    int ended = 0;
    const auto main = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(multiply(group, 7, ended));
            co_return;
        });
        CHECK(ended == 255);
        CHECK(common::elapsed() == 8s);
    };
    tests::run_virtually(main());
}

TEST_CASE("a task that fails cancels its siblings and the body")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto scope = with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(24h, notes, "sibling"));
            group.spawn(tests::fail_after(1s, "broken"));
            co_await tests::note_after(24h, notes, "body");
        });
        const auto messages = co_await messages_from(std::move(scope));
        CHECK(messages == trace{"broken"});
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
    CHECK(notes.empty());
}

TEST_CASE("a body that fails cancels the tasks")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto scope = with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(24h, notes, "task"));
            co_await tests::fail_after(1s, "broken body");
        });
        const auto messages = co_await messages_from(std::move(scope));
        CHECK(messages == trace{"broken body"});
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
    CHECK(notes.empty());
}

TEST_CASE("a task group waits for tasks that take their time to clean up")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto scope = with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::sleep_and_clean_up(5s, notes, "slow"));
            group.spawn(tests::sleep_and_clean_up(2s, notes, "quick"));
            group.spawn(tests::fail_after(1s, "broken"));
            co_await tests::sleep_and_clean_up(3s, notes, "body");
        });
        const auto messages = co_await messages_from(std::move(scope));
        CHECK(messages == trace{"broken"});
        CHECK(common::elapsed() == 6s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"quick", "body", "slow"});
}

TEST_CASE("a second failure in a task group leaves those alone who clean up after the first")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto scope = with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::sleep_and_clean_up(5s, notes, "cleaned up"));
            group.spawn(tests::fail_when_cancelled("second"));
            co_await tests::fail_after(1s, "first");
        });
        const auto messages = co_await messages_from(std::move(scope));
        CHECK(messages == trace{"first", "second"});
        CHECK(common::elapsed() == 6s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"cleaned up"});
}

TEST_CASE("all failures come out in one exception_group, in the order in which they happened")
{
    const auto main = []() -> awaitable<void> {
        auto scope = with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(tests::fail_when_cancelled("second"));
            group.spawn(common::sleep_for(24h));
            group.spawn(tests::fail_after(1s, "first"));
            co_await tests::fail_when_cancelled("third");
        });
        try {
            co_await std::move(scope);
            FAIL("nothing was thrown");
        } catch (const exception_group& failed) {
            const auto messages = messages_of(failed);
            REQUIRE(messages.size() == 3);
            CHECK(messages.front() == "first");
            // The body was started before the tasks, and is cancelled before them.
            CHECK(messages == trace{"first", "third", "second"});
            CHECK(failed.what() == std::string("3 tasks failed: first; third; second"));
        }
    };
    tests::run_virtually(main());
}

TEST_CASE("exceptions keep their types in an exception_group")
{
    const auto main = []() -> awaitable<void> {
        auto scope = with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(throw_number());
            co_return;
        });
        try {
            co_await std::move(scope);
            FAIL("nothing was thrown");
        } catch (const exception_group& failed) {
            REQUIRE(failed.exceptions().size() == 1);
            CHECK_THROWS_AS(std::rethrow_exception(failed.exceptions().front()), int);
            CHECK(
                failed.what() ==
                std::string("1 task failed: an exception that is no std::exception"));
        }
    };
    tests::run_virtually(main());
}

TEST_CASE("an exception_group can be copied")
{
    const exception_group original({std::make_exception_ptr(std::runtime_error("broken"))});
    const exception_group copy = original;
    CHECK(messages_of(copy) == trace{"broken"});
    CHECK(copy.what() == std::string("1 task failed: broken"));
}

TEST_CASE("an exception_group throws its first exception as itself")
{
    const exception_group failed(
        {std::make_exception_ptr(std::invalid_argument("first")),
         std::make_exception_ptr(std::runtime_error("second"))});
    CHECK_THROWS_AS(failed.throw_first(), std::invalid_argument);
    CHECK_THROWS_WITH(failed.throw_first(), "first");
}

TEST_CASE("an operation_aborted that no cancellation caused is a failure")
{
    const auto main = []() -> awaitable<void> {
        auto scope = with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(common::sleep_for(24h));
            group.spawn(abort_after(1s));
            co_return;
        });
        const auto messages = co_await messages_from(std::move(scope));
        REQUIRE(messages.size() == 1);
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("the abort of both sides of && counts as an abort")
{
    const auto main = []() -> awaitable<void> {
        auto scope = with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(sleep_for_both(24h, 48h));
            group.spawn(tests::fail_after(1s, "broken"));
            co_return;
        });
        const auto messages = co_await messages_from(std::move(scope));
        CHECK(messages == trace{"broken"});

        co_await with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(sleep_for_both(24h, 48h));
            group.cancel();
            co_return;
        });
    };
    tests::run_virtually(main());
}

TEST_CASE("a failure of && is a failure")
{
    const auto fail_beside_sleep = []() -> awaitable<void> {
        co_await (tests::fail_after(1s, "broken") && common::sleep_for(24h));
    };
    const auto main = [&]() -> awaitable<void> {
        auto scope = with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(fail_beside_sleep());
            co_return;
        });
        CHECK_THROWS_AS(co_await std::move(scope), exception_group);
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("a task that fails before it suspends cancels the others")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto scope = with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(24h, notes, "sibling"));
            group.spawn(tests::fail_at_once("broken"));
            notes.emplace_back("body goes on to its next await");
            co_await tests::note_after(24h, notes, "body");
        });
        const auto messages = co_await messages_from(std::move(scope));
        CHECK(messages == trace{"broken"});
        CHECK(common::elapsed() == 0s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"body goes on to its next await"});
}

TEST_CASE("spawning into a group of which a task has failed throws logic_error")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto scope = with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::fail_at_once("broken"));
            CHECK_THROWS_AS(group.spawn(tests::note_after(0s, notes, "began")), std::logic_error);
            co_return;
        });
        const auto messages = co_await messages_from(std::move(scope));
        CHECK(messages == trace{"broken"});
    };
    tests::run_virtually(main());
    CHECK(notes.empty());
}

TEST_CASE("a task spawned into a cancelled group never begins")
{
    trace notes;
    const auto begin = [&]() -> awaitable<void> {
        notes.emplace_back("began");
        co_return;
    };
    const auto main = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.cancel();
            group.spawn(begin());
            co_return;
        });
    };
    tests::run_virtually(main());
    CHECK(notes.empty());
}

TEST_CASE("a task spawned after the caller was cancelled never begins")
{
    trace notes;
    const auto begin = [&]() -> awaitable<void> {
        notes.emplace_back("began");
        co_return;
    };
    const auto scope = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            co_await tests::sleep_and_clean_up(1s, notes, "cleaned up");
            group.spawn(begin());
        });
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, scope());
        co_await common::yield();
        task.cancel();
        co_await common::sleep_for(2s);
        CHECK(task.aborted());
        CHECK(task.ended_at() == 1s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"cleaned up"});
}

TEST_CASE("a task spawned from outside the event loop can be cancelled before it begins")
{
    asio::io_context context;
    trace notes;
    const auto begin = [&]() -> awaitable<void> {
        notes.emplace_back("began");
        co_return;
    };
    task_group* running = nullptr;
    const auto scope = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            running = &group;
            co_await common::sleep_for(24h);
        });
        notes.emplace_back("ended");
    };
    asio::co_spawn(context, scope(), asio::detached);
    context.poll();
    running->spawn(begin());
    running->cancel();
    context.run();
    CHECK(notes == trace{"ended"});
}

TEST_CASE("after cancel a task group ends normally")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(24h, notes, "task"));
            group.spawn(tests::sleep_and_clean_up(1s, notes, "cleaned up"));
            co_await common::sleep_for(1s);
            group.cancel();
            co_await tests::note_after(24h, notes, "body");
        });
        CHECK(common::elapsed() == 2s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"cleaned up"});
}

TEST_CASE("what a cancelled task throws instead of operation_aborted comes out")
{
    const auto main = []() -> awaitable<void> {
        auto scope = with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(tests::fail_when_cancelled("disturbed"));
            group.cancel();
            co_return;
        });
        const auto messages = co_await messages_from(std::move(scope));
        CHECK(messages == trace{"disturbed"});
    };
    tests::run_virtually(main());
}

TEST_CASE("a task may cancel its group before it suspends")
{
    trace notes;
    const auto cancel_group = [](task_group& group) -> awaitable<void> {
        group.cancel();
        co_return;
    };
    const auto cancel_and_sleep = [&](task_group& group) -> awaitable<void> {
        group.cancel();
        co_await tests::note_after(24h, notes, "task");
    };
    const auto cancel_and_fail = [](task_group& group) -> awaitable<void> {
        group.cancel();
        throw std::runtime_error("broken");
        co_return;
    };
    const auto main = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(24h, notes, "sibling"));
            group.spawn(cancel_group(group));
            co_await tests::note_after(24h, notes, "body");
        });
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(cancel_and_sleep(group));
            co_return;
        });
        auto failing = with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(cancel_and_fail(group));
            co_return;
        });
        const auto messages = co_await messages_from(std::move(failing));
        CHECK(messages == trace{"broken"});
        CHECK(common::elapsed() == 0s);
        notes.emplace_back("all");
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"all"});
}

TEST_CASE("a task may cancel its group's caller before it suspends")
{
    trace notes;
    std::optional<side_task> task;
    const auto cancel_caller = [&]() -> awaitable<void> {
        task->cancel();
        co_return;
    };
    const auto scope = [&]() -> awaitable<void> {
        co_await common::yield();  // until `task` is there to be cancelled
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(24h, notes, "sibling"));
            group.spawn(cancel_caller());
            co_return;
        });
    };
    const auto main = [&]() -> awaitable<void> {
        task.emplace(co_await asio::this_coro::executor, scope());
        co_await common::sleep_for(1s);
        CHECK(task->ended());
        CHECK(task->aborted());
        CHECK(task->ended_at() == 0s);
    };
    tests::run_virtually(main());
    CHECK(notes.empty());
}

TEST_CASE("cancelling the caller cancels the body and the tasks, and throws operation_aborted")
{
    trace notes;
    const auto scope = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(24h, notes, "task"));
            group.spawn(tests::sleep_and_clean_up(2s, notes, "cleaned up"));
            co_await tests::note_after(24h, notes, "body");
        });
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, scope());
        co_await common::sleep_for(1s);
        task.cancel();
        co_await common::sleep_for(10s);
        CHECK(task.aborted());
        CHECK(task.ended_at() == 3s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"cleaned up"});
}

TEST_CASE("every type of cancellation reaches the tasks as terminal")
{
    const auto type = tests::any_cancellation();
    const auto scope = []() -> awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(common::sleep_for(24h));
            co_return;
        });
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, scope());
        co_await common::sleep_for(1s);
        task.cancel(type);
        co_await common::sleep_for(1s);
        CHECK(task.aborted());
        CHECK(task.ended_at() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("the errors of the tasks outrank the cancellation of the caller")
{
    const auto scope = []() -> awaitable<void> {
        co_await with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(tests::fail_when_cancelled("disturbed"));
            co_await common::sleep_for(24h);
        });
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, scope());
        co_await common::sleep_for(1s);
        task.cancel();
        co_await common::sleep_for(1s);
        CHECK(tests::message_of(task.failure()) == "1 task failed: disturbed");
    };
    tests::run_virtually(main());
}

TEST_CASE("a caller cancelled while a failed group winds up gets the failure")
{
    trace notes;
    const auto scope = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::sleep_and_clean_up(2s, notes, "cleaned up"));
            co_await tests::fail_after(1s, "broken");
        });
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, scope());
        co_await common::sleep_for(2s);
        task.cancel();  // cuts the cleanup short: it is asked to stop once more
        co_await common::sleep_for(2s);
        CHECK(tests::message_of(task.failure()) == "1 task failed: broken");
        CHECK(task.ended_at() == 2s);
    };
    tests::run_virtually(main());
    CHECK(notes.empty());
}

TEST_CASE("a task group that is cancelled before it begins runs nothing")
{
    trace notes;
    const auto scope = [&]() -> awaitable<void> {
        co_await common::yield();
        co_await with_task_group([&](task_group&) -> awaitable<void> {
            notes.emplace_back("began");
            co_return;
        });
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, scope());
        task.cancel();
        co_await common::sleep_for(1s);
        CHECK(task.aborted());
    };
    tests::run_virtually(main());
    CHECK(notes.empty());
}

TEST_CASE("a task group leaves the caller's cancellation state as it found it")
{
    const auto main = []() -> awaitable<void> {
        co_await with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(common::sleep_for(24h));
            group.cancel();
            co_return;
        });
        auto failing = with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(tests::fail_at_once("broken"));
            co_return;
        });
        CHECK_THROWS_AS(co_await std::move(failing), exception_group);

        const auto state = co_await asio::this_coro::cancellation_state;
        CHECK(state.cancelled() == cancellation_type::none);
        CHECK(co_await asio::this_coro::throw_if_cancelled());
        co_await common::sleep_for(1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("after a task group the caller still hears the cancellations that it has asked for")
{
    const auto scope_then_sleep = []() -> awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await asio::this_coro::throw_if_cancelled(false);
        co_await with_task_group([](task_group& group) -> awaitable<void> {
            group.spawn(common::sleep_for(1s));
            co_return;
        });
        CHECK_FALSE(co_await asio::this_coro::throw_if_cancelled());
        co_await common::sleep_for(24h);
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, scope_then_sleep());
        co_await common::sleep_for(2s);
        task.cancel(cancellation_type::total);
        co_await common::sleep_for(1s);
        CHECK(task.aborted());
        CHECK(task.ended_at() == 2s);
    };
    tests::run_virtually(main());
}

TEST_CASE("a group inside a group fails as one task of the outer one")
{
    trace notes;
    const auto inner = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::note_after(24h, notes, "cousin"));
            group.spawn(tests::fail_after(1s, "broken"));
            co_return;
        });
    };
    const auto main = [&]() -> awaitable<void> {
        auto scope = with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(inner());
            group.spawn(tests::note_after(24h, notes, "sibling"));
            co_return;
        });
        try {
            co_await std::move(scope);
            FAIL("nothing was thrown");
        } catch (const exception_group& failed) {
            REQUIRE(failed.exceptions().size() == 1);
            CHECK_THROWS_AS(std::rethrow_exception(failed.exceptions().front()), exception_group);
            CHECK(failed.what() == std::string("1 task failed: 1 task failed: broken"));
            CHECK_THROWS_WITH(failed.throw_first(), "broken");
        }
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
    CHECK(notes.empty());
}

TEST_CASE("cancelling a group cancels the groups inside it, whose aborts are no failures")
{
    trace notes;
    const auto inner = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(tests::sleep_and_clean_up(1s, notes, "cleaned up"));
            co_await common::sleep_for(24h);
        });
        notes.emplace_back("went on");
    };
    const auto main = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(inner());
            co_await common::sleep_for(1s);
            group.cancel();
        });
        CHECK(common::elapsed() == 2s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"cleaned up"});
}

TEST_CASE("a task group works on a plain io_context and on a strand")
{
    asio::io_context context;
    trace notes;
    const auto note_at = [&](common::time_point due, std::string_view note) -> awaitable<void> {
        co_await common::sleep_until(due);
        notes.emplace_back(note);
    };
    const auto main = [&]() -> awaitable<void> {
        const auto start = common::now();  // one for both: a stall in between changes nothing
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(note_at(start + 320ms, "late"));
            group.spawn(note_at(start + 300ms, "soon"));
            co_return;
        });
        notes.emplace_back("all");
    };
    SECTION("plain")
    {
        asio::co_spawn(context, main(), asio::detached);
    }
    SECTION("strand")
    {
        asio::co_spawn(asio::make_strand(context), main(), asio::detached);
    }
    context.run();
    CHECK(notes == trace{"soon", "late", "all"});
}

TEST_CASE("a task group takes fifty thousand tasks")
{
    int ended = 0;
    const auto pause = GENERATE(0s, 1s);
    const auto task = [&]() -> awaitable<void> {
        if (pause > 0s) {
            co_await common::sleep_for(pause);
        }
        ++ended;
    };
    const auto main = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            for (int spawned = 0; spawned < 50'000; ++spawned) {
                group.spawn(task());
            }
            co_return;
        });
        CHECK(common::elapsed() == pause);
    };
    tests::run_virtually(main());
    CHECK(ended == 50'000);
}

TEST_CASE("a task group cancels fifty thousand tasks")
{
    const auto main = []() -> awaitable<void> {
        co_await with_task_group([](task_group& group) -> awaitable<void> {
            for (int spawned = 0; spawned < 50'000; ++spawned) {
                group.spawn(common::sleep_for(24h));
            }
            co_await common::sleep_for(1s);
            group.cancel();
        });
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("task groups nest deeply")
{
    int ended = 0;
    SECTION("and end")
    {
        tests::run_virtually(nest(300, ended));
    }
    SECTION("and are destroyed")
    {
        tests::abandon(nest(300, ended), clock_mode::virtual_time);
    }
    CHECK((ended == 301 || ended == 0));
}

TEST_CASE("an event loop destroyed with a task group destroys the tasks before their parent")
{
    trace notes;
    const auto task = [&](const tests::last_words&, std::string_view name) -> awaitable<void> {
        const tests::last_words words(notes, name);
        co_await common::sleep_for(24h);
    };
    const auto inner = [&](const tests::last_words& outer) -> awaitable<void> {
        const tests::last_words words(notes, "inner parent");
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(task(outer, "grandchild"));
            co_await common::sleep_for(24h);
        });
    };
    const auto main = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "parent");
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(inner(words));
            group.spawn(common::sleep_for(0s));
            co_await task(words, "body");
        });
    };
    SECTION("virtual")
    {
        tests::abandon(main(), clock_mode::virtual_time);
    }
    SECTION("steady")
    {
        tests::abandon(main(), clock_mode::steady);
    }
    SECTION("plain io_context")
    {
        tests::abandon(main());
    }

    REQUIRE(notes.size() == 4);
    CHECK(notes.back() == "parent");
    const auto place = [&](std::string_view name) {
        return std::find(notes.begin(), notes.end(), name) - notes.begin();
    };
    CHECK(place("grandchild") < place("inner parent"));
    CHECK(place("body") < place("parent"));
}

TEST_CASE("an event loop can be destroyed while a cancelled task group winds up")
{
    const auto mode = tests::any_mode();
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "parent");
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            const tests::last_words body_words(notes, "body");
            group.spawn(tests::sleep_and_clean_up(24h, notes, "cleaned up"));
            group.cancel();
            co_return;
        });
    };
    tests::abandon(main(), mode);
    CHECK(notes == trace{"body", "parent"});
}

TEST_CASE("a cancellation signal may die before the event loop of the task group bound to it")
{
    const auto mode = tests::any_mode();
    trace notes;
    const auto task = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "task");
        co_await common::sleep_for(24h);
    };
    const auto scope = [&]() -> awaitable<void> {
        co_await with_task_group([&](task_group& group) -> awaitable<void> {
            group.spawn(task());
            co_return;
        });
    };
    const auto main = [&]() -> awaitable<void> {
        side_task group(co_await asio::this_coro::executor, scope());
        co_await common::yield();
        throw tests::given_up();  // takes the signal along
    };
    CHECK_THROWS_AS(common::run(main(), mode), tests::given_up);
    CHECK(notes == trace{"task"});
}
