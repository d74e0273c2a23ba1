// That the measurements run, and clean up. What they measure is no test's business.

#include "projects/file_streaming/tests/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <ios>
#include <sstream>
#include <string>

namespace fs = std::filesystem;

TEST_CASE("bench measures each engine beside cp and sha256sum, and cleans up")
{
    const test_folder folder;
    const auto run =
        run_with({"bench", "--size", "3M", "--rounds", "1", "--folder", folder.path()});
    CHECK(run.status == 0);
    CHECK(run.err == "");
    const auto said = run.said();
    CHECK(said.count_containing("cp, then sync  ") == 2);
    CHECK(said.count_containing("sha256sum  ") == 2);
    for (const auto& engine : engines()) {
        INFO(engine);
        CHECK(said.count_containing("copy --engine " + engine + "  ") == 2);
        CHECK(said.count_containing("checksum --engine " + engine + "  ") == 2);
    }
    CHECK(folder.names().empty());
}

TEST_CASE("bench refuses a size that is none")
{
    const test_folder folder;
    for (const std::string size : {"0", "-5", "many"}) {
        INFO(size);
        const auto run = run_with({"bench", "--size", size, "--folder", folder.path()});
        CHECK(run.status == 2);
        CHECK(run.out == "");
        CHECK(run.err.find("--size") != std::string::npos);
        CHECK(folder.names().empty());
    }
}

TEST_CASE("bench ends, and cleans up, when nobody reads its table any more")
{
    const test_folder folder;
    fs::create_directory(folder / "here");
    const auto run = run_with_broken_pipe(
        folder, ">&5", {"bench", "--size", "3M", "--rounds", "1", "--folder", folder / "here"});
    CHECK(run.status == 1);
    CHECK(run.err == "file_streaming: stdout: Broken pipe\n");
    CHECK(fs::is_empty(folder / "here"));
}

// A sha256sum of the test's own tells.
TEST_CASE("bench starts programs that ignore no signals")
{
    const test_folder folder;
    const auto spy = folder / "sha256sum";
    write_file(spy, "#!/bin/sh\ngrep SigIgn: /proc/$$/status > \"$FOUND\"\n");
    fs::permissions(spy, fs::perms::owner_all);
    support::program_options options;
    options.arguments = {"bench", "--size", "1M", "--rounds", "1", "--folder", folder.path()};
    options.environment = {
        {"PATH", folder.path() + ":" + std::getenv("PATH")}, {"FOUND", folder / "found"}};
    CHECK(support::run_program(PROGRAM, options).status == 0);

    std::istringstream line(read_whole(folder / "found"));
    std::string label;
    std::uint64_t ignored = 0;
    line >> label >> std::hex >> ignored;
    REQUIRE(label == "SigIgn:");
    for (const int number : {SIGPIPE, SIGXFSZ}) {
        CHECK((ignored >> (number - 1) & 1) == 0);
    }
}

TEST_CASE("bench cleans up, too, when it is told to stop")
{
    const test_folder folder;
    support::program_options options;
    options.arguments = {"bench", "--size", "3M", "--rounds", "99", "--folder", folder.path()};
    support::background_program program(PROGRAM, options);
    program.wait_for_line("99 rounds");
    CHECK_FALSE(folder.names().empty());
    program.signal(SIGTERM);
    const auto run = program.wait();
    CHECK(run.status == 1);
    CHECK(run.err == "file_streaming: interrupted\n");
    CHECK(folder.names().empty());
}
