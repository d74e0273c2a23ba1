#include "common/gather.hpp"

#include "common/clock.hpp"
#include "common/run.hpp"
#include "tests/common/helpers.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace asio = boost::asio;
using asio::cancellation_type;
using common::clock_mode;
using tests::awaitable;
using tests::side_task;
using tests::trace;
using namespace std::chrono_literals;

namespace {

struct no_default {
    explicit no_default(int number) : value(number) {}
    int value;
};

template <class T>
awaitable<T> make_after(common::duration pause, int value)
{
    co_await common::sleep_for(pause);
    co_return T(value);
}

awaitable<std::unique_ptr<int>> make_unique_after(common::duration pause, int value)
{
    co_await common::sleep_for(pause);
    co_return std::make_unique<int>(value);
}

awaitable<bool> is_even_after(common::duration pause, int value)
{
    co_await common::sleep_for(pause);
    co_return value % 2 == 0;
}

awaitable<int> value_at_once(int value)
{
    co_return value;
}

awaitable<int> value_that_fails(common::duration pause, std::string_view message)
{
    co_await tests::fail_after(pause, message);
    co_return 0;
}

// Asked to stop, finishes nonetheless.
awaitable<int> value_despite_cancellation(int value)
{
    try {
        co_await common::sleep_for(24h);
    } catch (const boost::system::system_error&) {
    }
    co_return value;
}

template <class T>
awaitable<void> gather_and_drop(std::vector<awaitable<T>> children)
{
    co_await common::gather(std::move(children));
}

awaitable<int> nested_sum(int depth)
{
    if (depth == 0) {
        co_await common::sleep_for(1s);
        co_return 1;
    }
    std::vector<awaitable<int>> children;
    children.push_back(nested_sum(depth - 1));
    const auto values = co_await common::gather(std::move(children));
    co_return values.front() + 1;
}

// Vectors of awaitables cannot be made from a braced list: they are not copied.
template <class T, class... More>
std::vector<awaitable<T>> children_of(awaitable<T> first, More... more)
{
    std::vector<awaitable<T>> children;
    children.push_back(std::move(first));
    (children.push_back(std::move(more)), ...);
    return children;
}

}  // namespace

TEST_CASE("gather gives results in the order asked, however the children finish")
{
    const auto main = []() -> awaitable<void> {
        auto children = children_of(
            tests::value_after(3s, 1), tests::value_after(1s, 2), value_at_once(3),
            tests::value_after(2s, 4));
        const auto values = co_await common::gather(std::move(children));
        CHECK(values == std::vector<int>{1, 2, 3, 4});
        CHECK(common::elapsed() == 3s);
    };
    tests::run_virtually(main());
}

TEST_CASE("gather starts its children in order, before any of them goes on")
{
    trace notes;
    const auto child = [&](std::string_view first, std::string_view second) -> awaitable<void> {
        notes.emplace_back(first);
        co_await common::yield();
        notes.emplace_back(second);
    };
    const auto main = [&]() -> awaitable<void> {
        auto children = children_of(child("a1", "a2"), child("b1", "b2"), child("c1", "c2"));
        co_await common::gather(std::move(children));
        notes.emplace_back("all");
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"a1", "b1", "c1", "a2", "b2", "c2", "all"});
}

TEST_CASE("gather of nothing finishes")
{
    const auto main = []() -> awaitable<void> {
        const auto values = co_await common::gather(std::vector<awaitable<int>>());
        CHECK(values.empty());
        co_await common::gather(std::vector<awaitable<void>>());
        const auto results = co_await common::gather_results(std::vector<awaitable<int>>());
        CHECK(results.empty());
        const auto outcomes = co_await common::gather_results(std::vector<awaitable<void>>());
        CHECK(outcomes.empty());
        CHECK(common::elapsed() == 0s);
    };
    tests::run_virtually(main());
}

TEST_CASE("gather takes results without a default constructor")
{
    const auto main = []() -> awaitable<void> {
        auto children = children_of(make_after<no_default>(2s, 1), make_after<no_default>(1s, 2));
        const auto values = co_await common::gather(std::move(children));
        CHECK(values.at(0).value == 1);
        CHECK(values.at(1).value == 2);
    };
    tests::run_virtually(main());
}

