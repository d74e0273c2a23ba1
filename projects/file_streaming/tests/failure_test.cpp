// Every failure is a line on stderr and a status, and leaves nothing half-written.

#include "projects/file_streaming/tests/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sys/mount.h>

namespace fs = std::filesystem;

namespace {

using names = std::set<std::string>;

support::program_run shell(const std::string& script, const std::vector<std::string>& arguments)
{
    support::program_options options;
    options.arguments = {"-c", script, "sh", PROGRAM};
    options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
    return support::run_program("/bin/sh", options);
}

void check_failed(const support::program_run& run, const std::string& message)
{
    CHECK(run.status == 1);
    CHECK(run.out == "");
    CHECK(run.err == "file_streaming: " + message + "\n");
}

// Whether it waits in a function of the kernel whose name contains `name`.
bool waits_in(pid_t process, const std::string& name)
{
    std::ifstream file("/proc/" + std::to_string(process) + "/wchan");
    std::string function;
    file >> function;
    return function.find(name) != std::string::npos;
}

// root may read and write everything, unless it gives up two capabilities.
support::program_run as_anybody(const std::vector<std::string>& arguments)
{
    return shell(
        ::geteuid() == 0 ? "exec setpriv --bounding-set=-dac_override,-dac_read_search "
                           "--inh-caps=-dac_override,-dac_read_search \"$@\""
                         : "exec \"$@\"",
        arguments);
}

// A file system of one mebibyte.
class small_disk {
public:
    explicit small_disk(std::string where) : where_(std::move(where))
    {
        fs::create_directory(where_);
        mounted_ = ::mount("tmpfs", where_.c_str(), "tmpfs", 0, "size=1M") == 0;
    }
    ~small_disk()
    {
        if (mounted_) {
            ::umount2(where_.c_str(), MNT_DETACH);
        }
    }
    small_disk(const small_disk&) = delete;
    small_disk& operator=(const small_disk&) = delete;

    bool is_there() const { return mounted_; }

private:
    const std::string where_;
    bool mounted_ = false;
};

}  // namespace

TEST_CASE("when the disk is full, there is no copy, and the old file is as it was")
{
    const test_folder folder;
    const small_disk disk(folder / "disk");
    if (!disk.is_there()) {
        SKIP("needs root, who may mount a small file system");
    }
    write_file(folder / "file", some_bytes(5'000'000));
    write_file(folder / "disk/old", "old");
    for (const auto& engine : engines()) {
        INFO(engine);
        for (const std::string name : {"old", "new"}) {
            const auto copy = folder / "disk/" + name;
            check_failed(
                run_with({"copy", "-q", "--engine", engine, folder / "file", copy}),
                copy + ": No space left on device");
        }
        CHECK(read_whole(folder / "disk/old") == "old");
        CHECK(fs::space(folder / "disk").available > 1'000'000);
        CHECK(std::distance(fs::directory_iterator(folder / "disk"), {}) == 1);
    }
}

TEST_CASE("at the limit on the size of files, there is no copy")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(5'000'000));
    for (const auto& engine : engines()) {
        INFO(engine);
        const auto run = shell(
            "ulimit -f 1000; exec \"$1\" copy -q --engine \"$2\" \"$3\" \"$4\"",
            {engine, folder / "file", folder / "copy"});
        check_failed(run, folder / "copy: File too large");
        CHECK(folder.names() == names{"file"});
    }
}

TEST_CASE("a file that shrinks while it is copied is an error, and there is no copy")
{
    for (const auto& engine : engines()) {
        INFO(engine);
        const test_folder folder;
        stopped_copy copy(folder, engine);
        fs::resize_file(folder / "file", 1000);
        copy.go_on();
        check_failed(copy.wait(), folder / "file: has shrunk while it was read");
        CHECK(folder.names() == names{"file"});
    }
}

TEST_CASE("a file that grows while it is copied is an error, and there is no copy")
{
    for (const auto& engine : engines()) {
        INFO(engine);
        const test_folder folder;
        stopped_copy copy(folder, engine);
        std::ofstream(folder / "file", std::ios::app | std::ios::binary) << "more";
        copy.go_on();
        check_failed(
            copy.wait(),
            folder / "file: has more bytes than its size said: it has grown meanwhile");
        CHECK(folder.names() == names{"file"});
    }
}

TEST_CASE("Ctrl-C and SIGTERM end a copy, and there is none")
{
    for (const auto& engine : engines()) {
        for (const int number : {SIGINT, SIGTERM}) {
            INFO(engine << ", signal " << number);
            const test_folder folder;
            stopped_copy copy(folder, engine);
            copy.signal(number);
            copy.go_on();
            check_failed(copy.wait(), "interrupted; there is no copy");
            CHECK(folder.names() == names{"file"});
        }
    }
}

