// Runs a program as a user does, and asks questions about what it printed.

#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

struct program_options {
    std::vector<std::string> arguments = {};

    // Set for the program on top of this process's environment, or in place of what is there.
    std::vector<std::pair<std::string, std::string>> environment = {};

    // The program is killed after this much real time, with every process that it has started.
    std::chrono::milliseconds deadline = std::chrono::seconds(60);
};

// One line of a program's output. Of `[0.10s] toast: done` the time is 0.10 and the event is
// `toast: done`; of any other line, the event is the line.
struct output_line {
    std::optional<double> time;  // seconds
    std::string event;
};

// Lines of output, or those of one section of them. Where a question names an event that is not
// there, it throws std::runtime_error, which says what is.
class transcript {
public:
    explicit transcript(std::string_view text);

    // The lines between `== title ==` and the next title.
    transcript section(std::string_view title) const;

    // When the event was logged, in seconds. The first one, where there are several.
    double time_of(std::string_view event) const;

    // Whether the first `one` stands above the first `other`.
    bool before(std::string_view one, std::string_view other) const;

    // How often the event stands there, or how many events contain the text.
    std::size_t count(std::string_view event) const;
    std::size_t count_containing(std::string_view text) const;

    bool has(std::string_view event) const { return count(event) > 0; }

    const std::vector<output_line>& lines() const { return lines_; }

private:
    transcript() = default;
    std::size_t position(std::string_view event) const;

    std::vector<output_line> lines_;
};

struct program_run {
    int status = 0;          // exit status, or 128 + the number of the signal, as a shell has it
    bool timed_out = false;  // killed at its deadline
    std::string out;
    std::string err;
    std::chrono::duration<double> took{};  // real time

    transcript said() const { return transcript(out); }
};

// Runs `executable` to its end, with an empty stdin. When it returns, the program and what it has
// started are gone; when the calling process dies instead, the program is killed. Throws
// boost::system::system_error if it cannot be started.
program_run run_program(const std::string& executable, const program_options& options = {});

// The executable of a lesson, by the lesson's file name without the ending.
std::string lesson_program(const std::string& name);

enum class lesson_clock { real, simulated };

program_run run_lesson(const std::string& name, lesson_clock clock);

// The same, once for all who ask: a lesson on virtual time prints the same each time.
const program_run& simulated_lesson(const std::string& name);

// Checks a lesson in real time against the same on virtual time: that it ends well, prints the same
// lines, each when it is due or later, but not by half a minute, and that durations in them, such
// as `took 0.30 s`, are that or more. Events that contain one of `varying` may read otherwise when
// the machine is busy. Gives the first deviation, or "".
std::string real_time_deviation(
    const std::string& name, const std::vector<std::string>& varying = {});

}  // namespace support
