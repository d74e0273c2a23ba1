// The queue that lives in Redis, for workers on many machines.
//
// Each operation is one script (redis_scripts.hpp), so a worker can be killed between any two of
// them. What it had taken is pending in Redis, under its name. While it lives it renews the lease
// of what it runs, three times within the lease; when it has not for a whole lease, another worker
// takes the job over. If it was not dead but only slow, it hears at its next renewal that the job
// is lost, and stops it.
//
// When the connection ends, the operation is repeated on the next one, however long that takes: a
// Redis that restarts is waited for, unless the options set a limit. Only try_take() does not wait.
// Where its answer was lost, the next one brings the job that was in it, and no try is lost. For
// what Redis loses, nobody can do anything: with `appendonly yes` and `appendfsync always` it
// loses nothing that it has confirmed.

#pragma once

#include "task_queue/redis_client.hpp"
#include "task_queue/work_queue.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_queue {

struct redis_options {
    explicit redis_options(redis_address address_) : address(std::move(address_)) {}

    redis_address address;
    std::string name = "task_queue";  // of the queue: one Redis can have several

    bool quiet = false;  // tell the log nothing about the connection

    // After so long without an answer an operation throws std::runtime_error. Without one it waits
    // on, for the Redis that restarts.
    std::optional<milliseconds> patience = std::nullopt;

    // After so long without a sign of life a worker counts as dead. It has to be the same for all
    // workers of a queue: each goes by its own, for the others and for how often it renews.
    milliseconds lease = std::chrono::seconds(30);
};

class redis_queue : public queue_client, public work_source {
public:
    explicit redis_queue(redis_options options);

    boost::asio::awaitable<void> submit(std::vector<job> jobs, ids_handler tell) override;
    boost::asio::awaitable<queue_status> status() override;
    boost::asio::awaitable<std::vector<dead_letter>> dead() override;
    boost::asio::awaitable<void> deal_with_dead(
        dead_action action, std::vector<std::string> ids, ids_handler tell) override;

    // Keeps the connections, and renews the leases.
    boost::asio::awaitable<void> run() override;
    boost::asio::awaitable<std::optional<delivery>> try_take() override;
    boost::asio::awaitable<void> wait_for_work(common::duration longest) override;
    boost::asio::awaitable<bool> is_empty() override;
    boost::asio::awaitable<void> done(const delivery& taken) override;
    boost::asio::awaitable<after_failure> failed(
        const delivery& taken, std::string error, milliseconds pause) override;
    boost::asio::awaitable<void> give_back(const delivery& taken) override;
    boost::asio::awaitable<void> leave() override;

private:
    // Once, and throws connection_lost.
    boost::asio::awaitable<redis_reply> run_once(
        std::string_view script, std::vector<std::string> arguments);

    // Until there is an answer.
    boost::asio::awaitable<redis_reply> repeat(
        std::string_view script, std::vector<std::string> arguments);

    // The same, but not beyond the patience.
    boost::asio::awaitable<redis_reply> run_script(
        std::string_view script, std::vector<std::string> arguments);
    boost::asio::awaitable<void> keep_leases();
    boost::asio::awaitable<void> renew_leases();

    const redis_options options_;
    const std::string consumer_;
    redis_client client_;
    redis_client sleeper_;  // for the one command that waits inside Redis

    // What this worker runs: the place of each delivery, and the event that says it is lost.
    std::map<std::string, std::shared_ptr<common::event>> held_;
    bool unanswered_ = false;        // a take was sent, and it may have taken a job not in held_
    common::time_point renewed_{};   // when this last asked for leases, or for more time
    common::duration next_due_{};    // what the last try_take() has learnt: until the next is due,
    std::vector<std::string> seen_;  // and the last entry of each stream
};

}  // namespace task_queue
