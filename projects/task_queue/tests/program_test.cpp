// The program as users run it, on a journal: real child processes, signals, and kill -9.

#include "tests/support/program.hpp"
#include "task_queue/file.hpp"
#include "task_queue/job.hpp"
#include "task_queue/tests/helpers.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/types.h>

using namespace std::chrono_literals;
using support::background_program;
using support::program_options;
using support::program_run;
using task_queue::read_file;
using task_queue::tests::job_lines;
using task_queue::tests::lines_of;
using task_queue::tests::temporary_directory;

namespace {

// A directory with a journal, and the program on that.
struct bench {
    std::vector<std::string> with_journal(std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.begin() + 1, {"--journal", directory / "j"});
        return arguments;
    }

    // Runs the program to its end.
    program_run run(std::vector<std::string> arguments) const
    {
        program_options options;
        options.arguments = with_journal(std::move(arguments));
        return support::run_program(PROGRAM, options);
    }

    // Runs a line of shell, with the program, the journal and `argument` as $0, $1 and $2.
    program_run run_by_shell(const std::string& line, const std::string& argument) const
    {
        program_options options;
        options.arguments = {"-c", line, PROGRAM, directory / "j", argument};
        return support::run_program("/bin/sh", options);
    }

    // The same where it has to end well. Gives what it has printed.
    std::string said(std::vector<std::string> arguments) const
    {
        const auto ran = run(std::move(arguments));
        INFO(ran.out << ran.err);
        REQUIRE(ran.status == 0);
        return ran.out;
    }

    std::string submit(std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.begin(), "submit");
        const auto id = said(std::move(arguments));
        REQUIRE(id.size() == 17);
        return id.substr(0, 16);
    }

    // Adds `append done NUMBER` for the numbers from `first` to `end`, without that, by one submit.
    void submit_numbers(int first, int end) const
    {
        program_options options;
        options.arguments = with_journal(
            {"submit", "--each-line", "--builtin", "--tries", "50", "append", directory / "done"});
        background_program submit(PROGRAM, options);
        submit.write(job_lines(first, end));
        submit.close_input();
        const auto ran = submit.wait();
        REQUIRE(ran.status == 0);
        REQUIRE(lines_of(ran.out).size() == static_cast<std::size_t>(end - first));
    }

    background_program worker(std::vector<std::string> arguments = {}) const
    {
        arguments.insert(arguments.begin(), "worker");
        program_options options;
        options.arguments = with_journal(std::move(arguments));
        return background_program(PROGRAM, options);
    }

    std::string text_of(const std::string& name) const { return read_file(directory / name); }

    temporary_directory directory;
};

// Waits until it is so. A test that waits in vain is ended by ctest.
template <class Condition>
void wait_until(Condition condition)
{
    while (!condition()) {
        std::this_thread::sleep_for(10ms);
    }
}

bool is_there(pid_t process)
{
    return ::kill(process, 0) == 0;
}

}  // namespace

TEST_CASE("a command is run with its arguments as they are, its id, and its output in the log")
{
    const bench here;
    const auto id = here.submit(
        {"--", "sh", "-c", "echo \"$TASK_QUEUE_JOB $TASK_QUEUE_TRY <$1>\"; echo oh >&2", "x",
         " two  words "});
    const auto log = here.said({"worker", "--until-empty"});
    const support::transcript said(log);
    CHECK(said.has(fmt::format("{0} out: {0} 1 < two  words >", id)));
    CHECK(said.has(id + " err: oh"));
    CHECK(said.count_containing(fmt::format("job {} is done", id)) == 1);
    CHECK(here.said({"status"}).find("done     1\n") != std::string::npos);
}

