// The queue that lives in the worker's own process: a job_table, a journal that has all of it on
// disk, and a spool through which other programs bring work.
//
// Each change is written into the journal before it is made. What must be on the disk is a job that
// somebody has been promised: submit() returns after a sync. The other changes are handed to the
// system and reach the disk with the next sync. The program can be killed at any time and none is
// lost. Should the machine lose its power, the last of them may be, and then a job that was done is
// done again.

#pragma once

#include "common/event.hpp"
#include "task_queue/job_table.hpp"
#include "task_queue/journal.hpp"
#include "task_queue/spool.hpp"
#include "task_queue/work_queue.hpp"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace task_queue {

// Gives the time. A test gives its own.
using wall_clock = std::function<wall_time()>;

wall_time system_time();

class local_queue : public queue_client, public work_source {
public:
    // In memory only.
    explicit local_queue(wall_clock clock = system_time);

    // With a journal: goes on where that ends. A job that was running when the last worker died has
    // failed that try. Throws as the constructor of journal does.
    explicit local_queue(const std::filesystem::path& journal, wall_clock clock = system_time);

    boost::asio::awaitable<void> submit(std::vector<job> jobs, ids_handler tell) override;
    boost::asio::awaitable<queue_status> status() override;
    boost::asio::awaitable<std::vector<dead_letter>> dead() override;
    boost::asio::awaitable<void> deal_with_dead(
        dead_action action, std::vector<std::string> ids, ids_handler tell) override;

    boost::asio::awaitable<void> run() override;
    boost::asio::awaitable<std::optional<delivery>> try_take() override;
    boost::asio::awaitable<void> wait_for_work(common::duration longest) override;
    boost::asio::awaitable<bool> is_empty() override;
    boost::asio::awaitable<void> done(const delivery& taken) override;
    boost::asio::awaitable<after_failure> failed(
        const delivery& taken, std::string error, milliseconds pause) override;
    boost::asio::awaitable<void> give_back(const delivery& taken) override;
    boost::asio::awaitable<void> leave() override;

    // Replaces the journal by a short one when it is long, and twice as long as after the last
    // time. So all rewrites together write at most twice what was appended. Where that fails it
    // tells the log.
    void compact_if_worthwhile();

    // What is there, for tests.
    const job_table& jobs() const { return table_; }
    const std::optional<journal>& kept_in() const { return journal_; }

private:
    void recover();
    void take_letters();
    void commit(const std::vector<change>& changes);
    void commit(
        change_kind kind, const std::string& id, std::string text = {}, wall_time when = {});

    wall_clock clock_;
    std::optional<journal> journal_;
    std::optional<spool> spool_;
    std::size_t compacted_size_ = 0;  // of the journal, after the last rewrite, or attempt at one
    job_table table_;
    common::event news_;  // that there may be something to take
};

// For programs beside the worker: leaves what it is asked for in the spool, and answers questions
// from what is on disk.
class spool_client : public queue_client {
public:
    explicit spool_client(std::filesystem::path journal);

    boost::asio::awaitable<void> submit(std::vector<job> jobs, ids_handler tell) override;
    boost::asio::awaitable<queue_status> status() override;
    boost::asio::awaitable<std::vector<dead_letter>> dead() override;
    boost::asio::awaitable<void> deal_with_dead(
        dead_action action, std::vector<std::string> ids, ids_handler tell) override;

private:
    job_table read() const;

    std::filesystem::path journal_;
    spool spool_;
};

}  // namespace task_queue
