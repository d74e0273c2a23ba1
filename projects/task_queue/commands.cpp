#include "task_queue/commands.hpp"

#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/serving.hpp"
#include "common/task_group.hpp"
#include "task_queue/local_queue.hpp"
#include "task_queue/redis_queue.hpp"
#include "task_queue/run_job.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <iostream>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

namespace asio = boost::asio;

namespace task_queue {

namespace {

// A shorter one would mostly take the living for dead.
constexpr milliseconds shortest_lease(100);

redis_address address_of(const queue_place& place)
{
    try {
        return redis_address(place.redis);
    } catch (const std::invalid_argument& refusal) {
        throw common::usage_error(refusal.what());
    }
}

redis_options options_of(const queue_place& place)
{
    if (place.lease < shortest_lease) {
        throw common::usage_error(fmt::format("a lease is {} or more", text_of(shortest_lease)));
    }
    redis_options options{address_of(place)};
    options.name = place.name;
    options.lease = place.lease;
    return options;
}

// Runs `ask`, an awaitable<void>(queue_client&).
asio::awaitable<void> with_client(
    const queue_place& place, std::function<asio::awaitable<void>(queue_client&)> ask)
{
    if (place.redis.empty()) {
        spool_client client(place.journal);
        co_await ask(client);
        co_return;
    }
    auto options = options_of(place);
    options.quiet = true;
    options.patience = place.patience;
    redis_queue queue(std::move(options));
    co_await with_queue(queue, [&] { return ask(queue); });
}

std::vector<job> jobs_of(const submit_options& options)
{
    std::vector<job> jobs;
    const auto add = [&] {
        jobs.push_back(options.like);
        jobs.back().id = new_job_id();
    };
    if (!options.each_line) {
        add();
    }
    for (std::string line; options.each_line && std::getline(std::cin, line);) {
        add();
        jobs.back().words.push_back(line);
    }
    for (const auto& each : jobs) {
        if (each.words.empty()) {
            throw common::usage_error("submit needs a command");
        }
        for (const auto& word : each.words) {
            if (word.find('\0') != std::string::npos) {
                throw common::usage_error("a word of a command cannot have a NUL byte in it");
            }
        }
        if (each.builtin) {
            try {
                check_builtin(each);
            } catch (const std::invalid_argument& refusal) {
                throw common::usage_error(refusal.what());
            }
        }
    }
    return jobs;
}

// What could not be written is asked for at the end, with std::ferror.
void print_lines(const std::vector<std::string>& lines)
{
    for (const auto& line : lines) {
        std::puts(line.c_str());
    }
    std::fflush(stdout);
}

// The first signal sets `stop`. The second one is an exception that no coroutine sees: it leaves
// the event loop from a handler, and what runs is destroyed. A child process is killed by that.
asio::awaitable<void> hear_signals(common::event& stop, common::duration grace)
{
    const auto executor = co_await asio::this_coro::executor;
    asio::signal_set signals(executor, SIGINT, SIGTERM);
    co_await signals.async_wait(asio::deferred);
    common::log(
        "worker", "told to stop: takes no more jobs, and gives those that run {}",
        text_of(std::chrono::duration_cast<milliseconds>(grace)));
    stop.set();

    const int number = co_await signals.async_wait(asio::deferred);
    common::log("worker", "told again: leaves at once");
    asio::post(executor, [number] { throw left_at_once(number); });
}

// Says that it works once it hears signals: whoever has read that can stop it.
asio::awaitable<void> work_on(
    work_source& queue, const std::string& where, const worker_options& options)
{
    co_await with_queue(queue, [&]() -> asio::awaitable<void> {
        worker at_work(queue, run_job, options);
        const auto main = [&](common::task_group& all) -> asio::awaitable<void> {
            common::event stop;
            all.spawn(hear_signals(stop, options.grace));
            common::log("worker", "works on {}, {} at a time", where, options.at_once);
            co_await at_work.run(stop);
            all.cancel();
        };
        co_await common::with_task_group(main);
        const auto& ended = at_work.ended();
        common::log(
            "worker", "leaves: {} done, {} failed, {} given back, {} lost", ended.done,
            ended.failed, ended.given_back, ended.lost);
    });
}

}  // namespace

void flush_stdout()
{
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
        throw std::runtime_error("cannot write to stdout");
    }
}