TEST_CASE(
    "a command that fails, dies or does not exist is tried again, and is a dead letter in the end")
{
    const bench here;
    const std::vector<std::string> twice = {"--tries", "2", "--backoff", "10ms"};
    const auto add = [&](std::vector<std::string> words) {
        words.insert(words.begin(), twice.begin(), twice.end());
        return here.submit(std::move(words));
    };
    const auto fails = add({"--", "sh", "-c", "exit 3"});
    const auto dies = add({"--", "sh", "-c", "kill -9 $$"});
    const auto ghost = add({"--", "no-such-program", "a b"});
    const auto late = add({"--time-limit", "50ms", "--", "sleep", "60"});
    const auto log = support::transcript(here.said({"worker", "--until-empty"}));
    for (const auto& id : {fails, dies, ghost, late}) {
        CHECK(log.count_containing(fmt::format("job {} starts, try 1 of 2", id)) == 1);
        CHECK(log.count_containing(fmt::format("job {} starts, try 2 of 2", id)) == 1);
        CHECK(log.count_containing(fmt::format("job {} starts", id)) == 2);
    }

    const auto dead = here.said({"dead"});
    CHECK(dead.find(fails + "  2 of 2 tries  sh -c \"exit 3\"  (exit code 3)\n") != dead.npos);
    CHECK(dead.find("(signal 9 (Killed))\n") != dead.npos);
    CHECK(dead.find("no-such-program \"a b\"  (cannot start no-such-program: ") != dead.npos);
    CHECK(dead.find(late + "  2 of 2 tries  sleep 60  (took longer than 50 ms)\n") != dead.npos);

    CHECK(here.said({"dead", "requeue", fails}) == fails + "\n");
    const auto again = here.run({"dead", "requeue", fails, "nobody", dies});
    CHECK(again.status == 1);
    CHECK(again.out == dies + "\n");
    CHECK(again.err.find("no dead letter: " + fails + " nobody") != std::string::npos);
    CHECK(here.said({"dead", "forget", "--all"}) == ghost + "\n" + late + "\n");
    CHECK(here.said({"dead"}).empty());
    CHECK(here.said({"status"}).find("waiting  2 ") != std::string::npos);
}

TEST_CASE("what steers a terminal is shown escaped, in the log and among the dead letters")
{
    const bench here;
    const auto id = here.submit(
        {"--tries", "1", "--builtin", "fail", "wrong \x1b[2J\x7f \"h\u00e9re\" \u009b2J"});
    const auto log = here.said({"worker", "--until-empty"});
    const auto dead = here.said({"dead"});
    for (const auto& shown : {log, dead}) {
        CHECK(shown.find("wrong \\x1b[2J\\x7f \"h\u00e9re\" \xc2\\x9b2J") != std::string::npos);
        for (const auto* const raw : {"\x1b", "\x7f", "\u009b"}) {
            CHECK(shown.find(raw) == std::string::npos);
        }
    }
    CHECK(dead.starts_with(id));
}

TEST_CASE("a command line that makes no sense is refused with status 2, and adds nothing")
{
    const bench here;
    const std::vector<std::vector<std::string>> bad = {
        {"submit"},
        {"submit", "--priority", "urgent", "x"},
        {"submit", "--delay", "soon", "x"},
        {"submit", "--tries", "0", "x"},
        {"submit", "--builtin", "no-such-thing"},
        {"submit", "--no-such-option", "x"},
        {"worker", "--jobs", "0"},
        {"worker", "--redis", "localhost"},
        {"submit", "--redis", "", "x"},
        {"worker", "--redis", "localhost:1", "--lease", "99ms"},
        {"dead", "requeue"},
        {"no-such-command"},
    };
    for (const auto& arguments : bad) {
        const auto ran = here.run(arguments);
        INFO(fmt::format("{}", fmt::join(arguments, " ")));
        CHECK(ran.status == 2);
        CHECK(ran.out.empty());
        CHECK_FALSE(ran.err.empty());
    }
    CHECK(here.said({"status"}).starts_with("waiting  0 "));
    CHECK_FALSE(std::filesystem::exists(here.directory / "j.spool"));
    CHECK(here.run({"--help"}).status == 0);
}

TEST_CASE("output that cannot be written is an error, and the jobs are submitted all the same")
{
    const bench here;
    for (const auto* const count : {"1", "1000"}) {  // one buffer, and more than that
        const auto ran = here.run_by_shell(
            "seq \"$2\" | \"$0\" --journal \"$1\" submit --each-line --builtin fail >/dev/full",
            count);
        CHECK(ran.status == 1);
        CHECK(ran.err.starts_with("task_queue: submitted, but the ids are lost: "));
    }
    CHECK(here.said({"status"}).starts_with("waiting  1001 "));
    for (const auto* const command : {"status", "--help"}) {
        const auto ran =
            here.run_by_shell("exec \"$0\" --journal \"$1\" \"$2\" >/dev/full", command);
        CHECK(ran.status == 1);
        CHECK(ran.err == "task_queue: cannot write to stdout\n");
    }
}

