// The worker: takes jobs from a queue, runs several at a time, and reports what became of each.
//
// One coroutine takes jobs, and starts another for each. It takes none before it has a permit of a
// semaphore, so there are never more than allowed, and the next job is chosen when there is room
// for it: what came last may be the most urgent.
//
// Told to stop, it takes no more. What runs has the grace to finish. Then it is cancelled, a
// command is stopped, and the job is given back to the queue as if this try had not been. The queue
// has two seconds to hear of a job then; of one that it has not heard of, it finds out by itself.

#pragma once

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/semaphore.hpp"
#include "common/task_group.hpp"
#include "task_queue/run_job.hpp"
#include "task_queue/work_queue.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>

namespace task_queue {

struct worker_options {
    std::size_t at_once = 4;
    common::duration grace = std::chrono::seconds(10);
    bool until_empty = false;  // stop when no job is left
    std::uint32_t seed = std::random_device()();
};

class worker {
public:
    // The queue must outlive it.
    worker(work_source& queue, job_runner run, const worker_options& options);

    // Completes when `stop` has been set, or the queue is empty where the options say so, and all
    // that ran has ended. Throws what the queue throws, and then what ran is cancelled.
    boost::asio::awaitable<void> run(common::event& stop);

    // How many tries ended in which way.
    struct counts {
        std::size_t done = 0;
        std::size_t failed = 0;
        std::size_t given_back = 0;
        std::size_t lost = 0;  // to another worker, or because the queue could not be told
    };
    const counts& ended() const { return ended_; }

private:
    boost::asio::awaitable<void> hand_out(common::task_group& running, common::event& stop);
    boost::asio::awaitable<void> finish();
    boost::asio::awaitable<void> work_on(delivery taken, common::semaphore::permit slot);
    boost::asio::awaitable<void> report_failure(
        const delivery& taken, std::string error, bool leaving);

    work_source& queue_;
    const job_runner run_;
    const worker_options options_;
    common::semaphore slots_;
    std::minstd_rand chance_;
    counts ended_;
};

}  // namespace task_queue