// nohup has SIGHUP ignored, and what it starts inherits that.
TEST_CASE("a terminal that is closed ends a copy, and there is none, but not under nohup")
{
    for (const auto& engine : engines()) {
        for (const auto inherited : {SIG_DFL, SIG_IGN}) {
            INFO(engine << (inherited == SIG_IGN ? ", under nohup" : ""));
            const test_folder folder;
            const auto before = std::signal(SIGHUP, inherited);
            stopped_copy copy(folder, engine);
            std::signal(SIGHUP, before);
            copy.signal(SIGHUP);
            copy.go_on();
            const auto run = copy.wait();
            if (inherited == SIG_IGN) {
                CHECK(run.status == 0);
                CHECK(folder.names() == names{"copy", "file"});
            } else {
                check_failed(run, "interrupted; there is no copy");
                CHECK(folder.names() == names{"file"});
            }
        }
    }
}

// The copy has its name already, and the program has things to do still. When it has no ear for
// signals any more, SIGINT has its usual effect.
TEST_CASE("Ctrl-C in a copy's last moment makes nobody say that there is no copy")
{
    for (const auto& engine : engines()) {
        for (int left = 10; left > 0;) {
            INFO(engine);
            const test_folder folder;
            write_file(folder / "file", some_bytes(100'000));
            support::background_program program(
                PROGRAM, {.arguments = {
                              "copy", "-q", "--engine", engine, folder / "file", folder / "copy"}});
            while (program.running() && !fs::exists(folder / "copy")) {
            }
            if (!stop(program)) {
                continue;
            }
            --left;
            program.signal(SIGINT);
            program.signal(SIGCONT);
            const auto run = program.wait();
            CHECK((run.status == 0 || run.status == 128 + SIGINT));
            CHECK(run.err == "");
            CHECK(folder.names() == names{"copy", "file"});
        }
    }
}

// Nobody can clean up then. There is nothing to clean up, because the copy has no name yet.
TEST_CASE("SIGKILL leaves nothing behind")
{
    for (const auto& engine : engines()) {
        INFO(engine);
        const test_folder folder;
        stopped_copy copy(folder, engine);
        copy.signal(SIGKILL);
        CHECK(copy.wait().status == 128 + SIGKILL);
        CHECK(folder.names() == names{"file"});
    }
}

// A terabyte of zeros takes a while.
TEST_CASE("Ctrl-C ends a checksum, and so does a file that shrinks")
{
    for (const auto& engine : engines()) {
        INFO(engine);
        const test_folder folder;
        write_sparse(folder / "file", std::uint64_t{1} << 40, {}, "");
        const auto start = [&](auto& program) {
            program.emplace(
                PROGRAM,
                support::program_options{
                    .arguments = {
                        "checksum", "-q", "--engine", engine, folder / "file", folder / "other"}});
            while (support::processor_time(program->id()) < std::chrono::milliseconds(200)) {
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        };
        write_file(folder / "other", "");

        std::optional<support::background_program> program;
        start(program);
        program->signal(SIGINT);
        check_failed(program->wait(), "interrupted");

        start(program);
        fs::resize_file(folder / "file", 1000);
        const auto run = program->wait();
        CHECK(run.status == 1);
        CHECK(run.err == "file_streaming: " + folder / "file: has shrunk while it was read\n");
        CHECK(run.out.ends_with("  " + folder / "other\n"));  // it goes on with the next
    }
}

// Each of them is over so soon that the signal comes between two of them, or in the last moment of
// one, as often as in the middle.
TEST_CASE("Ctrl-C ends a checksum of many small files, wherever it comes")
{
    constexpr std::size_t count = 4000;
    const test_folder folder;
    write_file(folder / "file", "12345");
    for (const auto& engine : engines()) {
        INFO(engine);
        std::vector<std::string> arguments = {"checksum", "-q", "--engine", engine};
        arguments.insert(arguments.end(), count, folder / "file");
        for (int left = 10; left > 0;) {
            support::background_program program(PROGRAM, {.arguments = arguments});
            program.wait_for_line(folder / "file");
            // What the test has not read yet is less than a thousand lines: a pipe has 64 KiB.
            if (!stop(program) || support::transcript(program.out()).lines().size() > count / 2) {
                continue;
            }
            --left;
            program.signal(SIGINT);
            program.signal(SIGCONT);
            const auto run = program.wait();
            CHECK(run.status == 1);
            CHECK(run.err == "file_streaming: interrupted\n");
            CHECK(run.said().lines().size() < count);
        }
    }
}

TEST_CASE("Ctrl-C ends a checksum that is busy telling what it cannot read")
{
    constexpr std::size_t count = 40'000;
    const test_folder folder;
    write_file(folder / "file", "12345");
    std::vector<std::string> arguments = {"checksum", "-q", folder / "file"};
    arguments.insert(arguments.end(), count, "/nowhere");
    std::optional<support::background_program> program;
    do {
        program.emplace(PROGRAM, support::program_options{.arguments = arguments});
        program->wait_for_line(folder / "file");
    } while (!stop(*program));
    program->signal(SIGINT);
    program->signal(SIGCONT);
    const auto run = program->wait();
    CHECK(run.status == 1);
    CHECK(run.err.ends_with("file_streaming: interrupted\n"));
    CHECK(support::transcript(run.err).lines().size() < count);
}

// The program has both ends of the pipe, so the pipe fills up, and breaks for nobody.
TEST_CASE("Ctrl-C ends a checksum that waits for somebody to read it")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    std::vector<std::string> arguments = {
        "-c", "exec 4<>\"$1\"; shift; exec \"$@\" >&4", "sh", folder / "pipe", PROGRAM, "checksum",
        "-q"};
    arguments.insert(arguments.end(), 4000, folder / "file");
    support::background_program program("/bin/sh", {.arguments = arguments});

    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(40);
    while (program.running() && !waits_in(program.id(), "pipe_write")) {
        if (std::chrono::steady_clock::now() > give_up) {
            SKIP("the kernel does not tell where a process waits");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    program.signal(SIGINT);
    check_failed(program.wait(), "interrupted");
}

TEST_CASE("a copy onto itself is refused, by whatever name")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    fs::create_symlink("file", folder / "link");
    fs::create_hard_link(folder / "file", folder / "other");
    for (const std::string name : {"file", "link", "other", "."}) {
        INFO(name);
        const auto run = run_with({"copy", folder / "file", folder / name});
        CHECK(run.status == 1);
        CHECK(run.err.find("is the same file as " + folder / "file") != std::string::npos);
        CHECK(read_whole(folder / "file") == "12345");
    }
    CHECK(folder.names() == names{"file", "link", "other"});
}

TEST_CASE("what is not a regular file is neither read nor replaced")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    fs::create_directory(folder / "folder");
    fs::create_directories(folder / "to/file");
    fs::create_symlink("nowhere", folder / "dangling");
    REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
    const auto before = folder.names();

    const auto copy = [&](const std::string& from, const std::string& to) {
        return run_with({"copy", from, to});
    };
    check_failed(copy(folder / "folder", folder / "copy"), folder / "folder: Is a directory");
    check_failed(run_with({"checksum", folder / "folder"}), folder / "folder: Is a directory");
    check_failed(copy(folder / "pipe", folder / "copy"), folder / "pipe: is not a regular file");
    check_failed(copy(folder / "file", folder / "pipe"), folder / "pipe: is not a regular file");
    check_failed(copy(folder / "file", "/dev/full"), "/dev/full: is not a regular file");
    check_failed(copy(folder / "file", folder / "to"), folder / "to/file: Is a directory");
    check_failed(
        copy(folder / "file", folder / "dangling"),
        folder / "dangling: is a symbolic link to nowhere");
    CHECK(folder.names() == before);
    CHECK(fs::is_fifo(folder / "pipe"));
    CHECK(fs::is_character_file("/dev/full"));
}

TEST_CASE("what does not exist is named")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    check_failed(
        run_with({"copy", folder / "none", folder / "copy"}),
        folder / "none: No such file or directory");
    check_failed(
        run_with({"copy", folder / "file", folder / "none/copy"}),
        folder / "none: No such file or directory");
    check_failed(
        run_with({"copy", folder / "file", folder / "none/"}), folder / "none/: is not a folder");
    check_failed(
        run_with({"copy", folder / "file", folder / "file/copy"}),
        folder / "file/copy: Not a directory");
    check_failed(
        run_with({"copy", folder / "file", folder / std::string(256, 'n')}),
        folder / std::string(256, 'n') + ": File name too long");
    CHECK(folder.names() == names{"file"});
}

TEST_CASE("what must not be read or written is refused")
{
    const test_folder folder;
    write_file(folder / "secret", "12345");
    write_file(folder / "file", "12345");
    write_file(folder / "finished", "old");
    fs::create_directory(folder / "closed");
    REQUIRE(::chmod((folder / "secret").c_str(), 0) == 0);
    REQUIRE(::chmod((folder / "finished").c_str(), 0444) == 0);
    REQUIRE(::chmod((folder / "closed").c_str(), 0555) == 0);

    check_failed(
        as_anybody({"copy", folder / "secret", folder / "copy"}),
        folder / "secret: Permission denied");
    check_failed(as_anybody({"checksum", folder / "secret"}), folder / "secret: Permission denied");
    check_failed(
        as_anybody({"copy", folder / "file", folder / "finished"}),
        folder / "finished: Permission denied");
    check_failed(
        as_anybody({"copy", folder / "file", folder / "closed"}),
        folder / "closed: Permission denied");
    CHECK(read_whole(folder / "finished") == "old");
    CHECK(fs::is_empty(folder / "closed"));
}

TEST_CASE("a folder that may be written to, and not read, gets its copy")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    fs::create_directory(folder / "drop");
    REQUIRE(::chmod((folder / "drop").c_str(), 0333) == 0);
    const auto run = as_anybody({"copy", "-q", folder / "file", folder / "drop"});
    CHECK(run.status == 0);
    CHECK(run.err == "");
    REQUIRE(::chmod((folder / "drop").c_str(), 0700) == 0);
    CHECK(read_whole(folder / "drop/file") == "12345");
    CHECK(std::distance(fs::directory_iterator(folder / "drop"), {}) == 1);
}

