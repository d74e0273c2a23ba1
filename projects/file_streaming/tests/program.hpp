// What the tests of the program share: the program on each of its engines, and stopping it in the
// middle of its work.

#pragma once

#include "projects/file_streaming/tests/folder.hpp"
#include "tests/support/program.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/types.h>

inline support::program_run run_with(
    std::vector<std::string> arguments,
    std::chrono::milliseconds deadline = std::chrono::seconds(60))
{
    support::program_options options;
    options.arguments = std::move(arguments);
    options.deadline = deadline;
    return support::run_program(PROGRAM, options);
}

// Runs the program with a pipe as its descriptor 5 that nobody reads any more; `redirection` says
// what that is to be for it, such as `2>&5`. The pipe is in the folder for that long.
inline support::program_run run_with_broken_pipe(
    const test_folder& folder, const std::string& redirection,
    const std::vector<std::string>& arguments)
{
    support::program_options options;
    options.arguments = {
        "-c",
        "mkfifo \"$1\" && exec 4<>\"$1\" 5>\"$1\" 4>&- && rm \"$1\" && shift && exec \"$@\" " +
            redirection,
        "sh", folder / "pipe", PROGRAM};
    options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
    return support::run_program("/bin/sh", options);
}

// Those that work here. io_uring is left out where the kernel refuses it, or liburing was missing.
inline const std::vector<std::string>& engines()
{
    static const auto there = [] {
        std::vector<std::string> names = {"threads", "blocking"};
        const test_folder folder;
        write_file(folder / "empty", "");
        const auto run = run_with({"checksum", "--engine", "io_uring", folder / "empty"});
        if (run.err.find("no io_uring: ") == std::string::npos) {
            names.push_back("io_uring");  // also when it fails: then the tests do
        }
        return names;
    }();
    return there;
}

// Stops it, by SIGSTOP. Gives false when it has ended before that.
inline bool stop(support::background_program& program)
{
    program.signal(SIGSTOP);
    while (program.running() && support::process_state(program.id()) != 'T') {
    }
    return program.running();
}

// What a process has open: the entries of its folder in /proc, and what they are. Nothing when it
// has ended.
inline std::vector<std::pair<std::string, std::string>> open_files(pid_t process)
{
    namespace fs = std::filesystem;
    std::vector<std::pair<std::string, std::string>> found;
    std::error_code gone;
    fs::directory_iterator each("/proc/" + std::to_string(process) + "/fd", gone);
    for (; !gone && each != fs::directory_iterator(); each.increment(gone)) {
        std::error_code closed;
        found.emplace_back(each->path().string(), fs::read_symlink(each->path(), closed).string());
    }
    return found;
}

// The size of the copy that a process is writing to in the folder: it has no name, but the process
// has it open. Nothing when there is none.
inline std::optional<std::uint64_t> unfinished_copy(pid_t process, const test_folder& folder)
{
    for (const auto& [descriptor, file] : open_files(process)) {
        if (file.starts_with(folder.path()) && file.find("(deleted)") != std::string::npos) {
            struct stat status = {};
            if (::stat(descriptor.c_str(), &status) == 0) {
                return static_cast<std::uint64_t>(status.st_size);
            }
        }
    }
    return std::nullopt;
}

// A copy of folder/file to folder/copy that has stopped in the middle, by SIGSTOP. Its blocks are
// small, so that there is a middle.
class stopped_copy {
public:
    stopped_copy(const test_folder& folder, const std::string& engine)
    {
        write_file(folder / "file", some_bytes(size));
        while (!start(folder, engine)) {
            // It was done before it could be stopped.
            program_.reset();
            std::filesystem::remove(folder / "copy");
        }
    }

    void go_on() { program_->signal(SIGCONT); }
    void signal(int number) { program_->signal(number); }
    support::program_run wait() { return program_->wait(); }

    // How often it has the file open.
    std::size_t opened(const std::string& path) const
    {
        std::size_t count = 0;
        for (const auto& [descriptor, file] : open_files(program_->id())) {
            count += file == path ? 1 : 0;
        }
        return count;
    }

    static constexpr std::size_t size = 64 * 1024 * 1024;

private:
    bool start(const test_folder& folder, const std::string& engine)
    {
        support::program_options options;
        options.arguments = {"copy", "-q",       "--engine", engine,          "--block-size",
                             "4K",   "--blocks", "4",        folder / "file", folder / "copy"};
        program_.emplace(PROGRAM, options);
        while (program_->running()) {
            const auto copied = unfinished_copy(program_->id(), folder);
            if (!copied || *copied == 0) {
                continue;
            }
            stop(*program_);
            const auto at_stop = unfinished_copy(program_->id(), folder);
            return at_stop && *at_stop > 0 && *at_stop < size / 10 * 9;
        }
        return false;
    }

    std::optional<support::background_program> program_;
};
