// file_streaming · Copying and checksumming files larger than memory
//
// Idea     A fixed number of blocks streams a file of any size, and reading overlaps what follows.
// Lessons  008_queue, 009_event, 014_timeouts, 017_custom_event_loop, 018_executors
// Run      ./learn run file_streaming --help
// Read     projects/file_streaming/README.md, and docs/progression.md, Part V

#include "common/command_line.hpp"
#include "file_streaming/bench.hpp"
#include "file_streaming/commands.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace {

using file_streaming::engine_kind;

const std::map<std::string, engine_kind> engines = {
    {"auto", engine_kind::automatic},
    {"io_uring", engine_kind::io_uring},
    {"threads", engine_kind::threads},
    {"blocking", engine_kind::blocking},
};

// As of a variable of the shell that is not set.
const CLI::Validator is_a_name(
    [](const std::string& name) { return std::string(name.empty() ? "the name is empty" : ""); },
    "");

// What the options say, before it is made into settings.
struct parsed {
    file_streaming::settings settings;
    std::string engine = "auto";
    double interval = 5;  // seconds
};

// The options that both commands have.
void add_settings(CLI::App& command, parsed& values)
{
    auto& settings = values.settings;
    command.add_option("--engine", values.engine, "auto, io_uring, threads or blocking")
        ->check(CLI::IsMember(engines).description(""))
        ->type_name("ENGINE")
        ->capture_default_str();
    command.add_option("--block-size", settings.blocks.size, "such as 64K or 1M")
        ->transform(CLI::AsSizeValue(false).description(""))
        ->check(CLI::Range(std::size_t{512}, std::size_t{1} << 30).description(""))
        ->type_name("BYTES")
        ->default_str("1M");
    command
        .add_option(
            "--blocks", settings.blocks.count, "how many there are; the memory is BYTES x N")
        ->check(CLI::Range(1, 64).description(""))
        ->type_name("N")
        ->capture_default_str();
    command.add_option("--threads", settings.threads, "of the engine `threads`")
        ->check(CLI::Range(1, 64).description(""))
        ->type_name("N")
        ->capture_default_str();
    command.add_flag("-q,--quiet", settings.quiet, "shows no progress");
    command.add_option("--interval", values.interval, "seconds between two lines of progress")
        ->check(CLI::Range(0.01, 86400.0).description(""))
        ->type_name("SECONDS")
        ->capture_default_str();
}

}  // namespace

int main(int argc, char** argv)
{
    common::open_standard_streams();
    // Where nobody reads a pipe any more, or a limit on the size of files is reached, write then
    // fails, and does not end the program.
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);

    parsed values;
    CLI::App app("Copies and checksums files of any size, in bounded memory.", "file_streaming");
    app.require_subcommand(1);

    auto& copy = *app.add_subcommand("copy", "copies SRC to DST, or into the folder DST");
    std::string from;
    std::string to;
    bool exactly = false;
    copy.add_option("SRC", from, "a regular file")->required()->check(is_a_name);
    copy.add_option("DST", to, "a file, which is replaced when the copy is complete")
        ->required()
        ->check(is_a_name);
    copy.add_flag(
        "-p,--preserve", exactly,
        "keeps the permissions and the times of SRC; not setuid, setgid and sticky");
    add_settings(copy, values);

    auto& checksum = *app.add_subcommand("checksum", "prints SHA-256 checksums, as sha256sum does");
    std::vector<std::string> files;
    checksum.add_option("FILE", files, "regular files")->required()->check(is_a_name);
    add_settings(checksum, values);

    auto& bench = *app.add_subcommand("bench", "measures the engines beside cp and sha256sum");
    file_streaming::bench_options measured;
    bench.add_option("--size", measured.size, "of the file, such as 512M")
        ->transform(CLI::AsSizeValue(false).description(""))
        ->check(CLI::Range(std::uint64_t(1), std::uint64_t(1) << 50).description(""))
        ->type_name("BYTES")
        ->default_str("1G");
    bench.add_option("--folder", measured.folder, "where it is made, and removed")
        ->type_name("FOLDER")
        ->capture_default_str();
    bench.add_option("--rounds", measured.rounds, "of each; the median counts")
        ->check(CLI::Range(1, 99).description(""))
        ->type_name("N")
        ->capture_default_str();

    try {
        app.parse(argc, argv);
        if (std::find(files.begin(), files.end(), "-") != files.end()) {
            throw CLI::ValidationError(
                "FILE",
                "'-' would be stdin, which has no size and no offsets; sha256sum reads "
                "that. The file of this name is ./-");
        }
    } catch (const CLI::ParseError& refusal) {
        return app.exit(refusal) == 0 ? 0 : 2;
    }

    auto& settings = values.settings;
    settings.engine = engines.at(values.engine);
    settings.progress_interval = std::chrono::duration_cast<common::duration>(
        std::chrono::duration<double>(values.interval));
    if (copy) {
        return file_streaming::run_copy(from, to, exactly, settings);
    }
    if (checksum) {
        return file_streaming::run_checksum(files, settings);
    }
    return file_streaming::run_bench(measured);
}
