// Which jobs there are, and which of them is next. No input or output, and no clock: what happens
// is told to it as a change, and times are given.
//
//                 submitted
//                     |
//          +----------+-----------+
//          v                      v
//       delayed --- due --->   waiting <--- requeued ---+
//          ^                      |                     |
//          |                   started                  |
//          |                      v                     |
//          +---- failed ------ running --- failed ---> dead --- forgotten --->
//              (tries left)       |     (none left)
//                                 +--- done --->
//
// The journal keeps the changes. To apply them again, in their order, gives the same table: that is
// all that a restart has to do. So apply() decides nothing by anything that is not in the change.

#pragma once

#include "task_queue/job.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace task_queue {

enum class job_state { waiting, delayed, running, dead };

// A job, and what has become of it.
struct job_entry {
    job what;
    job_state state = job_state::waiting;
    int tries = 0;                      // how often it was started
    wall_time since;                    // delayed: when it is due; dead: since when it is
    std::optional<wall_time> deadline;  // it does not start after that
    std::string error;                  // why the last try failed, or "" where none has
};

// The entry of a job that is submitted now.
job_entry submitted(job what, wall_time now);

enum class change_kind {
    put,         // `entry` is in the table from now on
    started,     //
    done,        // the job is gone, and counted
    failed,      // `text` says why; it is due again at `when`, or dead since then
    given_back,  // it waits again, and the try does not count
    buried,      // to the dead letters, whatever tries are left; `text` says why
    requeued,    // from the dead letters back to those who wait, as if it were new
    forgotten,   // from the dead letters into nothing
    counted,     // `number` jobs were done before
};

struct change {
    change_kind kind;
    std::string id = {};
    std::string text = {};
    wall_time when = {};
    std::uint64_t number = 0;
    std::optional<job_entry> entry = {};
};

std::string to_json(const change& what);

// Throws std::runtime_error when the text is not what to_json() gives.
change change_from_json(std::string_view text);

class job_table {
public:
    // Gives false, and does nothing, where that cannot happen to the job: it is not there, or there
    // already, or in a state in which it cannot.
    bool apply(const change& what);

    // Lets those wait whose time has come. No change: it would be the same at each time.
    void wake_due(wall_time now);

    // The job that should be started next, among those that wait, or null.
    const job_entry* next() const;

    // When the next delayed job is due.
    std::optional<wall_time> next_due() const;

    const job_entry* find(std::string_view id) const;

    // In the order of their ids, which is about the order in which they came.
    std::vector<const job_entry*> with_state(job_state state) const;

    std::size_t waiting(priority urgency) const;
    std::size_t delayed() const { return delayed_.size(); }
    std::size_t running() const { return running_; }
    std::size_t dead() const { return dead_; }
    std::size_t size() const { return jobs_.size(); }
    std::uint64_t done() const { return done_; }

    // The changes that make an empty table into this one.
    std::vector<change> snapshot() const;

private:
    // An entry, and its place among those in its state.
    struct placed {
        job_entry entry;
        std::uint64_t place = 0;
    };
    using jobs = std::map<std::string, placed, std::less<>>;

    bool apply_to(jobs::iterator job, const change& what);
    void enter(placed& job, job_state state);
    void leave(const placed& job);

    jobs jobs_;
    std::set<std::tuple<priority, std::uint64_t, std::string>> waiting_;
    std::set<std::tuple<wall_time, std::uint64_t, std::string>> delayed_;
    std::size_t running_ = 0;
    std::size_t dead_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t last_place_ = 0;
};

}  // namespace task_queue
