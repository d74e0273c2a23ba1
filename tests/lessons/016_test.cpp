#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/gather.hpp"
#include "common/run.hpp"
#include "common/timeout.hpp"
#include "lessons/016_task_list.hpp"
#include "lessons/016_told_task.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using common::clock_mode;
using namespace std::chrono_literals;

namespace {

const std::string lesson = "016_task_internals";

support::transcript said()
{
    return support::simulated_lesson(lesson).said();
}

std::vector<std::string> names(const std::vector<listed::task*>& tasks)
{
    std::vector<std::string> all;
    for (const auto* const each : tasks) {
        all.push_back(each->name);
    }
    return all;
}

// Takes `first` at once, and `second` 10 ms later.
awaitable<void> take_both(std::string name, listed::mutex& first, listed::mutex& second)
{
    listed::task me(name);
    const auto one = co_await first.lock(me);
    co_await common::sleep_for(10ms);
    const auto other = co_await second.lock(me);
}

awaitable<void> take_one(std::string name, listed::mutex& wanted)
{
    listed::task me(name);
    co_await common::sleep_for(10ms);
    const auto one = co_await wanted.lock(me);
}

// Runs `tasks` for 20 ms, asks for the circle, and gives up.
std::vector<std::string> circle_among(std::vector<awaitable<void>> tasks)
{
    std::vector<std::string> found;
    const auto look = [&]() -> awaitable<void> {
        co_await common::sleep_for(20ms);
        found = names(listed::find_circle());
        throw std::runtime_error("enough");
    };
    tasks.push_back(look());
    CHECK_THROWS_AS(
        common::run(common::gather(std::move(tasks)), clock_mode::virtual_time),
        std::runtime_error);
    return found;
}

told::task<int> fail(std::string)
{
    throw std::runtime_error("no water");
    co_return 0;
}

told::task<int> pass_on(std::string)
{
    co_return co_await fail("inner");
}

told::task<int> wait_for(std::string, told::bell& bell)
{
    co_await bell;
    co_return 1;
}

struct frames_before {
    int made = told::frames.made;
    int freed = told::frames.freed;
    std::size_t bytes = told::frames.bytes;
};

}  // namespace

TEST_CASE("016: the frame tells of its life in order, and holds what is kept across an await")
{
    const auto life = said().section("The life of a task");
    CHECK(
        life.events() == std::vector<std::string>{
                             "heap: gives 4 KiB and some bytes for a frame",
                             "brew: made",
                             "brew: suspended at its start",
                             "main: brew() has returned",
                             "brew: resumed",
                             "heap: gives 0 KiB and some bytes for a frame",
                             "grind: made",
                             "grind: suspended at its start",
                             "brew: suspended",
                             "grind: resumed",
                             "grind: suspended",
                             "main: start() has returned; rings the bell",
                             "grind: resumed",
                             "grind: suspended at its end",
                             "brew: resumed",
                             "grind: destroyed",
                             "heap: has them back",
                             "brew: has 20 g of coffee",
                             "brew: suspended at its end",
                             "main: ring() has returned; 200 ml of coffee",
                             "brew: destroyed",
                             "heap: has them back",
                             "main: frames: 2 made, 2 freed, 0 bytes left",
                         });
}

TEST_CASE("016: the list has every task, where it waits, and who has what it waits for")
{
    const auto found = said().section("A deadlock, found in the list");
    const auto listed_as = [&](const std::string& text) {
        return found.count_containing("list: " + text) == 1;
    };
    CHECK(found.count_containing("list: ") == 5);  // the sender has ended by then
    CHECK(listed_as("shop waits for three chairs, line "));
    CHECK(listed_as("  lister runs"));
    CHECK(found.count_containing("; the drill, which Bob has, line ") == 1);
    CHECK(found.count_containing("; the saw, which Ada has, line ") == 2);
    for (const std::string who : {"Ada", "Bob", "Cleo"}) {
        CHECK(listed_as("  " + who + " waits for the chair, line "));
    }
}

