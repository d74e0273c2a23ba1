// The queue in a real Redis: the same rules as in memory, leases, and workers that die.

#include "task_queue/redis_queue.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"
#include "task_queue/redis_scripts.hpp"
#include "task_queue/tests/redis_server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using asio::awaitable;
using asio::local::stream_protocol;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;
using namespace task_queue;
using task_queue::tests::builtin_job;
using task_queue::tests::redis_server;
using task_queue::tests::temporary_directory;

namespace {

constexpr milliseconds short_lease = 300ms;

redis_options options_for(const redis_server& server, milliseconds lease = short_lease)
{
    redis_options options{redis_address(server.address())};
    options.lease = lease;
    options.quiet = true;
    return options;
}

// Runs `body` with a queue as one worker has it; or, with patience, as submit has it.
void with_queue_on(
    const redis_server& server, std::function<awaitable<void>(redis_queue&)> body,
    std::optional<milliseconds> patience = std::nullopt)
{
    const auto main = [&]() -> awaitable<void> {
        auto options = options_for(server);
        options.patience = patience;
        redis_queue queue(std::move(options));
        co_await with_queue(queue, [&] { return body(queue); });
    };
    common::run(main(), common::clock_mode::steady);
}

// A worker of its own, which dies without a word when the body has ended. Others are dead to it
// after the lease.
awaitable<void> as_another_worker(
    const redis_server& server, std::function<awaitable<void>(redis_queue&)> body,
    milliseconds lease = short_lease)
{
    redis_queue queue(options_for(server, lease));
    co_await with_queue(queue, [&] { return body(queue); });
}

awaitable<delivery> take(redis_queue& queue)
{
    while (true) {
        if (auto taken = co_await queue.try_take()) {
            co_return std::move(*taken);
        }
        co_await queue.wait_for_work(5s);
    }
}

// Whether there is nothing to take. Gives up at once, but not before there is a connection.
awaitable<bool> has_nothing(redis_queue& queue)
{
    co_await queue.status();
    const auto taken = co_await queue.try_take();
    co_return !taken;
}

awaitable<void> add(redis_queue& queue, job what)
{
    std::vector<job> jobs;
    jobs.push_back(std::move(what));
    co_await queue.submit(std::move(jobs), task_queue::tell_nobody);
}

job named(const std::string& id, priority urgency = priority::normal)
{
    auto made = builtin_job(id, {"sleep", "0"});
    made.urgency = urgency;
    return made;
}

// The reply to one command, over a connection of its own.
template <class... Words>
awaitable<redis_reply> ask(const redis_server& server, Words... words)
{
    std::vector<std::string> command;
    (command.emplace_back(words), ...);
    redis_client client(redis_address(server.address()), true);
    redis_reply reply;
    co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
        both.spawn(client.run());
        reply = co_await client.command(std::move(command));
        both.cancel();
    });
    co_return reply;
}

// Stands between a queue and its Redis, and loses replies.
class proxy {
public:
    explicit proxy(const redis_server& server) : server_(redis_address(server.address()).path) {}

    std::string address() const { return "unix:" + (directory_ / "socket").string(); }

    // The next reply with this text in it is lost, and the connection with it.
    void swallow(std::string text) { swallow_ = std::move(text); }
    bool has_swallowed() const { return swallow_.empty(); }

    awaitable<void> run()
    {
        const auto executor = co_await asio::this_coro::executor;
        stream_protocol::acceptor acceptor(executor, (directory_ / "socket").string());
        co_await common::with_task_group([&](common::task_group& all) -> awaitable<void> {
            while (true) {
                all.spawn(serve(co_await acceptor.async_accept(asio::deferred)));
            }
        });
    }

private:
    awaitable<void> serve(stream_protocol::socket client)
    {
        stream_protocol::socket redis(client.get_executor());
        co_await redis.async_connect(server_, asio::deferred);
        auto either = pump(client, redis, false) || pump(redis, client, true);
        co_await std::move(either);
    }

