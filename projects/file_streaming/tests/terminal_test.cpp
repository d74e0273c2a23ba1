// What is shown while it works: a bar on a terminal, lines elsewhere.

#include "projects/file_streaming/tests/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <regex>
#include <string>

namespace {

const std::string script = "/usr/bin/script";  // runs a program on a terminal of its own

// A checksum of zeros, which takes long enough for a bar. It is ended when it has shown some.
support::program_run on_terminal(const std::string& arguments)
{
    support::program_options options;
    options.arguments = {"-qefc", "stty cols 70; exec " PROGRAM " " + arguments, "/dev/null"};
    return support::run_program(script, options);
}

}  // namespace

TEST_CASE("on a terminal there is a bar, which is gone in the end")
{
    if (!std::filesystem::exists(script)) {
        SKIP("script is not installed");
    }
    const test_folder folder;
    write_sparse(folder / "zeros", 2'000'000'000, {}, "");
    const auto run = on_terminal("checksum --engine blocking '" + folder / "zeros'");
    CHECK(run.status == 0);
    INFO(run.out);

    // Each time it is drawn over the one before, and never wider than the terminal.
    const std::regex drawn("\r([^\r\n\033]+)\033\\[K");
    std::size_t bars = 0;
    for (std::sregex_iterator each(run.out.begin(), run.out.end(), drawn), end; each != end;
         ++each) {
        ++bars;
        CHECK((*each)[1].length() < 70);
        CHECK((*each)[1].str().find("of 1.86 GiB") != std::string::npos);
    }
    CHECK(bars >= 2);
    CHECK(run.out.find("/s  0:") != std::string::npos);
    CHECK(run.out.find(" left") != std::string::npos);

    // Then it is erased, and the line of the checksum begins at the left.
    const auto erased = run.out.rfind("\r\033[K");
    REQUIRE(erased != std::string::npos);
    CHECK(run.out.substr(erased + 4).find(folder / "zeros\r\n") == 66);
}

TEST_CASE("elsewhere there is a line now and then")
{
    const test_folder folder;
    write_sparse(folder / "zeros", 2'000'000'000, {}, "");
    const auto run = run_with({"checksum", "--interval", "0.05", folder / "zeros"});
    CHECK(run.status == 0);
    CHECK(run.err.find('\r') == std::string::npos);
    CHECK(run.err.find('\033') == std::string::npos);
    const support::transcript lines(run.err);
    CHECK(lines.lines().size() >= 2);
    CHECK(lines.count_containing("MiB of 1.86 GiB  ") >= 2);
    CHECK(run.said().lines().size() == 1);
}

TEST_CASE("a copy ends with a line that states its rate, its engine and its memory")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(3'000'000));
    const auto run = run_with(
        {"copy", "--interval", "3600", "--engine", "threads", "--block-size", "64K", "--blocks",
         "5", folder / "file", folder / "copy"});
    const std::regex line(
        folder /
        "copy: 2\\.86 MiB in \\d+\\.\\d\\d s, [^ ]+ \\w+/s; engine threads, "
        "5 blocks of 64\\.0 KiB\n");
    CHECK(std::regex_match(run.err, line));

    CHECK(run_with({"copy", "--quiet", folder / "file", folder / "other"}).err == "");
}