TEST_CASE("016: the circle is found, one of it gives way, and all three come to their end")
{
    const auto found = said().section("A deadlock, found in the list");
    CHECK(found.count_containing("circle: ") == 2);
    CHECK(found.has("circle: Ada waits for Bob"));
    CHECK(found.has("circle: Bob waits for Ada"));
    CHECK(found.before("circle: Bob waits for Ada", "Bob: gives way, and begins again"));
    CHECK(found.count_containing("gives way") == 1);
    for (const std::string who : {"Ada", "Bob", "Cleo"}) {
        CHECK(found.count(who + ": has both, and builds") == 1);
    }
    CHECK(found.before("Ada: has both, and builds", "Bob: has both, and builds"));
}

TEST_CASE("016: a task that nothing will resume is in the list until its loop is gone")
{
    const auto vain = said().section("A task that nothing will resume");
    CHECK(vain.has("main: run_for() has returned, and all work is done: false"));
    CHECK(vain.count_containing("list: apprentice waits for the bell, line ") == 1);
    CHECK(vain.count_containing("goes home") == 0);
    CHECK(vain.has("main: the loop is gone, and tasks in the list: 0"));
}

TEST_CASE("016 takes its time in real time")
{
    CHECK(support::real_time_deviation(lesson) == "");
}

TEST_CASE("016: a told task passes on what the one inside it throws, and both frames are freed")
{
    const frames_before before;
    {
        auto outer = pass_on("outer");
        outer.start();
        CHECK_THROWS_AS(outer.result(), std::runtime_error);
    }
    CHECK(told::frames.made == before.made + 2);
    CHECK(told::frames.freed == before.freed + 2);
    CHECK(told::frames.bytes == before.bytes);
}

TEST_CASE("016: a told task that is dropped while it is suspended gives its frame back")
{
    const frames_before before;
    told::bell bell;
    {
        auto first = wait_for("first", bell);
        auto second = std::move(first);
        second.start();
        CHECK(told::frames.bytes > before.bytes);
        CHECK_THROWS_AS(second.result(), std::bad_optional_access);
    }
    CHECK(told::frames.made == before.made + 1);
    CHECK(told::frames.freed == before.freed + 1);
    CHECK(told::frames.bytes == before.bytes);
}

TEST_CASE("016: a task leaves the list however it ends")
{
    const auto fails = []() -> awaitable<void> {
        listed::task me("fails");
        const auto nothing = []() -> awaitable<void> {
            co_await common::yield();
            throw std::runtime_error("no wood");
        };
        co_await listed::wait_for(me, "nothing", nothing());
    };
    const auto is_cancelled = []() -> awaitable<void> {
        listed::task me("is cancelled");
        co_await listed::wait_for(me, "an hour", common::sleep_for(1h));
    };
    const auto tries = [&]() -> awaitable<void> {
        listed::task me("tries");
        std::vector<awaitable<void>> both;
        both.push_back(fails());
        both.push_back(is_cancelled());
        const auto results = co_await common::gather_results(std::move(both));
        CHECK(results.at(0).has_error());
    };
    CHECK_THROWS_AS(
        common::run(common::with_timeout(1min, tries()), clock_mode::virtual_time),
        common::timeout_error);
    CHECK(listed::all_tasks.empty());

    common::event never;
    {
        asio::io_context loop;
        const auto waits = [&]() -> awaitable<void> {
            listed::task me("waits");
            co_await listed::wait_for(me, "nobody", never.wait());
        };
        asio::co_spawn(loop, waits, [](std::exception_ptr) {});
        loop.poll();
        CHECK(listed::all_tasks.size() == 1);
    }
    CHECK(listed::all_tasks.empty());
}