TEST_CASE("gather takes results that only move")
{
    const auto main = []() -> awaitable<void> {
        auto children = children_of(make_unique_after(2s, 1), make_unique_after(1s, 2));
        const auto values = co_await common::gather(std::move(children));
        CHECK(*values.at(0) == 1);
        CHECK(*values.at(1) == 2);

        auto others = children_of(make_unique_after(2s, 3), make_unique_after(1s, 4));
        const auto results = co_await common::gather_results(std::move(others));
        CHECK(*results.at(0).value() == 3);
        CHECK(*results.at(1).value() == 4);
    };
    tests::run_virtually(main());
}

TEST_CASE("gather takes results of type bool")
{
    const auto main = []() -> awaitable<void> {
        auto children =
            children_of(is_even_after(2s, 2), is_even_after(1s, 3), is_even_after(0s, 4));
        const auto values = co_await common::gather(std::move(children));
        CHECK(values == std::vector<bool>{true, false, true});
    };
    tests::run_virtually(main());
}

TEST_CASE("gather of coroutines without a result waits for all of them")
{
    static_assert(
        std::is_same_v<decltype(common::gather(std::vector<awaitable<void>>())), awaitable<void>>);
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto children =
            children_of(tests::note_after(2s, notes, "late"), tests::note_after(1s, notes, "soon"));
        co_await common::gather(std::move(children));
        CHECK(common::elapsed() == 2s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"soon", "late"});
}

TEST_CASE("the first failure comes out of gather as itself, and cancels the rest")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto children = children_of(
            tests::note_after(24h, notes, "finished"), tests::fail_after(2s, "second"),
            tests::fail_after(1s, "first"), tests::note_after(24h, notes, "finished"));
        auto all = common::gather(std::move(children));
        try {
            co_await std::move(all);
            FAIL("nothing was thrown");
        } catch (const std::runtime_error& error) {
            CHECK(error.what() == std::string("first"));
        }
        CHECK(common::elapsed() == 1s);
        CHECK(notes.empty());
    };
    tests::run_virtually(main());
}

TEST_CASE("gather waits for the children that a failure has cancelled")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto children = children_of(
            tests::sleep_and_clean_up(5s, notes, "slow"), tests::fail_after(1s, "first"),
            tests::sleep_and_clean_up(2s, notes, "quick"));
        auto all = common::gather(std::move(children));
        CHECK_THROWS_AS(co_await std::move(all), std::runtime_error);
        CHECK(common::elapsed() == 6s);
        CHECK(notes == trace{"quick", "slow"});
    };
    tests::run_virtually(main());
}

TEST_CASE("a second failure in gather leaves those alone who clean up after the first")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        auto children = children_of(
            tests::sleep_and_clean_up(5s, notes, "cleaned up"),
            tests::fail_when_cancelled("second"), tests::fail_after(1s, "first"));
        auto all = common::gather(std::move(children));
        CHECK_THROWS_AS(co_await std::move(all), std::runtime_error);
        CHECK(common::elapsed() == 6s);
        CHECK(notes == trace{"cleaned up"});
    };
    tests::run_virtually(main());
}

TEST_CASE("a failure after the first changes nothing")
{
    const auto main = [&]() -> awaitable<void> {
        auto children =
            children_of(tests::fail_when_cancelled("second"), tests::fail_after(1s, "first"));
        auto all = common::gather(std::move(children));
        try {
            co_await std::move(all);
            FAIL("nothing was thrown");
        } catch (const std::runtime_error& error) {
            CHECK(error.what() == std::string("first"));
        }
    };
    tests::run_virtually(main());
}

TEST_CASE("a child of gather that fails before it suspends keeps those after it from beginning")
{
    trace notes;
    const auto begin = [&](std::string_view name) -> awaitable<void> {
        notes.emplace_back(name);
        co_await common::sleep_for(24h);
        notes.emplace_back("finished");
    };
    const auto main = [&]() -> awaitable<void> {
        auto children = children_of(begin("before"), tests::fail_at_once("broken"), begin("after"));
        auto all = common::gather(std::move(children));
        CHECK_THROWS_AS(co_await std::move(all), std::runtime_error);
        CHECK(common::elapsed() == 0s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"before"});
}

