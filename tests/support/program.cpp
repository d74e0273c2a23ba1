#include "tests/support/program.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/process/v2/environment.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/process/v2/stdio.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>
#include <stdexcept>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asio = boost::asio;
namespace process = boost::process::v2;

namespace support {

namespace {

// Runs in the child, between fork and exec. A group of its own lets the deadline reach what the
// program starts; the death signal ends the program when this process dies, as it does when ctest
// kills it.
struct dies_with_its_parent {
    pid_t parent = getpid();

    template <class Launcher, class Path>
    boost::system::error_code on_exec_setup(Launcher&, const Path&, const char* const*) const
    {
        const bool ready = setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
        if (!ready) {
            return {errno, boost::system::system_category()};
        }
        if (getppid() != parent) {
            return {ESRCH, boost::system::system_category()};  // it died before it could be asked
        }
        return {};
    }
};

std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& changes)
{
    std::map<std::string, std::string> variables;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const auto equals = text.find('=');
        variables[std::string(text.substr(0, equals))] = text.substr(equals + 1);
    }
    for (const auto& [name, value] : changes) {
        variables[name] = value;
    }
    std::vector<std::string> entries;
    for (const auto& [name, value] : variables) {
        entries.push_back(name + "=" + value);
    }
    return entries;
}

void read_all(asio::readable_pipe& pipe, std::string& text)
{
    asio::async_read(pipe, asio::dynamic_buffer(text), [](auto, std::size_t) {});
}

// What a line says of durations, such as `took 0.30 s`, is measured, and more on a loaded machine.
const std::regex duration_text(R"((\d+\.\d\d) s\b)");

std::string without_durations(const std::string& event)
{
    return std::regex_replace(event, duration_text, "some time");
}

std::vector<double> durations_in(const std::string& event)
{
    std::vector<double> durations;
    for (std::sregex_iterator each(event.begin(), event.end(), duration_text), end; each != end;
         ++each) {
        durations.push_back(std::stod((*each)[1]));
    }
    return durations;
}

int shell_status(int native)
{
    return WIFSIGNALED(native) ? 128 + WTERMSIG(native) : WEXITSTATUS(native);
}

}  // namespace

program_run run_program(const std::string& executable, const program_options& options)
{
    program_run run;
    asio::io_context loop;
    asio::readable_pipe out(loop);
    asio::readable_pipe err(loop);

    const auto start = std::chrono::steady_clock::now();
    process::process child(
        loop, executable, options.arguments, process::process_stdio{nullptr, out, err},
        process::process_environment(environment_with(options.environment)),
        dies_with_its_parent{});
    const auto group = -child.id();

    asio::steady_timer deadline(loop, options.deadline);
    deadline.async_wait([&](boost::system::error_code cancelled) {
        if (!cancelled) {
            run.timed_out = true;
            ::kill(group, SIGKILL);
        }
    });

    read_all(out, run.out);
    read_all(err, run.err);

    // The pipes end when the last process that holds them does, and that may be one that the
    // program has left behind. Killing the group ends those.
    child.async_wait([&](boost::system::error_code, int) {
        run.took = std::chrono::steady_clock::now() - start;
        deadline.cancel();
        ::kill(group, SIGKILL);
    });

    loop.run();
    run.status = shell_status(child.native_exit_code());
    return run;
}

std::string lesson_program(const std::string& name)
{
    return LESSONS_BINARY_DIR "/" + name;
}

program_run run_lesson(const std::string& name, lesson_clock clock)
{
    program_options options;
    options.environment.emplace_back(
        "LESSON_CLOCK", clock == lesson_clock::simulated ? "virtual" : "steady");
    return run_program(lesson_program(name), options);
}

const program_run& simulated_lesson(const std::string& name)
{
    static std::map<std::string, program_run> runs;
    const auto found = runs.find(name);
    return found != runs.end()
               ? found->second
               : runs.emplace(name, run_lesson(name, lesson_clock::simulated)).first->second;
}

