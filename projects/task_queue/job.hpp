// A job: a command line, and how it is to be run.
//
// A job is plain data. It is written into the journal and into Redis as JSON, so that a person can
// read it there. Its id is made by whoever submits it, and not by the queue: a submission whose
// answer got lost can then be sent again, and the queue sees that it knows the job already.

#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace task_queue {

using std::chrono::milliseconds;

// Time that means the same after a restart: milliseconds since 1970.
using wall_time = std::chrono::sys_time<milliseconds>;

// The jobs of one priority run in the order in which they came. One of a lower priority runs when
// no job of a higher one is ready.
enum class priority { high, normal, low };

inline constexpr priority priorities[] = {priority::high, priority::normal, priority::low};

std::string_view name_of(priority urgency);

// Throws std::invalid_argument when there is no such priority.
priority parse_priority(std::string_view name);

struct job {
    std::string id;

    // A program and its arguments. With `builtin` the program is one that the worker has in it:
    // see run_job.hpp.
    std::vector<std::string> words;
    bool builtin = false;

    priority urgency = priority::normal;

    // From the submission: the job does not start before the one, and not after the other.
    milliseconds delay{0};
    std::optional<milliseconds> lifetime;

    // How often it may be started, the first time included. After the last one that failed it goes
    // to the dead letters.
    int max_tries = 5;

    // The time that one try may take.
    std::optional<milliseconds> time_limit;

    // The pause after the first try that failed, and the longest pause: see backoff.hpp.
    milliseconds backoff = std::chrono::seconds(1);
    milliseconds longest_backoff = std::chrono::minutes(5);
};

// A new id, 16 letters and digits. Those that one program makes sort in the order in which it made
// them; those of two programs differ, since half of each is random.
std::string new_job_id();

// The JSON of a job, without its id, on one line. Arguments need not be UTF-8.
std::string to_json(const job& what);

// Throws std::runtime_error when the text is not what to_json() gives.
job job_from_json(std::string id, std::string_view text);

// The command line, for people: words with a blank in them are quoted.
std::string command_line(const job& what);

// Text for people, in which what steers a terminal is escaped.
std::string shown(std::string_view text);

// "250ms", "10s", "1.5m", "2h", "1d"; a number alone is seconds. Throws std::invalid_argument for
// anything else, and for more than a hundred years.
milliseconds parse_duration(std::string_view text);

// As short as it can be read: "250 ms", "10 s", "1.5 min", "2 h".
std::string text_of(milliseconds time);

}  // namespace task_queue
