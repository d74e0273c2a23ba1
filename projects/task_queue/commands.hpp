// What the program can be told to do. Each command is a coroutine that runs to its end; it prints
// to stdout, and throws what goes wrong: common::usage_error where the command line makes no sense.

#pragma once

#include "task_queue/job.hpp"
#include "task_queue/work_queue.hpp"
#include "task_queue/worker.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

namespace task_queue {

// Which queue it is about.
struct queue_place {
    std::string journal = "task_queue.journal";
    std::string redis;  // its address, or "" where the queue is in the journal
    std::string name = "task_queue";
    milliseconds lease = std::chrono::seconds(30);
    milliseconds patience = std::chrono::seconds(10);  // with a Redis that gives no answer
};

struct submit_options {
    job like;                // without an id
    bool each_line = false;  // a job for each line of stdin, with the line as its last word
};

// A second signal has come: the worker leaves without finishing anything. Thrown past everything
// that runs, out of common::run.
class left_at_once : public std::runtime_error {
public:
    explicit left_at_once(int number) : std::runtime_error("left at once"), signal(number) {}

    int signal;
};

// Brings what was printed to where stdout goes. Throws std::runtime_error where something was
// lost.
void flush_stdout();

// Prints the id of each job, once it is safe.
boost::asio::awaitable<void> submit(const queue_place& place, const submit_options& options);

// Works until the first SIGINT or SIGTERM, or until the queue is empty where the options say so.
boost::asio::awaitable<void> work(const queue_place& place, const worker_options& options);

boost::asio::awaitable<void> print_status(const queue_place& place);
boost::asio::awaitable<void> print_dead(const queue_place& place);

// For the dead letters with these ids, or without any, for all. Throws std::runtime_error when
// there is none of an id, after it has dealt with the others.
boost::asio::awaitable<void> deal_with_dead(
    const queue_place& place, dead_action action, std::vector<std::string> ids);

}  // namespace task_queue
