// What every queue can do, wherever it keeps its jobs.
//
// There are two sides. Who brings work and asks about it has a queue_client. Who does the work has
// a work_source: it takes a job, which then is nobody else's, and says in the end what became of
// it. What was taken and never reported, because the worker died, is given out again, so a job is
// done at least once: twice, when a worker dies between its work and its report.

#pragma once

#include "common/clock.hpp"
#include "common/event.hpp"
#include "task_queue/job.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace task_queue {

struct queue_status {
    std::size_t waiting[3] = {};  // by priority
    std::size_t delayed = 0;
    std::optional<milliseconds> next_due = std::nullopt;  // from now
    std::size_t running = 0;
    std::size_t dead = 0;
    std::uint64_t done = 0;
};

struct dead_letter {
    job what;
    int tries = 0;
    std::string error;
};

enum class dead_action {
    requeue,  // it has its tries again
    forget,   // it is removed
};

// Is told the ids of those for which it is certain that what was asked for has come about. Must not
// throw.
using ids_handler = std::function<void(const std::vector<std::string>& ids)>;

inline const ids_handler tell_nobody = [](const auto&) {};

// A long list goes in parts. So when one of these throws, what `tell` was told of has come about,
// and of the rest it is not known.
class queue_client {
public:
    virtual ~queue_client() = default;

    // When it completes, the jobs are safe. Jobs that the queue knows already are left as they are,
    // so that the call can be repeated when it is not known whether it worked.
    virtual boost::asio::awaitable<void> submit(std::vector<job> jobs, ids_handler tell) = 0;

    virtual boost::asio::awaitable<queue_status> status() = 0;
    virtual boost::asio::awaitable<std::vector<dead_letter>> dead() = 0;

    // Does this to the dead jobs among these, and leaves out others.
    virtual boost::asio::awaitable<void> deal_with_dead(
        dead_action action, std::vector<std::string> ids, ids_handler tell) = 0;
};

// A job that has been taken, and is to be reported.
struct delivery {
    job what;
    int tries = 0;      // this one included
    std::string place;  // where the queue keeps it; for the queue only

    // Set when the queue has given the job to somebody else. There is nothing to report then.
    std::shared_ptr<common::event> lost = std::make_shared<common::event>();
};

enum class after_failure {
    again,  // it is tried again, after the pause
    dead,   // that was the last try
    lost,   // the queue had given it to somebody else
};

class work_source {
public:
    virtual ~work_source() = default;

    // What the queue has to do by itself while jobs are taken and run. Does not end before it is
    // cancelled. Throws when the queue cannot go on.
    virtual boost::asio::awaitable<void> run() = 0;

    // The job that is next, or nothing where none is ready. Not to be cancelled: the job might be
    // taken and nobody know it. So it is quick, and does not wait for a server that is away.
    virtual boost::asio::awaitable<std::optional<delivery>> try_take() = 0;

    // Completes when it is worth trying again, and after `longest` at the latest.
    virtual boost::asio::awaitable<void> wait_for_work(common::duration longest) = 0;

    // Whether there is no job left, neither waiting nor delayed nor running. Dead ones don't count.
    // Does not wait for a server that is away: false.
    virtual boost::asio::awaitable<bool> is_empty() = 0;

    // The three reports. They complete when the queue knows. One that was cancelled can be made
    // again. What was given back does not count as a try.
    virtual boost::asio::awaitable<void> done(const delivery& taken) = 0;
    virtual boost::asio::awaitable<after_failure> failed(
        const delivery& taken, std::string error, milliseconds pause) = 0;
    virtual boost::asio::awaitable<void> give_back(const delivery& taken) = 0;

    // The worker takes no more, and has reported all.
    virtual boost::asio::awaitable<void> leave() = 0;
};

// Runs `body`, an awaitable<void>() that uses the queue, beside what the queue does by itself.
// Throws what the body throws; when the queue cannot go on, cancels the body, and throws why.
boost::asio::awaitable<void> with_queue(
    work_source& queue, const std::function<boost::asio::awaitable<void>()>& body);

}  // namespace task_queue
