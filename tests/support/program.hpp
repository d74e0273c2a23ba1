// Runs programs as a user does, to their end or beside the test, and asks questions about what they
// printed.

#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace support {

struct program_options {
    std::vector<std::string> arguments = {};

    // Set for the program on top of this process's environment, or in place of what is there.
    std::vector<std::pair<std::string, std::string>> environment = {};

    // The program is killed after this much real time, with every process that it has started.
    std::chrono::milliseconds deadline = std::chrono::seconds(60);

    // How many files and sockets it may have open, as its soft and its hard limit.
    std::optional<std::size_t> descriptor_limit = std::nullopt;
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

    // The lines without their times.
    std::vector<std::string> events() const;

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

// A program that runs beside the test. Its output is read all the time, so that it never waits for
// the test. When this is destroyed, as it is when a test fails, the program and what it has started
// are killed, and gone; when the calling process dies instead, the program is killed.
class background_program {
public:
    // Throws boost::system::system_error if it cannot be started.
    explicit background_program(const std::string& executable, const program_options& options = {});
    ~background_program();
    background_program(const background_program&) = delete;
    background_program& operator=(const background_program&) = delete;

    // Waits for a whole line of stdout that contains `text`, among those that follow the one that
    // the last call gave. Throws std::runtime_error, which says what there was, if the program ends
    // without it.
    std::string wait_for_line(std::string_view text);

    // Writes to its stdin. What a program that has ended does not read is dropped.
    void write(std::string_view text);
    void close_input();

    // To the program, not to what it has started. Nothing happens if it has ended.
    void signal(int number);

    bool running() const;
    pid_t id() const;

    // What it has printed so far.
    std::string out() const;

    // Waits for its end. Once only.
    program_run wait();

private:
    class implementation;
    std::unique_ptr<implementation> program_;
};

// Runs `executable` to its end, with an empty stdin. When it returns, the program and what it has
// started are gone. Throws boost::system::system_error if it cannot be started.
program_run run_program(const std::string& executable, const program_options& options = {});

// The state of a process, by the letter that ps has for it: S sleeps, T is stopped, Z has ended and
// waits to be collected. 0 if there is no such process.
char process_state(pid_t process);

// The processor time that a running process has had, user's and system's.
std::chrono::milliseconds processor_time(pid_t process);

// The memory of a running process that is in RAM, in bytes.
std::size_t resident_memory(pid_t process);

// The most that it has had there, so far.
std::size_t peak_resident_memory(pid_t process);

// How many descriptors a running process has open.
std::size_t open_descriptors(pid_t process);

// The executable of a lesson, by the lesson's file name without the ending.
std::string lesson_program(const std::string& name);

enum class lesson_clock { real, simulated };

program_run run_lesson(const std::string& name, lesson_clock clock);

// The same, once for all who ask: a lesson on virtual time prints the same each time.
const program_run& simulated_lesson(const std::string& name);

// Checks a lesson in real time against the same on virtual time: that it ends well, prints the same
// lines, each when it is due or later, but not by half a minute, and that durations in them, such
// as `took 0.30 s`, are that or more. Events that contain one of `varying` may read otherwise when
// the machine is busy.
//
// In real time deadlines race with work. Where a busy machine stops the lesson for longer than the
// margin between two events, the other one comes first, and the story is another. So one of five
// runs has to go as planned. Gives the first deviation of the last run, or "".
std::string real_time_deviation(
    const std::string& name, const std::vector<std::string>& varying = {});

}  // namespace support