    awaitable<void> pump(stream_protocol::socket& from, stream_protocol::socket& to, bool replies)
    {
        std::array<char, 4096> room;
        while (true) {
            const auto [end, size] =
                co_await from.async_read_some(asio::buffer(room), asio::as_tuple(asio::deferred));
            const std::string_view bytes(room.data(), size);
            if (replies && !swallow_.empty() && bytes.find(swallow_) != bytes.npos) {
                swallow_.clear();
                co_return;
            }
            const auto [refused, written] =
                co_await asio::async_write(to, asio::buffer(bytes), asio::as_tuple(asio::deferred));
            if (end || refused) {
                co_return;
            }
        }
    }

    const stream_protocol::endpoint server_;
    temporary_directory directory_;
    std::string swallow_;
};

// Runs `body` with a queue that has a proxy before its Redis, and nobody else's jobs: nobody is
// taken for dead.
void with_queue_behind(proxy& between, std::function<awaitable<void>(redis_queue&)> body)
{
    const auto main = [&]() -> awaitable<void> {
        redis_options options{redis_address(between.address())};
        options.lease = 1h;
        options.quiet = true;
        redis_queue queue(std::move(options));
        co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
            both.spawn(between.run());
            co_await with_queue(queue, [&] { return body(queue); });
            both.cancel();
        });
    };
    common::run(main(), common::clock_mode::steady);
}

// Takes a job, and the answer is lost.
awaitable<void> take_in_vain(redis_queue& queue, proxy& between)
{
    co_await queue.status();  // there is a connection
    between.swallow("\"words\"");
    const auto taken = co_await queue.try_take();
    CHECK_FALSE(taken);
    CHECK(between.has_swallowed());
}

awaitable<std::string> numbers(redis_queue& queue)
{
    const auto now = co_await queue.status();
    co_return fmt::format(
        "{}/{}/{} waiting, {} delayed, {} running, {} dead, {} done", now.waiting[0],
        now.waiting[1], now.waiting[2], now.delayed, now.running, now.dead, now.done);
}

}  // namespace

TEST_CASE("redis queue: by priority, then in the order in which they came; each to one worker")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        std::vector<job> jobs;
        jobs.push_back(named("l", priority::low));
        jobs.push_back(named("n1"));
        jobs.push_back(named("n2"));
        jobs.push_back(named("h", priority::high));
        jobs.push_back(named("n1"));  // is known already
        co_await queue.submit(std::move(jobs), task_queue::tell_nobody);
        auto now = co_await numbers(queue);
        CHECK(now == "1/2/1 waiting, 0 delayed, 0 running, 0 dead, 0 done");

        std::vector<delivery> all;
        std::string order;
        for (int i = 0; i < 4; ++i) {
            all.push_back(co_await take(queue));
            order += all.back().what.id + " ";
            CHECK(all.back().tries == 1);
        }
        CHECK(order == "h n1 n2 l ");
        const auto look = [](redis_queue& other) -> awaitable<void> {
            const bool nothing = co_await has_nothing(other);
            CHECK(nothing);
        };
        co_await as_another_worker(server, look, 1h);
        now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 0 delayed, 4 running, 0 dead, 0 done");
        for (const auto& each : all) {
            co_await queue.done(each);
            co_await queue.done(each);  // as after a lost answer
        }
        now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 0 delayed, 0 running, 0 dead, 4 done");
        const bool empty = co_await queue.is_empty();
        CHECK(empty);
    });
}

TEST_CASE("redis queue: a job arrives as it was submitted")
{
    redis_server server;
    server.start();
    with_queue_on(server, [](redis_queue& queue) -> awaitable<void> {
        auto rich = builtin_job("rich", {"append", "a \"file\"\n", "not UTF-8: \xff, and \x01"});
        rich.time_limit = 3s;
        rich.backoff = 7ms;
        rich.longest_backoff = 8ms;
        co_await add(queue, rich);
        const auto taken = co_await take(queue);
        CHECK(taken.what.words == rich.words);
        CHECK(to_json(taken.what) == to_json(rich));
    });
}