TEST_CASE("blocks for which there is no memory are an error that says so")
{
    if (IS_SANITIZED) {
        SKIP("a sanitizer takes more memory than there is to be");
    }
    const test_folder folder;
    write_file(folder / "file", "12345");
    const std::string limited = "ulimit -v 4000000; exec \"$@\"";
    const std::string message = "not enough memory for 64 blocks of 1.00 GiB";
    check_failed(
        shell(limited, {"checksum", "--block-size", "1G", "--blocks", "64", folder / "file"}),
        message);
    check_failed(
        shell(
            limited,
            {"copy", "--block-size", "1G", "--blocks", "64", folder / "file", folder / "copy"}),
        message);
    CHECK(folder.names() == names{"file"});
}

// This file says that it has no bytes, and fails when it is read. Its neighbour has bytes.
TEST_CASE("a file whose size is not what it has is an error, and not an empty file")
{
    for (const auto& engine : engines()) {
        INFO(engine);
        check_failed(
            run_with({"checksum", "--engine", engine, "/proc/self/mem"}),
            "/proc/self/mem: Input/output error");
        check_failed(
            run_with({"checksum", "--engine", engine, "/proc/self/status"}),
            "/proc/self/status: has more bytes than its size said: it has grown meanwhile");
    }
}

TEST_CASE("a command line that makes no sense is a message, and status 2")
{
    const std::vector<std::vector<std::string>> wrong = {
        {},
        {"nonsense"},
        {"copy"},
        {"copy", "one"},
        {"copy", "one", "two", "three"},
        {"checksum"},
        {"checksum", "--engine", "steam", "x"},
        {"checksum", "--blocks", "0", "x"},
        {"checksum", "--blocks", "65", "x"},
        {"checksum", "--block-size", "100", "x"},
        {"checksum", "--block-size", "large", "x"},
        {"checksum", "--threads", "0", "x"},
        {"checksum", "-"},
        {"checksum", "x", ""},
        {"copy", "", "two"},
        {"copy", "one", ""},
        {"bench", "--rounds", "0"},
    };
    for (const auto& arguments : wrong) {
        const auto run = run_with(arguments);
        INFO((arguments.empty() ? "" : arguments.back()));
        CHECK(run.status == 2);
        CHECK(run.out == "");
        CHECK_FALSE(run.err.empty());
    }
    CHECK(run_with({"copy", "one", ""}).err.find("DST: the name is empty") != std::string::npos);

    const auto help = run_with({"copy", "--help"});
    CHECK(help.status == 0);
    CHECK(help.err == "");
    CHECK(help.out.find("SRC") != std::string::npos);
}