TEST_CASE("an operation_aborted that no cancellation caused is a failure like others")
{
    const auto abort = []() -> awaitable<void> {
        co_await common::sleep_for(1s);
        throw tests::abort_error();
    };
    const auto main = [&]() -> awaitable<void> {
        auto children = children_of(common::sleep_for(24h), abort());
        auto all = common::gather(std::move(children));
        CHECK_THROWS_AS(co_await std::move(all), boost::system::system_error);
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE(
    "cancelling gather cancels its children, and throws operation_aborted when all have ended")
{
    trace notes;
    const auto main = [&]() -> awaitable<void> {
        side_task task(
            co_await asio::this_coro::executor,
            gather_and_drop(children_of(
                tests::sleep_and_clean_up(2s, notes, "cleaned up"),
                tests::note_after(24h, notes, "slept"), common::sleep_for(24h))));
        co_await common::sleep_for(1s);
        task.cancel();
        co_await common::sleep_for(10s);
        CHECK(task.aborted());
        CHECK(task.ended_at() == 3s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"cleaned up"});
}

TEST_CASE("every type of cancellation reaches gather's children as terminal")
{
    const auto type = tests::any_cancellation();
    const auto gather_cancellable = []() -> awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await common::gather(children_of(common::sleep_for(24h), common::sleep_for(48h)));
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, gather_cancellable());
        co_await common::sleep_for(1s);
        task.cancel(type);
        co_await common::sleep_for(1s);
        CHECK(task.aborted());
        CHECK(task.ended_at() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("what a child throws when gather is cancelled outranks operation_aborted")
{
    const auto main = [&]() -> awaitable<void> {
        side_task task(
            co_await asio::this_coro::executor,
            gather_and_drop(
                children_of(common::sleep_for(24h), tests::fail_when_cancelled("disturbed"))));
        co_await common::sleep_for(1s);
        task.cancel();
        co_await common::sleep_for(1s);
        CHECK(tests::message_of(task.failure()) == "disturbed");
    };
    tests::run_virtually(main());
}

TEST_CASE("a cancelled gather whose children all finish gives their results")
{
    std::vector<int> values;
    const auto gather_values = [&]() -> awaitable<void> {
        auto children = children_of(value_despite_cancellation(1), value_despite_cancellation(2));
        values = co_await common::gather(std::move(children));
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, gather_values());
        co_await common::sleep_for(1s);
        task.cancel();
        co_await common::sleep_for(1s);
        CHECK_FALSE(task.failure());
    };
    tests::run_virtually(main());
    CHECK(values == std::vector<int>{1, 2});
}

TEST_CASE("a cancelled gather of which one child was aborted throws")
{
    const auto gather_values = []() -> awaitable<void> {
        co_await common::gather(
            children_of(value_despite_cancellation(1), tests::value_after(24h, 2)));
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, gather_values());
        co_await common::sleep_for(1s);
        task.cancel();
        co_await common::sleep_for(1s);
        CHECK(task.aborted());
    };
    tests::run_virtually(main());
}

TEST_CASE("a gather that is cancelled before it begins starts no child")
{
    trace notes;
    const auto gather_late = [&]() -> awaitable<void> {
        co_await common::yield();
        co_await common::gather(children_of(tests::note_after(0s, notes, "began")));
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, gather_late());
        task.cancel();
        co_await common::sleep_for(1s);
        CHECK(task.aborted());
    };
    tests::run_virtually(main());
    CHECK(notes.empty());
}

TEST_CASE("a child of gather may cancel its parent before it suspends")
{
    trace notes;
    std::optional<side_task> task;
    const auto cancel_parent = [&]() -> awaitable<int> {
        task->cancel();
        co_return 1;
    };
    const auto cancel_and_fail = [&]() -> awaitable<int> {
        task->cancel();
        throw std::runtime_error("broken");
        co_return 1;
    };
    const auto other = [&]() -> awaitable<int> {
        co_await tests::note_after(1s, notes, "finished");
        co_return 2;
    };
    std::vector<int> values;
    const auto gather_all = [&](std::vector<awaitable<int>> children) -> awaitable<void> {
        co_await common::yield();  // until `task` is there to be cancelled
        values = co_await common::gather(std::move(children));
    };
    const auto run_as_task = [&](std::vector<awaitable<int>> children) -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        task.emplace(executor, gather_all(std::move(children)));
        co_await common::sleep_for(24h);
        CHECK(task->ended());
        CHECK(task->ended_at() == 0s);
    };

    SECTION("others are cancelled, or never begin")
    {
        tests::run_virtually(run_as_task(children_of(other(), cancel_parent(), other())));
        CHECK(task->aborted());
        CHECK(notes.empty());
    }
    SECTION("alone")
    {
        tests::run_virtually(run_as_task(children_of(cancel_parent())));
        CHECK_FALSE(task->failure());
        CHECK(values == std::vector<int>{1});
    }
    SECTION("and fail")
    {
        tests::run_virtually(run_as_task(children_of(other(), cancel_and_fail(), other())));
        CHECK(tests::message_of(task->failure()) == "broken");
    }
}