TEST_CASE("redis queue: a delayed job comes when it is due, and wakes who waits for a later one")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        auto later = named("later");
        later.delay = 1h;
        co_await add(queue, later);
        const bool nothing = co_await has_nothing(queue);
        CHECK(nothing);

        const auto start = std::chrono::steady_clock::now();
        auto sooner = named("sooner");
        sooner.delay = 200ms;
        co_await add(queue, sooner);
        const auto taken = co_await take(queue);
        CHECK(taken.what.id == "sooner");
        CHECK(std::chrono::steady_clock::now() - start >= 199ms);
        const auto now = co_await queue.status();
        CHECK(now.delayed == 1);
        CHECK(*now.next_due > 30min);
    });
}

TEST_CASE(
    "redis queue: a worker that sleeps in Redis is woken by a job, and by one that is due sooner")
{
    redis_server server;
    server.start();
    auto options = options_for(server);
    options.lease = 1h;  // it would wake to look for dead workers
    const auto main = [&]() -> awaitable<void> {
        redis_queue queue(options);
        co_await with_queue(queue, [&]() -> awaitable<void> {
            auto later = named("later");
            later.delay = 30min;
            co_await add(queue, later);
            for (const auto delay : {0ms, 100ms}) {
                const bool nothing = co_await has_nothing(queue);
                CHECK(nothing);
                // Sleeps for half an hour, if nobody wakes it; the test would be ended before.
                const auto sleep = [&]() -> awaitable<void> { co_await queue.wait_for_work(1h); };
                const auto wake = [&]() -> awaitable<void> {
                    co_await common::sleep_for(100ms);
                    auto next = named(delay == 0ms ? "now" : "soon");
                    next.delay = delay;
                    co_await add(queue, next);
                };
                co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
                    both.spawn(sleep());
                    both.spawn(wake());
                    co_return;
                });
                const auto taken = co_await take(queue);
                CHECK(taken.what.id == (delay == 0ms ? "now" : "soon"));
            }
        });
    };
    common::run(main(), common::clock_mode::steady);
}

TEST_CASE("redis queue: failures, dead letters, requeue, forget")
{
    redis_server server;
    server.start();
    with_queue_on(server, [](redis_queue& queue) -> awaitable<void> {
        auto hopeless = named("j");
        hopeless.max_tries = 2;
        hopeless.lifetime = 1h;
        co_await add(queue, hopeless);
        auto taken = co_await take(queue);
        auto next = co_await queue.failed(taken, "first", 100ms);
        CHECK(next == after_failure::again);
        auto now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 1 delayed, 0 running, 0 dead, 0 done");
        next = co_await queue.failed(taken, "first", 100ms);  // as after a lost answer
        CHECK(next == after_failure::again);
        now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 1 delayed, 0 running, 0 dead, 0 done");

        taken = co_await take(queue);
        CHECK(taken.tries == 2);
        for (int i = 0; i < 2; ++i) {
            next = co_await queue.failed(taken, "second", 100ms);
            CHECK(next == after_failure::dead);
        }
        const auto letters = co_await queue.dead();
        REQUIRE(letters.size() == 1);
        CHECK(letters[0].what.id == "j");
        CHECK(letters[0].tries == 2);
        CHECK(letters[0].error == "second");

        bool found = co_await task_queue::tests::requeue(queue, "j");
        CHECK(found);
        found = co_await task_queue::tests::requeue(queue, "j");
        CHECK_FALSE(found);
        taken = co_await take(queue);
        CHECK(taken.tries == 1);
        co_await queue.failed(taken, "third", 0ms);
        taken = co_await take(queue);
        co_await queue.failed(taken, "fourth", 0ms);
        found = co_await task_queue::tests::forget(queue, "j");
        CHECK(found);
        found = co_await task_queue::tests::forget(queue, "j");
        CHECK_FALSE(found);
        now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 0 delayed, 0 running, 0 dead, 0 done");
    });
}

