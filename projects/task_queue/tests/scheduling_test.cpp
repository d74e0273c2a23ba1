// The queue in memory and a worker, on virtual time: what runs when, to the millisecond.

#include "common/run.hpp"
#include "common/task_group.hpp"
#include "task_queue/backoff.hpp"
#include "task_queue/local_queue.hpp"
#include "task_queue/tests/helpers.hpp"
#include "task_queue/worker.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace asio = boost::asio;
using asio::awaitable;
using namespace std::chrono_literals;
using namespace task_queue;
using task_queue::tests::builtin_job;

namespace {

wall_time virtual_clock()
{
    return wall_time(std::chrono::duration_cast<milliseconds>(common::now().time_since_epoch()));
}

std::string stamped(const std::string& text)
{
    return fmt::format("{} {}", virtual_clock().time_since_epoch().count(), text);
}

// A queue and a worker, and what the worker's jobs did and when: "120 name" is a try that started
// at 120 ms; "x" behind the name says that it was cancelled.
struct workshop {
    explicit workshop(std::size_t at_once = 1)
    {
        options.at_once = at_once;
        options.until_empty = true;
        options.seed = 30'000;
    }

    // A job takes 100 ms, unless it is told otherwise.
    awaitable<void> work(const delivery& taken)
    {
        events.push_back(stamped(taken.what.id));
        try {
            co_await common::sleep_for(takes);
        } catch (const boost::system::system_error&) {
            events.push_back(stamped(taken.what.id + " x"));
            throw;
        }
        if (taken.tries <= failures) {
            throw job_failed("no luck");
        }
    }

    // Runs the worker until the queue is empty, or `stop` is set.
    void run(std::vector<job> jobs, std::function<awaitable<void>()> beside = {})
    {
        const auto main = [&]() -> awaitable<void> {
            co_await queue.submit(std::move(jobs), task_queue::tell_nobody);
            worker at_work(queue, [this](const delivery& taken) { return work(taken); }, options);
            co_await common::with_task_group([&](common::task_group& all) -> awaitable<void> {
                all.spawn(at_work.run(stop));
                if (beside) {
                    co_await beside();
                }
            });
            counts = at_work.ended();
            events.push_back(stamped("end"));
        };
        common::run(main(), common::clock_mode::virtual_time);
    }

    local_queue queue{virtual_clock};
    worker_options options;
    common::event stop;
    common::duration takes = 100ms;
    int failures = 0;
    worker::counts counts;
    std::vector<std::string> events;
};

job named(const std::string& id)
{
    return builtin_job(id, {"sleep", "0"});
}

job urgent(const std::string& id, priority urgency)
{
    auto made = named(id);
    made.urgency = urgency;
    return made;
}

job delayed(const std::string& id, milliseconds delay)
{
    auto made = named(id);
    made.delay = delay;
    return made;
}

using events = std::vector<std::string>;

}  // namespace

TEST_CASE("jobs run by priority, and those of one priority in the order in which they came")
{
    workshop shop;
    shop.run(
        {urgent("l1", priority::low), urgent("n1", priority::normal), urgent("h1", priority::high),
         urgent("n2", priority::normal), urgent("h2", priority::high)});
    CHECK(shop.events == events{"0 h1", "100 h2", "200 n1", "300 n2", "400 l1", "500 end"});
}

TEST_CASE("an urgent job that comes later overtakes those that wait, and none that runs")
{
    workshop shop;
    shop.run({named("n1"), named("n2")}, [&]() -> awaitable<void> {
        co_await common::sleep_for(50ms);
        std::vector<job> more;
        more.push_back(urgent("h", priority::high));
        co_await shop.queue.submit(std::move(more), task_queue::tell_nobody);
    });
    CHECK(shop.events == events{"0 n1", "100 h", "200 n2", "300 end"});
}

TEST_CASE("as many run at once as the options say")
{
    workshop shop(3);
    shop.run({named("a"), named("b"), named("c"), named("d"), named("e")});
    CHECK(shop.events == events{"0 a", "0 b", "0 c", "100 d", "100 e", "200 end"});
}

