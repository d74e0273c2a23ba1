// task_queue · Jobs that run at least once
//
// Idea     A job is written down before it is promised, and crossed out after it is done.
// Lessons  007_semaphore, 009_event, 013_subprocess, 014_timeouts, 019_transports_and_protocols
// Run      ./learn run task_queue --help
// Read     projects/task_queue/README.md, and docs/progression.md, Part V

#include "common/command_line.hpp"
#include "common/run.hpp"
#include "task_queue/commands.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Error.hpp>
#include <CLI/Formatter.hpp>

#include <exception>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace task_queue;

// An option whose text `parse` turns into a value; it throws std::invalid_argument for what it
// cannot.
template <class Value, class Parse>
void add_parsed(
    CLI::App* command, const std::string& name, Value& value, Parse parse, const std::string& type,
    const std::string& help)
{
    const auto read = [&value, parse](const std::string& text) {
        try {
            value = parse(text);
        } catch (const std::invalid_argument& refusal) {
            throw CLI::ValidationError(refusal.what());
        }
    };
    command->add_option_function<std::string>(name, read, help)->type_name(type);
}

template <class Value>
void add_duration(CLI::App* command, const std::string& name, Value& value, const std::string& help)
{
    add_parsed(command, name, value, parse_duration, "DURATION", help);
}

void add_place(CLI::App& app, queue_place& place)
{
    app.add_option("--journal", place.journal, "The file that the queue lives in")
        ->capture_default_str();
    app.add_option("--redis", place.redis, "In its place, a Redis: HOST:PORT or unix:PATH")
        ->check([](const std::string& text) { return text.empty() ? "no address" : ""; });
    app.add_option("--queue", place.name, "The name of the queue in Redis")->capture_default_str();
    add_duration(
        &app, "--lease", place.lease,
        "After so long without a sign of life a worker on Redis counts as dead; the same for all "
        "workers of a queue; 30s");
    add_duration(
        &app, "--patience", place.patience,
        "How long submit and others wait for an answer of Redis; 10s");
}

CLI::App* add_submit(CLI::App& app, submit_options& options)
{
    auto* const submit = app.add_subcommand(
        "submit", "Add a job, and print its id: submit [OPTIONS] -- COMMAND [ARGUMENT...]");
    submit->add_option("COMMAND", options.like.words, "What to run; put -- in front of it")
        ->required();
    add_parsed(
        submit, "--priority", options.like.urgency, parse_priority, "PRIORITY",
        "high, normal or low; normal");
    add_duration(submit, "--delay", options.like.delay, "Do not start it before");
    add_duration(submit, "--expires", options.like.lifetime, "Do not start it after");
    add_duration(submit, "--time-limit", options.like.time_limit, "Stop a try that takes longer");
    submit->add_option("--tries", options.like.max_tries, "How often it may be started")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    add_duration(submit, "--backoff", options.like.backoff, "Pause after the first failure; 1s");
    add_duration(submit, "--longest-backoff", options.like.longest_backoff, "Longest pause; 5m");
    submit->add_flag(
        "--builtin", options.like.builtin,
        "COMMAND is one of the worker's own: append FILE TEXT, sleep DURATION, fail TEXT");
    submit->add_flag(
        "--each-line", options.each_line,
        "A job for each line of stdin, with the line as its last argument");
    return submit;
}

CLI::App* add_worker(CLI::App& app, worker_options& options)
{
    auto* const worker = app.add_subcommand("worker", "Run jobs, until it is told to stop");
    worker->add_option("--jobs", options.at_once, "How many run at once")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    add_duration(
        worker, "--grace", options.grace,
        "What runs may take so long when it is told to stop; 10s");
    worker->add_flag("--until-empty", options.until_empty, "Stop when no job is left");
    return worker;
}

CLI::App* add_dead(
    CLI::App* dead, const std::string& name, const std::string& help, std::vector<std::string>& ids,
    bool& all)
{
    auto* const command = dead->add_subcommand(name, help);
    auto* const which = command->add_option_group("which");
    which->add_option("ID", ids, "Those with these ids");
    which->add_flag("--all", all, "All of them");
    which->require_option(1);
    return command;
}

// Gives the exit status.
int run(const std::function<void()>& command)
{
    try {
        command();
        flush_stdout();
        return 0;
    } catch (const common::usage_error& failure) {
        common::complain("task_queue", failure.what());
        return 2;
    } catch (const left_at_once& second) {
        return 128 + second.signal;
    } catch (const std::exception& failure) {
        common::complain("task_queue", failure.what());
        return 1;
    }
}

}  // namespace

int main(int argc, char** argv)
{
    common::open_standard_streams();
    CLI::App app("Runs jobs at least once, whatever crashes.", "task_queue");
    app.require_subcommand(1);
    app.fallthrough();

    queue_place place;
    add_place(app, place);
    submit_options to_submit;
    const auto* const submit = add_submit(app, to_submit);
    worker_options at_work;
    const auto* const worker = add_worker(app, at_work);
    const auto* const status = app.add_subcommand("status", "Count the jobs");
    auto* const dead = app.add_subcommand("dead", "List the dead letters, or deal with them");
    std::vector<std::string> ids;
    bool all = false;
    const auto* const requeue = add_dead(dead, "requeue", "Run them again", ids, all);
    const auto* const forget = add_dead(dead, "forget", "Remove them", ids, all);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& outcome) {
        // --help, for one, comes here too.
        const int told = run([&] { app.exit(outcome); });
        return outcome.get_exit_code() == 0 ? told : 2;
    }

    const auto chosen = [&] {
        return *submit    ? task_queue::submit(place, to_submit)
               : *worker  ? work(place, at_work)
               : *status  ? print_status(place)
               : *requeue ? deal_with_dead(place, dead_action::requeue, ids)
               : *forget  ? deal_with_dead(place, dead_action::forget, ids)
                          : print_dead(place);
    };
    // Other programs have no virtual time.
    return run([&] { common::run(chosen(), common::clock_mode::steady); });
}
