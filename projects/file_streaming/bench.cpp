#include "file_streaming/bench.hpp"

#include "file_streaming/blocking_calls.hpp"
#include "file_streaming/descriptor.hpp"
#include "file_streaming/engine.hpp"
#include "file_streaming/file_error.hpp"
#include "file_streaming/progress.hpp"

#include "common/command_line.hpp"
#include "common/temporary_folder.hpp"

#include <boost/asio/io_context.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <numeric>
#include <random>
#include <span>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace file_streaming {

namespace {

using command = std::vector<std::string>;

volatile std::sig_atomic_t told_to_stop = 0;

void throw_if_told_to_stop()
{
    if (told_to_stop != 0) {
        throw std::runtime_error("interrupted");
    }
}

// Random bytes, so that no file system makes less of them.
void make_file(const fs::path& path, std::uint64_t size)
{
    const descriptor file(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    if (!file.is_open()) {
        throw file_error(path.string(), errno);
    }
    std::mt19937_64 random(1);
    std::vector<std::uint64_t> block(128 * 1024);
    const auto bytes = std::as_bytes(std::span(block));
    for (std::uint64_t offset = 0; offset < size; offset += bytes.size()) {
        std::generate(block.begin(), block.end(), std::ref(random));
        const auto rest =
            static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), size - offset));
        write_fully(file.number(), offset, bytes.first(rest), path.string());
        throw_if_told_to_stop();
    }
    if (::fsync(file.number()) != 0) {
        throw file_error(path.string(), errno);
    }
}

// Throws a file out of the system's cache, as far as it is on the disk, or reads it in.
void set_cached(const fs::path& path, bool cached)
{
    const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!cached) {
        ::posix_fadvise(file.number(), 0, 0, POSIX_FADV_DONTNEED);
        return;
    }
    std::vector<std::byte> block(1024 * 1024);
    for (std::uint64_t offset = 0;
         read_fully(file.number(), offset, block, path.string()) == block.size();) {
        offset += block.size();
    }
}

// What reads the table may be gone. Then there is nobody to measure for.
void flush_table()
{
    if (std::fflush(stdout) != 0) {
        throw file_error("stdout", errno);
    }
}

// The signals that this program ignores have their usual effect in those that it starts.
class spawn_attributes {
public:
    spawn_attributes()
    {
        sigset_t usual;
        ::sigemptyset(&usual);
        ::sigaddset(&usual, SIGPIPE);
        ::sigaddset(&usual, SIGXFSZ);
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawnattr_setsigdefault(&attributes_, &usual);
        ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
    }
    ~spawn_attributes() { ::posix_spawnattr_destroy(&attributes_); }
    spawn_attributes(const spawn_attributes&) = delete;
    spawn_attributes& operator=(const spawn_attributes&) = delete;

    const posix_spawnattr_t* get() const { return &attributes_; }

private:
    posix_spawnattr_t attributes_;
};

// How many seconds the command takes. What it prints is dropped.
double seconds_of(const command& words)
{
    std::vector<char*> arguments;
    for (const auto& word : words) {
        arguments.push_back(const_cast<char*>(word.c_str()));
    }
    arguments.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    const spawn_attributes attributes;
    pid_t child = 0;
    const auto start = std::chrono::steady_clock::now();
    const int refusal = ::posix_spawnp(
        &child, words[0].c_str(), &actions, attributes.get(), arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (refusal != 0) {
        throw file_error(words[0], refusal);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    throw_if_told_to_stop();
    if (status != 0) {
        throw std::runtime_error(fmt::format("{} failed", fmt::join(words, " ")));
    }
    return took.count();
}

std::vector<std::string> engines_here()
{
    std::vector<std::string> names = {"threads", "blocking"};
    boost::asio::io_context loop;
    std::string refusal;
    if (make_io_uring_engine(loop.get_executor(), refusal)) {
        names.insert(names.begin(), "io_uring");
    } else {
        fmt::print("no io_uring: {}\n", refusal);
    }
    return names;
}

struct contestant {
    std::string name;
    command words;
    std::vector<double> seconds = {};
};

double median(std::vector<double> values)
{
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

// The first is what the others are compared with.
void compete(
    const char* title, std::vector<contestant> contestants, const fs::path& file,
    const fs::path& copy, const bench_options& options)
{
    std::vector<std::size_t> order(contestants.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::mt19937_64 random(std::random_device{}());
    for (const bool cached : {true, false}) {
        for (auto& each : contestants) {
            each.seconds.clear();
        }
        for (int round = 0; round < options.rounds; ++round) {
            std::shuffle(order.begin(), order.end(), random);
            for (const auto place : order) {
                fs::remove(copy);
                set_cached(file, cached);
                contestants[place].seconds.push_back(seconds_of(contestants[place].words));
            }
        }
        fmt::print("\n{}, {}\n", title, cached ? "from the cache" : "from the disk");
        const auto reference = median(contestants.front().seconds);
        for (const auto& each : contestants) {
            const auto seconds = median(each.seconds);
            fmt::print(
                "  {:<32} {:>7.2f} s  {:>10}/s  {:>5.2f} x\n", each.name, seconds,
                human_size(static_cast<double>(options.size) / seconds), reference / seconds);
        }
        flush_table();
    }
}

void measure(const bench_options& options)
{
    const common::temporary_folder folder(options.folder);
    const auto file = folder / "file";
    const auto copy = folder / "copy";
    make_file(file, options.size);
    fmt::print(
        "{}, {} rounds, median; x: how many times as fast as the first line\n",
        human_size(static_cast<double>(options.size)), options.rounds);
    flush_table();

    const auto self = fs::read_symlink("/proc/self/exe").string();
    std::vector<contestant> copies = {
        {"cp, then sync",
         {"sh", "-c", R"(cp -- "$1" "$2" && sync -- "$2")", "sh", file.string(), copy.string()}},
    };
    std::vector<contestant> sums = {{"sha256sum", {"sha256sum", "--", file.string()}}};
    for (const auto& engine : engines_here()) {
        copies.push_back(
            {"copy --engine " + engine,
             {self, "copy", "-q", "--engine", engine, file.string(), copy.string()}});
        sums.push_back(
            {"checksum --engine " + engine,
             {self, "checksum", "-q", "--engine", engine, file.string()}});
    }
    compete("copy", std::move(copies), file, copy, options);
    compete("SHA-256", std::move(sums), file, copy, options);
}

}  // namespace

int run_bench(const bench_options& options)
{
    // The programs that it starts do not inherit this. A Ctrl-C ends them, too.
    const auto stop = [](int) { told_to_stop = 1; };
    std::signal(SIGINT, stop);
    std::signal(SIGTERM, stop);
    try {
        measure(options);
        return 0;
    } catch (const std::exception& failure) {
        common::complain("file_streaming", failure.what());
        return 1;
    }
}

}  // namespace file_streaming