TEST_CASE("started with closed standard streams, it prints into nothing, and not into the journal")
{
    const bench here;
    for (const std::string closed : {"<&-", ">&-", "2>&-", "<&- >&- 2>&-"}) {
        CAPTURE(closed);
        const auto run = [&](const std::string& command) {
            return here.run_by_shell("exec \"$0\" --journal \"$1\" " + command + closed, "").status;
        };
        CHECK(run("submit -- sh -c 'echo out; echo err >&2' ") == 0);
        CHECK(run("status ") == 0);
        CHECK(run("nonsense ") == 2);
        CHECK(run("worker --until-empty ") == 0);
    }
    CHECK(here.said({"status"}).find("done     4\n") != std::string::npos);
}

TEST_CASE("many jobs at once have the descriptors that the system allows, and not those of a shell")
{
    const bench here;
    const auto ran = here.run_by_shell(
        // Each job waits until all have begun.
        "ulimit -Sn 64; seq 30 | \"$0\" --journal \"$1\" submit --each-line -- sh -c "
        "': > \"$0.$1\"; until set -- \"$0\".*; [ $# = 30 ]; do sleep 0.1; done' \"$2\" && "
        "exec \"$0\" --journal \"$1\" worker --until-empty --jobs 30",
        here.directory / "begun");
    INFO(ran.out << ran.err);
    CHECK(ran.out.find("leaves: 30 done, 0 failed") != std::string::npos);
}

TEST_CASE("a worker that runs finds what is submitted, and a second worker is refused")
{
    const bench here;
    auto first = here.worker();
    first.wait_for_line("works on");
    here.submit({"--builtin", "append", here.directory / "done", "1"});
    first.wait_for_line("is done");
    here.submit({"--builtin", "append", here.directory / "done", "2"});
    first.wait_for_line("is done");
    CHECK(here.text_of("done") == "1\n2\n");

    const auto second = here.run({"worker"});
    CHECK(second.status == 1);
    CHECK(
        second.err.find(fmt::format("a worker that is running, with process id {}", first.id())) !=
        std::string::npos);
    first.signal(SIGTERM);
    CHECK(first.wait().status == 0);
    CHECK(here.run({"worker", "--until-empty"}).status == 0);
}

TEST_CASE("SIGTERM: what runs is finished, nothing more is taken")
{
    const bench here;
    here.submit(
        {"--", "sh", "-c",
         fmt::format("until [ -e {} ]; do sleep 0.01; done", (here.directory / "go").string())});
    here.submit({"--builtin", "append", here.directory / "done", "1"});
    auto worker = here.worker({"--jobs", "1", "--grace", "1h"});
    worker.wait_for_line("starts");
    worker.signal(SIGTERM);
    worker.wait_for_line("told to stop");
    here.said({"submit", "--builtin", "append", here.directory / "go", "x"});
    task_queue::file(here.directory / "go", O_CREAT | O_WRONLY);
    const auto ran = worker.wait();
    CHECK(ran.status == 0);
    CHECK(ran.out.find("leaves: 1 done, 0 failed, 0 given back") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(here.directory / "done"));
    CHECK(here.said({"status"}).starts_with("waiting  2 "));
}

TEST_CASE(
    "SIGTERM: what does not finish in time is stopped and given back, and its try does not count")
{
    const bench here;
    here.submit({"--", "sh", "-c", "echo \"pid $$\"; exec sleep 3600"});
    auto worker = here.worker({"--grace", "100ms"});
    const auto line = worker.wait_for_line("out: pid ");
    const auto child = std::stoi(line.substr(line.rfind(' ')));
    CHECK(is_there(child));
    worker.signal(SIGTERM);
    const auto ran = worker.wait();
    CHECK(ran.status == 0);
    CHECK(ran.out.find("is given back") != std::string::npos);
    CHECK_FALSE(is_there(child));
    CHECK(here.said({"status"}).starts_with("waiting  1 "));

    auto next = here.worker();
    next.wait_for_line("try 1 of 5");
}

TEST_CASE("a second signal leaves at once, kills what runs, and the job is run again")
{
    const bench here;
    here.submit({"--tries", "3", "--", "sh", "-c", "trap '' TERM; echo \"pid $$\"; sleep 3600"});
    auto worker = here.worker({"--grace", "1h"});
    const auto line = worker.wait_for_line("out: pid ");
    const auto child = std::stoi(line.substr(line.rfind(' ')));
    worker.signal(SIGINT);
    worker.wait_for_line("told to stop");
    worker.signal(SIGTERM);
    CHECK(worker.wait().status == 128 + SIGTERM);
    CHECK_FALSE(is_there(child));

    auto next = here.worker();
    next.wait_for_line("was running when its worker died");
    next.wait_for_line("try 2 of 3");
}