TEST_CASE("016: the list says where a task waits only while it does")
{
    const auto waits = []() -> awaitable<void> {
        listed::task me("Dora");
        const auto says = [&] { return listed::describe(me); };
        const auto inside = [&]() -> awaitable<void> {
            co_await listed::wait_for(me, "tea", common::sleep_for(1s));
            CHECK(says().starts_with("Dora waits for breakfast, line "));
            CHECK(says().find("tea") == std::string::npos);
        };
        const auto look = [&]() -> awaitable<void> {
            co_await common::sleep_for(500ms);
            CHECK(says().starts_with("Dora waits for breakfast, line "));
            CHECK(says().find("; tea, line ") != std::string::npos);
        };
        CHECK(says() == "Dora runs");
        const auto both = [&]() -> awaitable<void> {
            std::vector<awaitable<void>> each;
            each.push_back(inside());
            each.push_back(look());
            co_await common::gather(std::move(each));
        };
        co_await listed::wait_for(me, "breakfast", both());
        CHECK(says() == "Dora runs");
    };
    common::run(waits(), clock_mode::virtual_time);
}

TEST_CASE("016: the line that the list names is the line of the await")
{
    unsigned line = 0;
    const auto waits = [&]() -> awaitable<void> {
        listed::task me("Dora");
        line = __LINE__ + 1;
        co_await listed::wait_for(me, "tea", common::sleep_for(1s));
    };
    const auto look = [&]() -> awaitable<void> {
        co_await common::sleep_for(500ms);
        CHECK(listed::lines().at(0) == "Dora waits for tea, line " + std::to_string(line));
    };
    std::vector<awaitable<void>> both;
    both.push_back(waits());
    both.push_back(look());
    common::run(common::gather(std::move(both)), clock_mode::virtual_time);
}

TEST_CASE("016: tasks stand below the one that has started them, and go to its parent when it ends")
{
    listed::task main("main");
    std::optional<listed::task> shop(std::in_place, "shop", &main);
    listed::task other("other", &main);
    listed::task ada("Ada", &*shop);
    CHECK(
        listed::lines() ==
        std::vector<std::string>{"main runs", "  shop runs", "    Ada runs", "  other runs"});
    shop.reset();
    CHECK(listed::lines() == std::vector<std::string>{"main runs", "  other runs", "  Ada runs"});
}

TEST_CASE("016: a circle of three is found, without those who only wait for one of them")
{
    listed::mutex saw("saw");
    listed::mutex drill("drill");
    listed::mutex vice("vice");
    std::vector<awaitable<void>> tasks;
    tasks.push_back(take_one("Eve", saw));
    tasks.push_back(take_both("Ada", saw, drill));
    tasks.push_back(take_both("Bob", drill, vice));
    tasks.push_back(take_both("Cleo", vice, saw));
    CHECK(circle_among(std::move(tasks)) == std::vector<std::string>{"Ada", "Bob", "Cleo"});
    CHECK(listed::all_tasks.empty());
}

TEST_CASE("016: a chain of tasks that wait is no circle, if the last one of them does not wait")
{
    listed::mutex saw("saw");
    listed::mutex drill("drill");
    listed::mutex vice("vice");
    listed::mutex bench("bench");
    listed::task owner("owner");
    std::vector<awaitable<void>> tasks;
    const auto keep = [&]() -> awaitable<void> {
        const auto one = co_await bench.lock(owner);
        co_await common::sleep_for(1h);
    };
    tasks.push_back(keep());
    tasks.push_back(take_both("Ada", saw, drill));
    tasks.push_back(take_both("Bob", drill, vice));
    tasks.push_back(take_both("Cleo", vice, bench));
    CHECK(circle_among(std::move(tasks)).empty());
}

TEST_CASE("016: a listed mutex names its holder, and nobody when it is free again")
{
    const auto uses = []() -> awaitable<void> {
        listed::task me("Ada");
        listed::mutex saw("saw");
        {
            const auto held = co_await saw.lock(me);
            CHECK(saw.holder() == &me);
        }
        CHECK(saw.holder() == nullptr);
        const auto again = co_await saw.lock(me);
        CHECK(saw.holder() == &me);
    };
    common::run(uses(), clock_mode::virtual_time);
}