TEST_CASE("a delayed job starts when it is due, and wakes a worker that has nothing to do")
{
    workshop shop;
    shop.options.until_empty = false;  // its polling would wake it, too
    shop.run({delayed("late", 1234ms), delayed("later", 2000ms)}, [&]() -> awaitable<void> {
        co_await common::sleep_for(2500ms);
        shop.stop.set();
    });
    CHECK(shop.events == events{"1234 late", "2000 later", "2500 end"});
}

TEST_CASE("a job that is due earlier than what the worker sleeps for is not overslept")
{
    workshop shop;
    shop.options.until_empty = false;
    shop.run({delayed("later", 3000ms)}, [&]() -> awaitable<void> {
        co_await common::sleep_for(500ms);
        std::vector<job> more;
        more.push_back(delayed("sooner", 250ms));
        co_await shop.queue.submit(std::move(more), task_queue::tell_nobody);
        co_await common::sleep_for(3000ms);
        shop.stop.set();
    });
    CHECK(shop.events == events{"750 sooner", "3000 later", "3500 end"});
}

TEST_CASE("a job that fails is tried again after pauses that double, half of each left to chance")
{
    workshop shop;
    shop.failures = 4;
    auto flaky = named("j");
    flaky.backoff = 1000ms;
    flaky.longest_backoff = 3000ms;
    shop.run({flaky});

    // The same engine says when it has to run.
    std::minstd_rand chance(shop.options.seed);
    events expected;
    milliseconds start{0};
    for (int failures = 1; failures <= 5; ++failures) {
        expected.push_back(fmt::format("{} j", start.count()));
        if (failures < 5) {
            const auto pause = backoff_pause(failures, 1000ms, 3000ms, chance);
            const milliseconds limit(failures == 1 ? 1000 : failures == 2 ? 2000 : 3000);
            CHECK(pause >= limit / 2);
            CHECK(pause <= limit);
            start += 100ms + pause;
        }
    }
    REQUIRE(shop.events.size() == 6);
    shop.events.pop_back();
    CHECK(shop.events == expected);
    CHECK(shop.counts.failed == 4);
    CHECK(shop.counts.done == 1);
}