TEST_CASE("children of gather that an executor has only queued can be cancelled")
{
    // On this executor co_spawn starts nothing at once.
    asio::io_context context;
    const auto executor = asio::require(context.get_executor(), asio::execution::blocking.never);
    trace notes;
    const auto begin = [&]() -> awaitable<void> {
        notes.emplace_back("began");
        co_return;
    };
    const auto gather_both = [&]() -> awaitable<void> {
        notes.emplace_back("gathers");
        co_await common::gather(children_of(begin(), begin()));
    };
    const auto gather_results_of_both = [&]() -> awaitable<void> {
        notes.emplace_back("gathers");
        co_await common::gather_results(children_of(begin(), begin()));
    };
    side_task first(executor, gather_both());
    side_task second(executor, gather_results_of_both());
    while (notes.size() < 2) {
        context.run_one();
    }
    first.cancel();
    second.cancel();
    context.run();
    CHECK(first.aborted());
    CHECK(second.aborted());
    CHECK(notes == trace{"gathers", "gathers"});
}

TEST_CASE("gather leaves the caller's cancellation state as it found it")
{
    const auto main = []() -> awaitable<void> {
        auto failing =
            common::gather(children_of(common::sleep_for(24h), tests::fail_after(1s, "broken")));
        CHECK_THROWS_AS(co_await std::move(failing), std::runtime_error);
        const auto state = co_await asio::this_coro::cancellation_state;
        CHECK(state.cancelled() == cancellation_type::none);
        CHECK(co_await asio::this_coro::throw_if_cancelled());
        co_await common::sleep_for(1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("after gather the caller still hears the cancellations that it has asked for")
{
    const auto gather_then_sleep = []() -> awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await asio::this_coro::throw_if_cancelled(false);
        co_await common::gather(children_of(common::sleep_for(1s)));
        CHECK_FALSE(co_await asio::this_coro::throw_if_cancelled());
        co_await common::sleep_for(24h);
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, gather_then_sleep());
        co_await common::sleep_for(2s);
        task.cancel(cancellation_type::total);
        co_await common::sleep_for(1s);
        CHECK(task.aborted());
        CHECK(task.ended_at() == 2s);
    };
    tests::run_virtually(main());
}

TEST_CASE("gather_results has each child's result or exception in its place")
{
    const auto main = []() -> awaitable<void> {
        auto children = children_of(
            tests::value_after(3s, 1), value_that_fails(1s, "broken"), value_at_once(3),
            value_that_fails(2s, "also broken"));
        const auto results = co_await common::gather_results(std::move(children));
        CHECK(common::elapsed() == 3s);
        REQUIRE(results.size() == 4);
        CHECK(results[0].value() == 1);
        CHECK(tests::message_of(results[1].error()) == "broken");
        CHECK(results[2].value() == 3);
        CHECK(tests::message_of(results[3].error()) == "also broken");
    };
    tests::run_virtually(main());
}

TEST_CASE("gather_results of coroutines without a result tells which have failed")
{
    const auto main = []() -> awaitable<void> {
        auto children = children_of(tests::fail_at_once("broken"), common::sleep_for(1s));
        const auto results = co_await common::gather_results(std::move(children));
        REQUIRE(results.size() == 2);
        CHECK(tests::message_of(results[0].error()) == "broken");
        CHECK(results[1].has_value());
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("cancelling gather_results throws operation_aborted once all have ended")
{
    trace notes;
    const auto gather_all = [&]() -> awaitable<void> {
        co_await common::gather_results(children_of(
            tests::sleep_and_clean_up(2s, notes, "cleaned up"), tests::fail_at_once("broken"),
            common::sleep_for(24h)));
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, gather_all());
        co_await common::sleep_for(1s);
        task.cancel();
        co_await common::sleep_for(10s);
        CHECK(task.aborted());
        CHECK(task.ended_at() == 3s);
    };
    tests::run_virtually(main());
    CHECK(notes == trace{"cleaned up"});
}

TEST_CASE("gather works on a plain io_context and on a strand")
{
    asio::io_context context;
    std::vector<int> values;
    const auto main = [&]() -> awaitable<void> {
        auto children = children_of(tests::value_after(4ms, 1), tests::value_after(2ms, 2));
        values = co_await common::gather(std::move(children));
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
    CHECK(values == std::vector<int>{1, 2});
}

TEST_CASE("gather takes fifty thousand children")
{
    constexpr int count = 50'000;
    const auto pause = GENERATE(0s, 1s);
    const auto main = [&]() -> awaitable<void> {
        std::vector<awaitable<int>> children;
        for (int child = 0; child < count; ++child) {
            children.push_back(
                pause == 0s ? value_at_once(child) : tests::value_after(pause, child));
        }
        const auto values = co_await common::gather(std::move(children));
        REQUIRE(values.size() == count);
        for (int child = 0; child < count; ++child) {
            REQUIRE(values[static_cast<std::size_t>(child)] == child);
        }
    };
    tests::run_virtually(main());
}

TEST_CASE("gather cancels fifty thousand children")
{
    const auto main = []() -> awaitable<void> {
        std::vector<awaitable<void>> children;
        for (int child = 0; child < 50'000; ++child) {
            children.push_back(common::sleep_for(24h));
        }
        children.push_back(tests::fail_after(1s, "broken"));
        auto all = common::gather(std::move(children));
        CHECK_THROWS_AS(co_await std::move(all), std::runtime_error);
        CHECK(common::elapsed() == 1s);
    };
    tests::run_virtually(main());
}

TEST_CASE("gathers nest deeply")
{
    CHECK(tests::run_virtually(nested_sum(300)) == 301);
}

TEST_CASE("cancellation goes down through nested gathers")
{
    const auto sum = []() -> awaitable<void> { co_await nested_sum(300); };
    const auto main = [&]() -> awaitable<void> {
        side_task task(co_await asio::this_coro::executor, sum());
        co_await common::sleep_for(500ms);
        task.cancel();
        co_await common::sleep_for(1ms);
        CHECK(task.aborted());
    };
    tests::run_virtually(main());
}

TEST_CASE("an event loop destroyed with a gather destroys the children before the parent")
{
    trace notes;
    const auto child = [&](const tests::last_words&, std::string_view name) -> awaitable<void> {
        const tests::last_words words(notes, name);
        co_await common::sleep_for(24h);
    };
    const auto parent = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "parent");
        co_await common::gather(
            children_of(child(words, "child"), common::sleep_for(0s), child(words, "child")));
    };
    const auto main = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "main");
        co_await common::gather_results(children_of(parent()));
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
    CHECK(notes == trace{"child", "child", "parent", "main"});
}

TEST_CASE("a cancellation signal may die before the event loop of the gather bound to it")
{
    const auto mode = tests::any_mode();
    trace notes;
    const auto child = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "child");
        co_await common::sleep_for(24h);
    };
    const auto main = [&]() -> awaitable<void> {
        side_task task(
            co_await asio::this_coro::executor, gather_and_drop(children_of(child(), child())));
        co_await common::yield();
        throw tests::given_up();  // takes the signal along
    };
    CHECK_THROWS_AS(common::run(main(), mode), tests::given_up);
    CHECK(notes == trace{"child", "child"});
}

TEST_CASE("an event loop can be destroyed between the end of the children and their parent's turn")
{
    trace notes;
    const auto parent = [&]() -> awaitable<void> {
        const tests::last_words words(notes, "parent");
        co_await common::gather(children_of(value_at_once(1), value_at_once(2)));
        notes.emplace_back("went on");
    };
    // Turn by turn, as far as the gather gets without being finished.
    const auto turns = GENERATE(1, 2, 3);
    {
        asio::io_context context;
        asio::co_spawn(context, parent(), asio::detached);
        for (int turn = 0; turn < turns; ++turn) {
            context.run_one();
        }
    }
    CHECK(notes == trace{"parent"});
}
