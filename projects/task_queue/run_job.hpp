// Running a job: as a child process, or as one of the few that the worker can do by itself.
//
// A command is started as it was submitted, without a shell: `sh -c '...'` is one where it is
// wanted. It finds the job's id in its environment, as TASK_QUEUE_JOB, and the number of the try as
// TASK_QUEUE_TRY. A job can be run more than once, and a command that must not have its effect
// twice can look there whether it has had it. Its stdin is empty. What it writes goes to the
// worker's log.
//
// The try has succeeded when the process has ended with exit code 0, and everything that it left
// running has closed its output.

#pragma once

#include "task_queue/work_queue.hpp"

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <stdexcept>

namespace task_queue {

class job_failed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// Runs a job, and completes when it has succeeded. Throws when it has not; what() says why.
// Cancelled, it stops what runs, and then throws operation_aborted.
using job_runner = std::function<boost::asio::awaitable<void>(const delivery&)>;

// Runs the command, or for a builtin job, does what its first word says:
//
//     append FILE TEXT   appends the text to the file, as a line
//     sleep DURATION     waits
//     fail TEXT          fails, and says that
//
// Cancelled, it sends the command SIGTERM, and two seconds later SIGKILL.
boost::asio::awaitable<void> run_job(const delivery& taken);

// Throws std::invalid_argument when a builtin job makes no sense.
void check_builtin(const job& what);

}  // namespace task_queue