// A kernel that refuses io_uring, as many containers do.
TEST_CASE("where the kernel refuses io_uring, auto does without, and io_uring is an error")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    const auto refused = [&](const std::string& engine) {
        support::program_options options;
        options.arguments = {PROGRAM, "copy", "--engine", engine, folder / "file", folder / "copy"};
        return support::run_program(WITHOUT_IO_URING, options);
    };
    const auto automatic = refused("auto");
    CHECK(automatic.status == 0);
    CHECK(automatic.err.find("engine threads") != std::string::npos);
    CHECK(automatic.said().lines().size() == 0);
    CHECK(read_whole(folder / "copy") == "12345");
    fs::remove(folder / "copy");

    if (!HAS_IO_URING) {
        SKIP("built without io_uring");
    }
    check_failed(
        refused("io_uring"), "no io_uring: the kernel refuses it: Operation not permitted");
    CHECK(folder.names() == names{"file"});
}

TEST_CASE("without --engine it is io_uring, where that works")
{
    if (std::count(engines().begin(), engines().end(), "io_uring") == 0) {
        SKIP("no io_uring here");
    }
    const test_folder folder;
    write_file(folder / "file", "12345");
    const auto run = run_with({"copy", folder / "file", folder / "copy"});
    CHECK(run.err.find("engine io_uring") != std::string::npos);
}
