#include "tests/support/program.hpp"

#include "tests/support/document.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/writable_pipe.hpp>
#include <boost/asio/write.hpp>
#include <boost/process/v2/environment.hpp>
#include <boost/process/v2/process.hpp>
#include <boost/process/v2/stdio.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asio = boost::asio;
namespace process = boost::process::v2;

namespace support {

namespace {

// Runs in the child, between fork and exec. A group of its own lets the deadline reach what the
// program starts; the death signal ends the program when this process dies, as it does when ctest
// kills it.
struct set_up {
    std::optional<std::size_t> descriptor_limit;
    pid_t parent = getpid();

    template <class Launcher, class Path>
    boost::system::error_code on_exec_setup(Launcher&, const Path&, const char* const*) const
    {
        const bool ready = setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
                           std::signal(SIGPIPE, SIG_DFL) != SIG_ERR && limit_descriptors();
        if (!ready) {
            return {errno, boost::system::system_category()};
        }
        // Boost 1.83 leaves it more than the standard streams.
        ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
        if (getppid() != parent) {
            return {ESRCH, boost::system::system_category()};  // it died before it could be asked
        }
        return {};
    }

    bool limit_descriptors() const
    {
        if (!descriptor_limit) {
            return true;
        }
        const rlimit limit{*descriptor_limit, *descriptor_limit};
        return setrlimit(RLIMIT_NOFILE, &limit) == 0;
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

class background_program::implementation {
public:
    implementation(const std::string& executable, const program_options& options)
        : out_(loop_),
          err_(loop_),
          in_(loop_),
          child_(
              loop_, executable, options.arguments, process::process_stdio{in_, out_, err_},
              process::process_environment(environment_with(options.environment)),
              set_up{options.descriptor_limit}),
          id_(child_.id()),
          deadline_(loop_, options.deadline)
    {
        std::signal(SIGPIPE, SIG_IGN);  // for write() to a program that has ended

        deadline_.async_wait([this](boost::system::error_code cancelled) {
            if (!cancelled) {
                run_.timed_out = true;
                kill_group();
            }
        });

        read_all(out_, out_chunk_, run_.out);
        read_all(err_, err_chunk_, run_.err);

        // The pipes end when the last process that holds them does, and that may be one that the
        // program has left behind. Killing the group ends those.
        child_.async_wait([this](boost::system::error_code, int) {
            run_.took = std::chrono::steady_clock::now() - start_;
            deadline_.cancel();
            kill_group();
            const std::lock_guard lock(mutex_);
            ended_ = true;
        });

        thread_ = std::thread([this] {
            loop_.run();
            const std::lock_guard lock(mutex_);
            read_to_the_end_ = true;
            changed_.notify_all();
        });
    }

    ~implementation()
    {
        if (thread_.joinable()) {
            kill_group();
            thread_.join();
        }
    }

    implementation(const implementation&) = delete;
    implementation& operator=(const implementation&) = delete;

    std::string wait_for_line(std::string_view text)
    {
        std::unique_lock lock(mutex_);
        std::optional<std::string> line;
        changed_.wait(lock, [&] { return (line = next_line_with(text)) || read_to_the_end_; });
        if (!line) {
            throw std::runtime_error(
                fmt::format("no line with '{}' in:\n{}\n{}", text, run_.out, run_.err));
        }
        return *line;
    }

    void write(std::string_view text)
    {
        boost::system::error_code gone;
        asio::write(in_, asio::buffer(text), gone);
    }

    void close_input() { in_.close(); }

    void signal(int number)
    {
        const std::lock_guard lock(mutex_);
        if (!ended_) {
            ::kill(id_, number);
        }
    }

    bool running() const
    {
        const std::lock_guard lock(mutex_);
        return !ended_;
    }

    pid_t id() const { return id_; }

    std::string out() const
    {
        const std::lock_guard lock(mutex_);
        return run_.out;
    }

    program_run wait()
    {
        thread_.join();
        run_.status = shell_status(child_.native_exit_code());
        return run_;
    }

private:
    using chunk = std::array<char, 4096>;

    void read_all(asio::readable_pipe& pipe, chunk& bytes, std::string& text)
    {
        pipe.async_read_some(
            asio::buffer(bytes), [&](boost::system::error_code end, std::size_t size) {
                {
                    const std::lock_guard lock(mutex_);
                    text.append(bytes.data(), size);
                }
                changed_.notify_all();
                if (!end) {
                    read_all(pipe, bytes, text);
                }
            });
    }

    std::optional<std::string> next_line_with(std::string_view text)
    {
        while (true) {
            const auto end = run_.out.find('\n', position_);
            if (end == std::string::npos) {
                return std::nullopt;
            }
            const auto line = run_.out.substr(position_, end - position_);
            position_ = end + 1;
            if (line.find(text) != std::string::npos) {
                return line;
            }
        }
    }

    void kill_group() { ::kill(-id_, SIGKILL); }

    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    asio::io_context loop_;
    asio::readable_pipe out_;
    asio::readable_pipe err_;
    asio::writable_pipe in_;  // the test's, not the thread's
    process::process child_;
    const pid_t id_;
    asio::steady_timer deadline_;
    chunk out_chunk_{};
    chunk err_chunk_{};

    mutable std::mutex mutex_;  // for what follows
    std::condition_variable changed_;
    program_run run_;
    std::size_t position_ = 0;  // where the lines begin that wait_for_line has not seen
    bool ended_ = false;
    bool read_to_the_end_ = false;

    std::thread thread_;  // runs the loop, until the program has ended and its output is read
};

background_program::background_program(
    const std::string& executable, const program_options& options)
    : program_(std::make_unique<implementation>(executable, options))
{
}

background_program::~background_program() = default;

std::string background_program::wait_for_line(std::string_view text)
{
    return program_->wait_for_line(text);
}

void background_program::write(std::string_view text)
{
    program_->write(text);
}

void background_program::close_input()
{
    program_->close_input();
}

void background_program::signal(int number)
{
    program_->signal(number);
}

bool background_program::running() const
{
    return program_->running();
}

pid_t background_program::id() const
{
    return program_->id();
}

std::string background_program::out() const
{
    return program_->out();
}

program_run background_program::wait()
{
    return program_->wait();
}

program_run run_program(const std::string& executable, const program_options& options)
{
    background_program program(executable, options);
    program.close_input();
    return program.wait();
}

char process_state(pid_t process)
{
    std::ifstream stat(fmt::format("/proc/{}/stat", process));
    std::string text;
    std::getline(stat, text, '\0');  // nothing, if the process went since the file was opened
    const auto name_ends = text.rfind(") ");
    return name_ends == std::string::npos ? '\0' : text[name_ends + 2];
}

std::chrono::milliseconds processor_time(pid_t process)
{
    // The name of the program, in parentheses, can have anything in it; the times are the 12th and
    // 13th field after it.
    const auto text = read_file(fmt::format("/proc/{}/stat", process));
    std::istringstream fields(text.substr(text.rfind(')') + 1));
    std::string skipped;
    for (int field = 0; field < 11; ++field) {
        fields >> skipped;
    }
    long user = 0;
    long system = 0;
    fields >> user >> system;
    return std::chrono::milliseconds((user + system) * 1000 / ::sysconf(_SC_CLK_TCK));
}

std::size_t resident_memory(pid_t process)
{
    std::istringstream pages(read_file(fmt::format("/proc/{}/statm", process)));
    std::size_t total = 0;
    std::size_t resident = 0;
    pages >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t peak_resident_memory(pid_t process)
{
    std::istringstream status(read_file(fmt::format("/proc/{}/status", process)));
    std::size_t kibibytes = 0;
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmHWM:")) {
            kibibytes = std::stoul(line.substr(line.find(':') + 1));
        }
    }
    return kibibytes * 1024;
}

std::size_t open_descriptors(pid_t process)
{
    const std::filesystem::directory_iterator open(fmt::format("/proc/{}/fd", process));
    return static_cast<std::size_t>(std::distance(begin(open), end(open)));
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

namespace {

std::string deviation_of(
    const program_run& run, const std::string& name, const std::vector<std::string>& varying)
{
    constexpr double rounding = 0.005;  // times are printed to the hundredth
    constexpr double patience = 30;     // a loaded machine is late, but not by this much
    const auto in_time = [](double came, double due) {
        return came >= due - rounding && came <= due + patience;
    };

    const auto real = run.said().lines();
    const auto planned = simulated_lesson(name).said().lines();
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

}  // namespace

std::string real_time_deviation(const std::string& name, const std::vector<std::string>& varying)
{
    std::string deviation = "not run";
    for (int runs = 0; runs < 5 && !deviation.empty(); ++runs) {
        const auto run = run_lesson(name, lesson_clock::real);
        if (run.status != 0) {
            return fmt::format("ended with status {}: {}", run.status, run.err);
        }
        deviation = deviation_of(run, name, varying);
    }
    return deviation;
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

std::vector<std::string> transcript::events() const
{
    std::vector<std::string> events;
    for (const auto& line : lines_) {
        events.push_back(line.event);
    }
    return events;
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