TEST_CASE("the pauses after failures: their limits, and that chance moves them")
{
    CHECK(backoff_limit(1, 1s, 5min) == 1s);
    CHECK(backoff_limit(2, 1s, 5min) == 2s);
    CHECK(backoff_limit(9, 1s, 5min) == 256s);
    CHECK(backoff_limit(10, 1s, 5min) == 5min);
    CHECK(backoff_limit(1'000'000, 1s, 5min) == 5min);
    CHECK(backoff_limit(1, 10min, 5min) == 5min);
    CHECK(backoff_limit(1'000'000'000, 0s, 5min) == 0s);

    std::minstd_rand chance(1);
    auto least = 1000ms;
    auto most = 0ms;
    for (int i = 0; i < 1000; ++i) {
        const auto pause = backoff_pause(1, 1000ms, 5min, chance);
        least = std::min(least, pause);
        most = std::max(most, pause);
    }
    CHECK(least >= 500ms);
    CHECK(least < 510ms);
    CHECK(most > 990ms);
    CHECK(most <= 1000ms);
}

TEST_CASE(
    "after its last try a job is a dead letter, with the reason; requeued, it has all its tries")
{
    workshop shop;
    shop.failures = 99;
    auto hopeless = named("j");
    hopeless.max_tries = 3;
    shop.run({hopeless});
    CHECK(shop.counts.failed == 3);
    REQUIRE(shop.queue.jobs().dead() == 1);
    const auto* letter = shop.queue.jobs().find("j");
    CHECK(letter->error == "no luck");
    CHECK(letter->tries == 3);

    shop.failures = 0;
    const auto requeue = [&]() -> awaitable<void> {
        const bool is_there = co_await task_queue::tests::requeue(shop.queue, "j");
        const bool is_there_twice = co_await task_queue::tests::requeue(shop.queue, "j");
        CHECK(is_there);
        CHECK_FALSE(is_there_twice);
    };
    common::run(requeue(), common::clock_mode::virtual_time);
    shop.run({});
    CHECK(shop.queue.jobs().size() == 0);
    CHECK(shop.queue.jobs().done() == 1);
}

TEST_CASE("a dead letter that is forgotten is gone")
{
    workshop shop;
    shop.failures = 99;
    auto hopeless = named("j");
    hopeless.max_tries = 1;
    shop.run({hopeless});
    const auto forget = [&]() -> awaitable<void> {
        const bool is_there = co_await task_queue::tests::forget(shop.queue, "j");
        const bool is_there_twice = co_await task_queue::tests::forget(shop.queue, "j");
        CHECK(is_there);
        CHECK_FALSE(is_there_twice);
    };
    common::run(forget(), common::clock_mode::virtual_time);
    CHECK(shop.queue.jobs().size() == 0);
}

TEST_CASE("a job that takes longer than its limit is stopped then, and that is a failed try")
{
    workshop shop;
    auto slow = named("slow");
    slow.time_limit = 40ms;
    slow.max_tries = 2;
    slow.backoff = 0ms;
    shop.run({slow});
    CHECK(shop.events == events{"0 slow", "40 slow x", "40 slow", "80 slow x", "80 end"});
    REQUIRE(shop.queue.jobs().dead() == 1);
    CHECK(shop.queue.jobs().find("slow")->error == "took longer than 40 ms");
}

TEST_CASE("a job that cannot start in its lifetime is a dead letter, and one that can is run")
{
    workshop shop;
    auto late = named("late");
    late.lifetime = 99ms;
    auto in_time = named("in time");
    in_time.lifetime = 100ms;
    shop.run({named("first"), late, in_time});
    CHECK(shop.events == events{"0 first", "100 in time", "200 end"});
    REQUIRE(shop.queue.jobs().dead() == 1);
    CHECK(shop.queue.jobs().find("late")->error == "expired");
    CHECK(shop.queue.jobs().find("late")->tries == 0);
}

TEST_CASE("told to stop, a worker takes no more, and finishes what runs")
{
    workshop shop(2);
    shop.run({named("a"), named("b"), named("c")}, [&]() -> awaitable<void> {
        co_await common::sleep_for(30ms);
        shop.stop.set();
    });
    CHECK(shop.events == events{"0 a", "0 b", "100 end"});
    CHECK(shop.counts.done == 2);
    CHECK(shop.queue.jobs().waiting(priority::normal) == 1);
}

TEST_CASE("what has not finished when the grace is over is cancelled, and its try does not count")
{
    workshop shop(2);
    shop.options.grace = 50ms;
    shop.run({named("a"), named("b")}, [&]() -> awaitable<void> {
        co_await common::sleep_for(30ms);
        shop.stop.set();
    });
    CHECK(shop.events == events{"0 a", "0 b", "80 a x", "80 b x", "80 end"});
    CHECK(shop.counts.given_back == 2);
    CHECK(shop.queue.jobs().waiting(priority::normal) == 2);
    CHECK(shop.queue.jobs().find("a")->tries == 0);

    shop.events.clear();
    shop.stop.clear();
    shop.run({});
    CHECK(shop.events == events{"0 a", "0 b", "100 end"});
}

TEST_CASE("told to stop, a worker does not wait for ever for a queue that takes no report")
{
    // Both have done their work when the grace ends: `early` before, and waits for the queue since
    // then; `late` only because of it, and it fails.
    class silent : public local_queue {
    public:
        using local_queue::local_queue;
        awaitable<void> done(const delivery&) override { co_await common::sleep_for(wait); }
        awaitable<after_failure> failed(const delivery&, std::string, milliseconds) override
        {
            co_await common::sleep_for(wait);
            co_return after_failure::again;
        }
        common::duration wait{};
    };
    const auto run = [](const delivery& taken) -> awaitable<void> {
        try {
            co_await common::sleep_for(taken.what.id == "late" ? 1h : 10ms);
        } catch (const boost::system::system_error&) {
            throw job_failed("exit code 1");
        }
    };
    struct expected {
        common::duration wait;
        std::string end;
        std::size_t told;
    };
    for (const auto& [wait, end, told] :
         {expected{1h, "2080 end", 0}, expected{1500ms, "1580 end", 1}}) {
        CAPTURE(end);
        silent queue(virtual_clock);
        queue.wait = wait;
        workshop shop(2);
        shop.options.grace = 50ms;
        const auto main = [&]() -> awaitable<void> {
            std::vector<job> jobs;
            jobs.push_back(named("early"));
            jobs.push_back(named("late"));
            co_await queue.submit(std::move(jobs), task_queue::tell_nobody);
            worker at_work(queue, run, shop.options);
            co_await common::with_task_group([&](common::task_group& all) -> awaitable<void> {
                all.spawn(at_work.run(shop.stop));
                co_await common::sleep_for(30ms);
                shop.stop.set();
            });
            shop.counts = at_work.ended();
            shop.events.push_back(stamped("end"));
        };
        common::run(main(), common::clock_mode::virtual_time);
        CHECK(shop.events == events{end});
        CHECK(shop.counts.done == told);
        CHECK(shop.counts.failed == told);
        CHECK(shop.counts.lost == 2 - 2 * told);
    }
}

TEST_CASE("a worker that waits for a delayed job stops at once when it is told to")
{
    workshop shop;
    shop.run({delayed("j", 1h)}, [&]() -> awaitable<void> {
        co_await common::sleep_for(10ms);
        shop.stop.set();
    });
    CHECK(shop.events == events{"10 end"});
    CHECK(shop.queue.jobs().delayed() == 1);
}

TEST_CASE("a worker that asks in vain whether the queue is empty stops at once when it is told to")
{
    class silent : public local_queue {
    public:
        using local_queue::local_queue;
        awaitable<bool> is_empty() override
        {
            co_await common::sleep_for(1h);
            co_return true;
        }
    };
    silent queue(virtual_clock);
    workshop shop;
    const auto main = [&]() -> awaitable<void> {
        const auto run = [&](const delivery& taken) { return shop.work(taken); };
        worker at_work(queue, run, shop.options);
        co_await common::with_task_group([&](common::task_group& all) -> awaitable<void> {
            all.spawn(at_work.run(shop.stop));
            co_await common::sleep_for(10ms);
            shop.stop.set();
        });
        shop.events.push_back(stamped("end"));
    };
    common::run(main(), common::clock_mode::virtual_time);
    CHECK(shop.events == events{"10 end"});
}

TEST_CASE("a job is known by its id, and a second of that id is no second job")
{
    workshop shop;
    shop.run({named("a"), named("a")});
    CHECK(shop.events == events{"0 a", "100 end"});
}

TEST_CASE("a queue that cannot keep a report ends the worker, which stops what runs")
{
    class forgetful : public local_queue {
    public:
        using local_queue::local_queue;
        awaitable<void> done(const delivery&) override
        {
            throw std::runtime_error("the disk is full");
            co_return;
        }
    };
    forgetful queue(virtual_clock);
    workshop shop;
    shop.options.at_once = 2;
    common::event stop;
    std::string reason;
    const auto main = [&]() -> awaitable<void> {
        std::vector<job> jobs;
        jobs.push_back(named("quick"));
        jobs.push_back(named("slow"));
        co_await queue.submit(std::move(jobs), task_queue::tell_nobody);
        const auto run = [&](const delivery& taken) -> awaitable<void> {
            shop.takes = taken.what.id == "quick" ? 10ms : 1000ms;
            return shop.work(taken);
        };
        worker at_work(queue, run, shop.options);
        try {
            co_await at_work.run(stop);
        } catch (const std::exception& failure) {
            reason = failure.what();
        }
        shop.events.push_back(stamped("end"));
    };
    common::run(main(), common::clock_mode::virtual_time);
    CHECK(reason.find("the disk is full") != std::string::npos);
    CHECK(shop.events == events{"0 quick", "0 slow", "10 slow x", "10 end"});
}