TEST_CASE(
    "redis queue: a submit that comes again finds a job that is done or forgotten, for an hour")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        auto hopeless = named("hopeless", priority::high);
        hopeless.max_tries = 1;
        co_await add(queue, hopeless);
        auto taken = co_await take(queue);
        co_await queue.failed(taken, "no", 0ms);
        co_await task_queue::tests::forget(queue, "hopeless");
        co_await add(queue, named("done"));
        taken = co_await take(queue);
        co_await queue.done(taken);

        co_await add(queue, hopeless);
        co_await add(queue, named("done"));
        const auto now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 0 delayed, 0 running, 0 dead, 1 done");
        for (const std::string id : {"done", "hopeless"}) {
            const auto left = co_await ask(server, "TTL", "{task_queue}:was:" + id);
            CHECK(left.number > 0);
            CHECK(left.number <= 3600);
        }
    });
}

TEST_CASE("redis queue: a requeue or forget that comes again is answered as the first time")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        for (const auto script : {scripts::forget, scripts::requeue}) {
            auto hopeless = named(script == scripts::requeue ? "one" : "other", priority::high);
            hopeless.max_tries = 1;
            co_await add(queue, hopeless);
            const auto taken = co_await take(queue);
            co_await queue.failed(taken, "no", 0ms);
            const auto text = std::string(scripts::common_part) + std::string(script);
            for (const auto expected : {1U, 1U, 0U}) {
                const std::string request = expected == 1 ? "lost" : "new";
                const auto found = co_await ask(
                    server, "EVAL", text, "1", "{task_queue}", request + hopeless.id, "nobody",
                    hopeless.id, hopeless.id);
                REQUIRE(found.elements.size() == expected);
                CHECK((expected == 0 || found.elements[0].text == hopeless.id));
            }
        }
        const auto now = co_await numbers(queue);
        CHECK(now == "1/0/0 waiting, 0 delayed, 0 running, 0 dead, 0 done");
    });
}

TEST_CASE("redis queue: whether it is empty is not waited for when Redis goes away")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        bool empty = co_await queue.is_empty();
        CHECK_FALSE(empty);  // not connected yet
        co_await queue.status();
        empty = co_await queue.is_empty();
        CHECK(empty);
        server.kill();  // the loop has not seen it when it asks
        bool waited = false;
        try {
            empty = co_await common::with_timeout(30s, queue.is_empty());
        } catch (const common::timeout_error&) {
            waited = true;
        }
        CHECK_FALSE(waited);
        CHECK_FALSE(empty);
    });
}

TEST_CASE("redis queue: more dead letters than one script gives")
{
    redis_server server;
    server.start();
    with_queue_on(server, [](redis_queue& queue) -> awaitable<void> {
        std::vector<job> jobs;
        for (int i = 0; i < 450; ++i) {
            jobs.push_back(named(std::to_string(i)));
            jobs.back().max_tries = 1;
        }
        co_await queue.submit(std::move(jobs), task_queue::tell_nobody);
        for (int i = 0; i < 450; ++i) {
            const auto taken = co_await take(queue);
            co_await queue.failed(taken, "no", 0ms);
        }
        const auto letters = co_await queue.dead();
        CHECK(letters.size() == 450);

        std::vector<std::string> ids(1, "nobody");
        for (const auto& letter : letters) {
            ids.push_back(letter.what.id);
        }
        std::vector<std::string> told;
        const task_queue::ids_handler tell = [&told](const auto& found) {
            told.insert(told.end(), found.begin(), found.end());
        };
        co_await queue.deal_with_dead(task_queue::dead_action::requeue, ids, tell);
        ids.erase(ids.begin());
        CHECK(told == ids);
        const auto now = co_await numbers(queue);
        CHECK(now == "0/450/0 waiting, 0 delayed, 0 running, 0 dead, 0 done");
    });
}

