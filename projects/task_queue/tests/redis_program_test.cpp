// Several worker processes on one real Redis, killed in the middle; and Redis killed in the middle.

#include "task_queue/file.hpp"
#include "task_queue/tests/helpers.hpp"
#include "task_queue/tests/redis_server.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>

using namespace std::chrono_literals;
using support::background_program;
using support::program_options;
using task_queue::read_file;
using task_queue::tests::lines_of;
using task_queue::tests::redis_server;
using task_queue::tests::temporary_directory;

namespace {

// A Redis, a directory for what the jobs write, and the program on them.
struct bench {
    explicit bench(std::vector<std::string> redis_options = {})
        : server(0, std::move(redis_options))
    {
    }

    program_options options_for(std::vector<std::string> arguments) const
    {
        program_options options;
        options.deadline = 110s;
        options.arguments = {"--redis", server.address(), "--lease", lease};
        options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
        return options;
    }

    support::program_run run(std::vector<std::string> arguments) const
    {
        return support::run_program(PROGRAM, options_for(std::move(arguments)));
    }

    std::string said(std::vector<std::string> arguments) const
    {
        const auto ran = run(std::move(arguments));
        INFO(ran.out << ran.err);
        REQUIRE(ran.status == 0);
        return ran.out;
    }

    // Adds `append done NUMBER` for so many numbers, by one submit.
    void submit_numbers(int count) const
    {
        background_program submit(
            PROGRAM, options_for(
                         {"submit", "--each-line", "--builtin", "--tries", "50", "append",
                          directory / "done"}));
        submit.write(task_queue::tests::job_lines(0, count));
        submit.close_input();
        const auto ran = submit.wait();
        INFO(ran.err);
        REQUIRE(ran.status == 0);
    }

    std::unique_ptr<background_program> worker(std::vector<std::string> arguments = {}) const
    {
        arguments.insert(arguments.begin(), "worker");
        auto made =
            std::make_unique<background_program>(PROGRAM, options_for(std::move(arguments)));
        made->wait_for_line("worker: works on");  // from here on it hears SIGTERM
        return made;
    }

    // They stay when the queue is empty: a kill that comes late finds its victim, too.
    std::vector<std::unique_ptr<background_program>> three_workers() const
    {
        std::vector<std::unique_ptr<background_program>> workers;
        for (int i = 0; i < 3; ++i) {
            workers.push_back(worker());
        }
        return workers;
    }

    int lines_done() const
    {
        return static_cast<int>(lines_of(read_file(directory / "done")).size());
    }

    void wait_for_lines(int count) const
    {
        while (lines_done() < count) {
            std::this_thread::sleep_for(20ms);
        }
    }

    // That all were done, and nothing else. Gives how many were done more than once.
    int check_numbers(int count) const
    {
        const auto result = task_queue::tests::count_numbers(read_file(directory / "done"), count);
        CHECK(result.missing == 0);
        CHECK(result.strange == 0);
        CHECK(
            said({"status"}) ==
            fmt::format(
                "waiting  0 (0 high, 0 normal, 0 low)\ndelayed  0\nrunning  0\ndead     0\n"
                "done     {}\n",
                count));
        return result.duplicates;
    }

    redis_server server;
    temporary_directory directory;
    std::string lease = "1s";
};

}  // namespace

TEST_CASE("three workers on Redis, killed by SIGKILL in the middle of 10 000 jobs: none is lost")
{
    constexpr int jobs = 10'000;
    constexpr int kills = 6;
    bench here;
    here.server.start();
    here.submit_numbers(jobs);
    auto workers = here.three_workers();
    for (int kill = 1; kill <= kills; ++kill) {
        here.wait_for_lines(kill * jobs / (2 * kills));
        auto& victim = workers[static_cast<std::size_t>(kill) % workers.size()];
        victim->signal(SIGKILL);
        CHECK(victim->wait().status == 128 + SIGKILL);
        victim = here.worker();
    }
    here.wait_for_lines(jobs);
    for (auto& each : workers) {
        each->signal(SIGTERM);
        CHECK(each->wait().status == 0);
    }
    here.said({"worker", "--until-empty"});
    const int duplicates = here.check_numbers(jobs);
    CHECK(duplicates <= kills * 4);  // what the victims had in hand, and no more
    fmt::print("{} jobs, {} kills, {} done twice\n", jobs, kills, duplicates);
}

TEST_CASE(
    "Redis killed and restarted in the middle of 10 000 jobs, with workers killed, too: none is "
    "lost")
{
    constexpr int jobs = 10'000;
    bench here;
    here.server.start();
    here.submit_numbers(jobs);
    auto workers = here.three_workers();
    for (int crash = 1; crash <= 3; ++crash) {
        here.wait_for_lines(crash * jobs / 6);
        here.server.kill();
        auto& victim = workers[static_cast<std::size_t>(crash) % workers.size()];
        victim->signal(SIGKILL);
        CHECK(victim->wait().status == 128 + SIGKILL);
        victim = here.worker();  // finds no Redis
        victim->wait_for_line("trying again");
        here.server.start();
    }
    here.wait_for_lines(jobs);
    for (auto& each : workers) {
        each->signal(SIGTERM);
        const auto ran = each->wait();
        INFO(ran.err);
        CHECK(ran.status == 0);
        CHECK(ran.out.find("redis: ") != std::string::npos);
    }
    here.said({"worker", "--until-empty"});
    const int duplicates = here.check_numbers(jobs);
    CHECK(duplicates <= 3 * 3 * 4);  // at each crash, what all workers had in hand
    fmt::print("{} jobs, 3 crashes of Redis, 3 kills, {} done twice\n", jobs, duplicates);
}