std::string real_time_deviation(const std::string& name, const std::vector<std::string>& varying)
{
    constexpr double rounding = 0.005;  // times are printed to the hundredth
    constexpr double patience = 30;     // a loaded machine is late, but not by this much
    const auto in_time = [](double came, double due) {
        return came >= due - rounding && came <= due + patience;
    };

    const auto run = run_lesson(name, lesson_clock::real);
    const auto real = run.said().lines();
    const auto planned = simulated_lesson(name).said().lines();
    if (run.status != 0) {
        return fmt::format("ended with status {}: {}", run.status, run.err);
    }
    if (real.size() != planned.size()) {
        return "printed another number of lines:\n" + run.out;
    }
    double last = 0;
    for (const auto& [due, event] : planned) {
        const bool varies = std::any_of(varying.begin(), varying.end(), [&](const auto& text) {
            return event.find(text) != std::string::npos;
        });
        if (!due || varies) {
            continue;
        }
        const auto same_event = [&](const auto& line) {
            return line.time && without_durations(line.event) == without_durations(event);
        };
        const auto line = std::find_if(real.begin(), real.end(), same_event);
        if (line == real.end()) {
            return fmt::format("'{}' is missing:\n{}", event, run.out);
        }
        const auto first_due = std::find_if(planned.begin(), planned.end(), same_event)->time;
        if (!in_time(*line->time, *first_due)) {
            return fmt::format("'{}' came at {:.2f} s, due at {:.2f} s", event, *line->time, *due);
        }
        const auto took = durations_in(line->event);
        if (!std::equal(took.begin(), took.end(), durations_in(event).begin(), in_time)) {
            return fmt::format("'{}' should have read '{}', or more", line->event, event);
        }
        last = std::max(last, *due);
    }
    if (run.took.count() < last) {
        return fmt::format("took {:.3f} s, and has a line for {:.2f} s", run.took.count(), last);
    }
    return "";
}

transcript::transcript(std::string_view text)
{
    static const std::regex timed(R"(\[(\d+\.\d\d)s\] (.*))");
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::smatch parts;
        if (std::regex_match(line, parts, timed)) {
            lines_.push_back({std::stod(parts[1]), parts[2]});
        } else {
            lines_.push_back({std::nullopt, line});
        }
    }
}

transcript transcript::section(std::string_view title) const
{
    const auto is_title = [](const output_line& line) { return line.event.starts_with("== "); };
    const auto from =
        lines_.begin() + static_cast<std::ptrdiff_t>(position(fmt::format("== {} ==", title)));
    transcript part;
    part.lines_.assign(from + 1, std::find_if(from + 1, lines_.end(), is_title));
    return part;
}

std::size_t transcript::position(std::string_view event) const
{
    const auto found = std::find_if(
        lines_.begin(), lines_.end(), [&](const auto& line) { return line.event == event; });
    if (found == lines_.end()) {
        std::string message = fmt::format("there is no '{}' in the output:", event);
        for (const auto& line : lines_) {
            message += "\n  " + line.event;
        }
        throw std::runtime_error(message);
    }
    return static_cast<std::size_t>(found - lines_.begin());
}

double transcript::time_of(std::string_view event) const
{
    const auto& line = lines_[position(event)];
    if (!line.time) {
        throw std::runtime_error(fmt::format("'{}' is printed without a time", event));
    }
    return *line.time;
}

bool transcript::before(std::string_view one, std::string_view other) const
{
    return position(one) < position(other);
}

std::size_t transcript::count(std::string_view event) const
{
    return static_cast<std::size_t>(std::count_if(
        lines_.begin(), lines_.end(), [&](const auto& line) { return line.event == event; }));
}

std::size_t transcript::count_containing(std::string_view text) const
{
    return static_cast<std::size_t>(std::count_if(
        lines_.begin(), lines_.end(),
        [&](const auto& line) { return line.event.find(text) != std::string::npos; }));
}

}  // namespace support