TEST_CASE("redis queue: patience is for each answer, and not for all of them together")
{
    redis_server server;
    server.start();
    const auto body = [](redis_queue& queue) -> awaitable<void> {
        std::vector<job> jobs;
        for (int i = 0; i < 401; ++i) {
            jobs.push_back(named(std::to_string(i)));
        }
        std::size_t safe = 0;
        const task_queue::ids_handler tell = [&safe](const auto& ids) {
            safe += ids.size();
            std::this_thread::sleep_for(safe < 401 ? 1600ms : 0ms);
        };
        co_await queue.submit(std::move(jobs), tell);
        CHECK(safe == 401);
    };
    with_queue_on(server, body, 3s);
}

TEST_CASE("redis queue: when patience ends, it is said why there was no answer")
{
    redis_server server;
    const auto why = [](redis_queue& queue) -> awaitable<std::string> {
        try {
            co_await queue.status();
        } catch (const std::runtime_error& failure) {
            co_return failure.what();
        }
        co_return "";
    };
    const auto body = [&](redis_queue& queue) -> awaitable<void> {
        const auto in_vain =
            fmt::format("no answer from Redis at {} in 300 ms: ", server.address());
        auto reason = co_await why(queue);
        CHECK(reason == in_vain + "No such file or directory");
        server.start();
        do {
            reason = co_await why(queue);
        } while (!reason.empty());
        server.signal(SIGSTOP);
        reason = co_await why(queue);
        server.signal(SIGCONT);
        CHECK(reason == in_vain + "it is there, and does not answer");
    };
    with_queue_on(server, body, 300ms);
}

TEST_CASE("redis queue: what cannot start in its lifetime is a dead letter")
{
    redis_server server;
    server.start();
    with_queue_on(server, [](redis_queue& queue) -> awaitable<void> {
        auto late = named("late");
        late.lifetime = 50ms;
        co_await add(queue, late);
        co_await common::sleep_for(100ms);
        co_await add(queue, named("next"));
        const auto taken = co_await take(queue);
        CHECK(taken.what.id == "next");
        const auto letters = co_await queue.dead();
        REQUIRE(letters.size() == 1);
        CHECK(letters[0].error == "expired");
        CHECK(letters[0].tries == 0);
    });
}

TEST_CASE("redis queue: what is given back waits again at once, and its try does not count")
{
    redis_server server;
    server.start();
    with_queue_on(server, [](redis_queue& queue) -> awaitable<void> {
        co_await add(queue, named("j"));
        const auto taken = co_await take(queue);
        co_await queue.give_back(taken);
        co_await queue.give_back(taken);  // as after a lost answer
        const auto now = co_await numbers(queue);
        CHECK(now == "0/1/0 waiting, 0 delayed, 0 running, 0 dead, 0 done");
        const auto again = co_await take(queue);
        CHECK(again.tries == 1);
    });
}

TEST_CASE(
    "redis queue: a job comes at once when the answer that had it was lost, and has its tries")
{
    redis_server server;
    server.start();
    proxy between(server);
    with_queue_behind(between, [&](redis_queue& queue) -> awaitable<void> {
        co_await add(queue, named("known", priority::low));
        co_await add(queue, named("also known"));
        const auto also_known = co_await take(queue);
        const auto known = co_await take(queue);

        auto lost = named("lost", priority::low);
        lost.max_tries = 1;
        co_await add(queue, lost);
        for (int i = 0; i < 3; ++i) {
            co_await take_in_vain(queue, between);
            co_await add(queue, named("next", priority::high));
        }
        const auto taken = co_await take(queue);
        CHECK(taken.what.id == "lost");
        CHECK(taken.tries == 1);
        const auto next = co_await take(queue);
        CHECK(next.what.id == "next");
        auto now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 0 delayed, 4 running, 0 dead, 0 done");
        CHECK(known.what.id == "known");
        for (const auto* const each : {&also_known, &known, &taken, &next}) {
            CHECK_FALSE(each->lost->is_set());
            co_await queue.done(*each);
        }
        now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 0 delayed, 0 running, 0 dead, 4 done");
    });
}

