// That the measurements run, and clean up. What they measure is no test's business.

#include "projects/file_streaming/tests/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <csignal>
#include <string>

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