TEST_CASE("a worker that is killed takes its child along, and after its last try a job is dead")
{
    const bench here;
    here.submit({"--tries", "2", "--", "sh", "-c", "echo \"pid $$\"; exec sleep 3600"});
    for (const std::string tried : {"try 1 of 2", "try 2 of 2"}) {
        auto worker = here.worker();
        worker.wait_for_line(tried);
        const auto line = worker.wait_for_line("out: pid ");
        const auto child = std::stoi(line.substr(line.rfind(' ')));
        worker.signal(SIGKILL);
        CHECK(worker.wait().status == 128 + SIGKILL);
        wait_until([&] { return !is_there(child); });
    }
    here.said({"worker", "--until-empty"});
    CHECK(here.said({"dead"}).find("(its worker died)") != std::string::npos);
}

TEST_CASE("kill -9 in the middle of thousands of jobs: each is done at least once, none is lost")
{
    const bench here;
    const auto done = [&] { return static_cast<int>(lines_of(here.text_of("done")).size()); };
    int jobs = 0;
    int kills = 0;
    // A kill counts where it leaves jobs undone. A test that is held up for long comes too late.
    for (int in_the_middle = 0; in_the_middle < 5; ++kills) {
        here.submit_numbers(jobs, jobs + 1000);
        jobs += 1000;
        const int before = done();
        auto worker = here.worker({"--jobs", "4"});
        wait_until([&] { return done() >= before + 300; });
        worker.signal(SIGKILL);
        CHECK(worker.wait().status == 128 + SIGKILL);
        in_the_middle += done() < jobs ? 1 : 0;
    }
    here.said({"worker", "--until-empty"});
    const auto result = task_queue::tests::count_numbers(here.text_of("done"), jobs);
    CHECK(result.missing == 0);
    CHECK(result.strange == 0);
    CHECK(result.duplicates <= kills * 4);  // what ran when it was killed, and no more
    fmt::print("{} jobs, {} kills, {} done twice\n", jobs, kills, result.duplicates);
    CHECK(
        here.said({"status"}) ==
        fmt::format(
            "waiting  0 (0 high, 0 normal, 0 low)\ndelayed  0\nrunning  0\ndead     0\n"
            "done     {}\n",
            jobs));
}

TEST_CASE(
    "submits that are killed at any moment: what they have acknowledged is there, and nothing is "
    "torn")
{
    const bench here;
    auto worker = here.worker();
    worker.wait_for_line("works on");
    std::minstd_rand chance(20'000);
    int submits = 0;
    int promised = 0;
    // Where the machine is slow, they get more time, until some have come to their end.
    for (; submits < 60 || promised == 0 || promised == submits; ++submits) {
        program_options options;
        options.arguments = here.with_journal(
            {"submit", "--builtin", "append", here.directory / "done", std::to_string(submits)});
        background_program submit(PROGRAM, options);
        std::this_thread::sleep_for(
            std::chrono::microseconds(chance() % 10'000) * (1 + submits / 60));
        submit.signal(SIGKILL);
        promised += static_cast<int>(lines_of(submit.wait().out).size());
    }
    const auto done = [&] { return lines_of(here.text_of("done")).size(); };
    wait_until([&] { return done() >= static_cast<std::size_t>(promised); });
    worker.signal(SIGTERM);
    CHECK(worker.wait().status == 0);
    here.said({"worker", "--until-empty"});
    const auto result = task_queue::tests::count_numbers(here.text_of("done"), submits);
    CHECK(result.duplicates == 0);
    CHECK(submits - result.missing >= promised);
    fmt::print(
        "{} submits killed, {} acknowledged, {} done\n", submits, promised,
        submits - result.missing);
}

TEST_CASE("a log line without an end, and one that is too long, do not stop a job")
{
    const bench here;
    const auto id = here.submit(
        {"--", "sh", "-c", "head -c 100000 /dev/zero | tr '\\0' x; printf 'y\\n\\nno end'"});
    const auto log = here.said({"worker", "--until-empty"});
    const support::transcript said(log);
    CHECK(said.has(id + " out: no end"));
    CHECK(said.count_containing("is done") == 1);
    CHECK(log.size() > 100'000);
}