TEST_CASE("redis queue: a job whose answer was lost is not run when it is done, or too late")
{
    redis_server server;
    server.start();
    proxy between(server);
    with_queue_behind(between, [&](redis_queue& queue) -> awaitable<void> {
        auto late = named("late");
        late.lifetime = 1h;
        co_await add(queue, late);
        co_await take_in_vain(queue, between);
        co_await ask(server, "HSET", "{task_queue}:job:late", "deadline", "1");
        bool nothing = co_await has_nothing(queue);
        CHECK(nothing);
        const auto letters = co_await queue.dead();
        REQUIRE(letters.size() == 1);
        CHECK(letters[0].error == "expired");
        CHECK(letters[0].tries == 0);

        co_await add(queue, named("done"));
        co_await take_in_vain(queue, between);
        co_await ask(server, "DEL", "{task_queue}:job:done");
        nothing = co_await has_nothing(queue);
        CHECK(nothing);
        const auto now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 0 delayed, 0 running, 1 dead, 0 done");
        const auto key = co_await ask(server, "EXISTS", "{task_queue}:job:done");
        CHECK(key.number == 0);
    });
}

TEST_CASE("redis queue: a worker that leaves gives back the job that it was given in vain")
{
    redis_server server;
    server.start();
    proxy between(server);
    with_queue_behind(between, [&](redis_queue& queue) -> awaitable<void> {
        auto once = named("once");
        once.max_tries = 1;
        co_await add(queue, once);
        co_await take_in_vain(queue, between);
        co_await queue.leave();
        const auto now = co_await numbers(queue);
        CHECK(now == "0/1/0 waiting, 0 delayed, 0 running, 0 dead, 0 done");
        const auto taken = co_await take(queue);
        CHECK(taken.tries == 1);
    });
}

TEST_CASE("redis queue: what a dead worker had goes to another after the lease, and not before")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        std::chrono::steady_clock::time_point life;
        co_await as_another_worker(server, [&](redis_queue& other) -> awaitable<void> {
            co_await add(other, named("j"));
            life = std::chrono::steady_clock::now();
            co_await take(other);
        });
        const auto taken = co_await take(queue);
        CHECK(std::chrono::steady_clock::now() - life >= short_lease - 2ms);
        CHECK(taken.what.id == "j");
        CHECK(taken.tries == 2);
    });
}

TEST_CASE(
    "redis queue: a job that takes longer than the lease stays with its worker while that lives")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        co_await add(queue, named("j"));
        const auto taken = co_await take(queue);
        // The worker renews its lease each 100 ms. For the other it is dead after two seconds, so
        // that one late renewal makes no difference.
        const auto look = [](redis_queue& other) -> awaitable<void> {
            const auto end = common::now() + 2500ms;
            while (common::now() < end) {
                const bool nothing = co_await has_nothing(other);
                CHECK(nothing);
                co_await common::sleep_for(50ms);
            }
        };
        co_await as_another_worker(server, look, 2s);
        CHECK_FALSE(taken.lost->is_set());
        const auto next = co_await queue.failed(taken, "no", 0ms);
        CHECK(next == after_failure::again);
    });
}