TEST_CASE("Redis is down at the start: a worker waits for it, and a submit does, for its patience")
{
    bench here;
    const auto vain = here.run({"--patience", "200ms", "submit", "--builtin", "sleep", "0"});
    CHECK(vain.status == 1);
    CHECK(vain.out.empty());
    CHECK(vain.err.find("no answer from Redis at unix:") != std::string::npos);
    CHECK(vain.err.find("No such file or directory") != std::string::npos);

    auto worker = here.worker();
    worker->wait_for_line("No such file or directory; trying again");
    background_program submit(
        PROGRAM,
        here.options_for(
            {"--patience", "100s", "submit", "--builtin", "append", here.directory / "done", "0"}));
    here.server.start();
    CHECK(submit.wait().status == 0);
    worker->wait_for_line("connected");
    worker->wait_for_line("is done");
    here.check_numbers(1);
}

TEST_CASE("a submit into a Redis that gets full on the way prints the ids of the jobs that are in")
{
    constexpr int jobs = 30'000;
    bench here(std::vector<std::string>{"--maxmemory", "8mb"});
    here.server.start();
    background_program submit(
        PROGRAM, here.options_for({"--patience", "3s", "submit", "--each-line", "--", "true"}));
    submit.write(task_queue::tests::job_lines(0, jobs));
    submit.close_input();
    const auto ran = submit.wait();
    INFO(ran.err);
    CHECK(ran.status == 1);
    const auto safe = lines_of(ran.out).size();
    CHECK(safe > 0);
    CHECK(safe < jobs);
    CHECK(ran.err.find("no answer from Redis at unix:") != std::string::npos);
    CHECK(ran.err.find("OOM") != std::string::npos);
    CHECK(ran.err.ends_with(
        fmt::format("; {} of {} jobs are submitted, and for more it is not known\n", safe, jobs)));
    CHECK(here.said({"status"}).starts_with(fmt::format("waiting  {} ", safe)));
}

TEST_CASE("SIGTERM while Redis is away: the worker leaves, and its job is run by another")
{
    bench here;
    here.server.start();
    here.said({"submit", "--", "sh", "-c", "echo runs; sleep 3600"});
    auto worker = here.worker({"--grace", "100ms"});
    worker->wait_for_line("out: runs");
    here.server.kill();
    worker->wait_for_line("trying again");
    worker->signal(SIGTERM);
    const auto ran = worker->wait();
    INFO(ran.out << ran.err);
    CHECK(ran.status == 0);
    CHECK(ran.out.find("is left behind") != std::string::npos);

    here.server.start();
    auto next = here.worker();
    next->wait_for_line("try 2 of 5");
}

TEST_CASE("SIGTERM while Redis does not answer: what could not be reported is told, and counted")
{
    bench here;
    here.server.start();
    const auto add = [&](const std::string& end) {
        const auto script = "echo runs; until [ -e \"$1\" ]; do sleep 0.01; done; " + end;
        return here.said({"submit", "--", "sh", "-c", script, "x", here.directory / "go"});
    };
    const auto done = add("exit 0").substr(0, 16);
    const auto failed = add("exit 1").substr(0, 16);
    auto worker = here.worker({"--grace", "2s"});
    worker->wait_for_line("out: runs");
    worker->wait_for_line("out: runs");
    here.server.signal(SIGSTOP);
    task_queue::file(here.directory / "go", O_CREAT | O_WRONLY);
    worker->signal(SIGTERM);
    const auto ran = worker->wait();
    here.server.signal(SIGCONT);
    INFO(ran.out << ran.err);
    CHECK(ran.status == 0);
    for (const auto& report : {done + " is done, ", failed + " has failed: exit code 1; "}) {
        const auto told =
            fmt::format("job {}and the queue could not be told: it may run again", report);
        CHECK(ran.out.find(told) != std::string::npos);
    }
    CHECK(ran.out.find("0 done, 0 failed, 0 given back, 2 lost") != std::string::npos);
}

TEST_CASE("a worker that was stopped for longer than its lease stops the job that another has")
{
    bench here;
    here.server.start();
    here.said({"submit", "--", "sh", "-c", "echo runs; sleep 3600"});
    auto first = here.worker();
    first->wait_for_line("out: runs");
    first->signal(SIGSTOP);
    auto second = here.worker();
    second->wait_for_line("try 2 of 5");
    first->signal(SIGCONT);
    first->wait_for_line("is stopped: another worker has it");
}

TEST_CASE(
    "on Redis, too: SIGTERM gives back, and the next worker has the job at once, and all tries")
{
    bench here;
    here.server.start();
    here.lease = "1h";
    here.said({"submit", "--", "sh", "-c", "echo runs; sleep 3600"});
    auto worker = here.worker({"--grace", "50ms"});
    worker->wait_for_line("out: runs");
    worker->signal(SIGTERM);
    const auto ran = worker->wait();
    CHECK(ran.status == 0);
    CHECK(ran.out.find("is given back") != std::string::npos);
    auto next = here.worker();
    next->wait_for_line("try 1 of 5");
}