asio::awaitable<void> submit(const queue_place& place, const submit_options& options)
{
    const auto jobs = jobs_of(options);
    std::size_t safe = 0;
    const auto tell = [&safe](const std::vector<std::string>& ids) {
        safe += ids.size();
        print_lines(ids);
    };
    try {
        co_await with_client(place, [&](queue_client& queue) { return queue.submit(jobs, tell); });
    } catch (const std::exception& failure) {
        if (safe == 0) {
            throw;
        }
        throw std::runtime_error(fmt::format(
            "{}; {} of {} jobs are submitted, and for more it is not known{}", failure.what(), safe,
            jobs.size(), std::ferror(stdout) != 0 ? "; their ids are lost" : ""));
    }
    try {
        flush_stdout();
    } catch (const std::runtime_error& failure) {
        throw std::runtime_error(
            fmt::format("submitted, but the ids are lost: {}", failure.what()));
    }
}

asio::awaitable<void> work(const queue_place& place, const worker_options& options)
{
    common::raise_descriptor_limit();  // a command that runs needs five or so
    if (place.redis.empty()) {
        local_queue queue(place.journal);
        co_await work_on(queue, place.journal, options);
    } else {
        redis_queue queue(options_of(place));
        co_await work_on(queue, place.redis, options);
    }
}

asio::awaitable<void> print_status(const queue_place& place)
{
    const auto ask = [](queue_client& queue) -> asio::awaitable<void> {
        const auto now = co_await queue.status();
        fmt::print(
            "waiting  {} ({} high, {} normal, {} low)\n",
            now.waiting[0] + now.waiting[1] + now.waiting[2], now.waiting[0], now.waiting[1],
            now.waiting[2]);
        fmt::print("delayed  {}", now.delayed);
        if (now.next_due) {
            fmt::print(", the next in {}", text_of(*now.next_due));
        }
        fmt::print("\nrunning  {}\ndead     {}\ndone     {}\n", now.running, now.dead, now.done);
    };
    co_await with_client(place, ask);
}

asio::awaitable<void> print_dead(const queue_place& place)
{
    const auto ask = [](queue_client& queue) -> asio::awaitable<void> {
        for (const auto& letter : co_await queue.dead()) {
            fmt::print(
                "{}  {} of {} tries  {}  ({})\n", letter.what.id, letter.tries,
                letter.what.max_tries, command_line(letter.what), shown(letter.error));
        }
    };
    co_await with_client(place, ask);
}

asio::awaitable<void> deal_with_dead(
    const queue_place& place, dead_action action, std::vector<std::string> ids)
{
    std::set<std::string> found;
    const auto tell = [&found](const std::vector<std::string>& dead) {
        found.insert(dead.begin(), dead.end());
        print_lines(dead);
    };
    const auto ask = [&](queue_client& queue) -> asio::awaitable<void> {
        if (ids.empty()) {
            for (const auto& letter : co_await queue.dead()) {
                ids.push_back(letter.what.id);
            }
        }
        co_await queue.deal_with_dead(action, ids, tell);
    };
    co_await with_client(place, ask);

    std::string unknown;
    for (const auto& id : ids) {
        if (!found.contains(id)) {
            unknown += ' ' + id;
        }
    }
    if (!unknown.empty()) {
        throw std::runtime_error(fmt::format(
            "no dead letter:{}{}", unknown,
            std::ferror(stdout) != 0 ? "; the ids of the others are lost" : ""));
    }
}

}  // namespace task_queue