TEST_CASE(
    "redis queue: a worker that was given up hears so, and what it reports then changes nothing")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        // It lives, but renews nothing: its run() is over.
        redis_queue slow(options_for(server));
        std::optional<delivery> taken;
        co_await with_queue(slow, [&]() -> awaitable<void> {
            co_await add(slow, named("j"));
            taken = co_await take(slow);
        });
        const auto mine = co_await take(queue);
        CHECK(mine.tries == 2);

        co_await with_queue(slow, [&]() -> awaitable<void> {
            co_await taken->lost->wait();
            const auto next = co_await slow.failed(*taken, "too late", 0ms);
            CHECK(next == after_failure::lost);
            co_await slow.give_back(*taken);
        });
        auto now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 0 delayed, 1 running, 0 dead, 0 done");

        // Both have done it. That counts once.
        co_await with_queue(slow, [&]() -> awaitable<void> { co_await slow.done(*taken); });
        co_await queue.done(mine);
        now = co_await numbers(queue);
        CHECK(now == "0/0/0 waiting, 0 delayed, 0 running, 0 dead, 1 done");
    });
}

TEST_CASE("redis queue: a job that has taken its worker down at each of its tries is a dead letter")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        auto poison = named("poison");
        poison.max_tries = 2;
        co_await add(queue, poison);
        for (int i = 0; i < 2; ++i) {
            co_await as_another_worker(
                server, [](redis_queue& other) -> awaitable<void> { co_await take(other); });
        }
        while (true) {
            const auto letters = co_await queue.dead();
            if (!letters.empty()) {
                CHECK(letters[0].error == "its worker died");
                CHECK(letters[0].tries == 2);
                break;
            }
            const bool nothing = co_await has_nothing(queue);
            CHECK(nothing);
            co_await common::sleep_for(10ms);
        }
    });
}

TEST_CASE("redis queue: a Redis that has lost everything is worked on as a new one")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        co_await add(queue, named("gone"));
        const auto gone = co_await take(queue);
        co_await ask(server, "FLUSHALL");
        co_await queue.done(gone);
        co_await add(queue, named("new"));
        const auto taken = co_await take(queue);
        CHECK(taken.what.id == "new");
    });
}

TEST_CASE("redis queue: a worker can leave a Redis that has lost everything")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        co_await add(queue, named("gone"));
        const auto gone = co_await take(queue);
        co_await queue.done(gone);
        co_await ask(server, "FLUSHALL");
        bool has_left = false;
        try {
            co_await queue.leave();
            has_left = true;
        } catch (const task_queue::redis_error& refusal) {
            UNSCOPED_INFO(refusal.what());
        }
        CHECK(has_left);
    });
}

TEST_CASE("redis queue: a worker that begins while Redis is full waits until it is not")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        co_await ask(server, "CONFIG", "SET", "maxmemory", "1");
        const auto work = [&]() -> awaitable<void> {
            const auto taken = co_await take(queue);
            CHECK(taken.what.id == "j");
        };
        co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
            both.spawn(work());
            std::string errors;
            while (errors.find("errorstat_OOM") == std::string::npos) {
                co_await common::sleep_for(1ms);
                const auto reply = co_await ask(server, "INFO", "errorstats");
                errors = reply.text;
            }
            co_await ask(server, "CONFIG", "SET", "maxmemory", "0");
            co_await add(queue, named("j"));
        });
    });
}

TEST_CASE(
    "redis queue: a worker that leaves is forgotten by Redis, unless it has left a job behind")
{
    redis_server server;
    server.start();
    with_queue_on(server, [&](redis_queue& queue) -> awaitable<void> {
        const auto consumers = [&]() -> awaitable<std::size_t> {
            const auto reply =
                co_await ask(server, "XINFO", "CONSUMERS", "{task_queue}:normal", "workers");
            co_return reply.elements.size();
        };
        co_await add(queue, named("j"));
        const auto taken = co_await take(queue);
        co_await queue.leave();
        auto count = co_await consumers();
        CHECK(count == 1);
        co_await queue.done(taken);
        co_await queue.leave();
        count = co_await consumers();
        CHECK(count == 0);
    });
}
