// Checksums, beside those of sha256sum.

#include "projects/file_streaming/tests/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace {

const std::string sha256sum = "/usr/bin/sha256sum";

}  // namespace

TEST_CASE("checksums are those of sha256sum, to the byte")
{
    for (const auto& engine : engines()) {
        INFO(engine);
        const test_folder folder;
        std::vector<std::string> files;
        for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 1'000'000U, 30'000'000U}) {
            files.push_back(folder / std::to_string(size));
            write_file(files.back(), some_bytes(size));
        }
        files.push_back(folder / "sparse");
        write_sparse(files.back(), 50'000'000, {20'000'000}, "12345");

        const auto expected = support::run_program(sha256sum, {.arguments = files});
        REQUIRE(expected.status == 0);
        std::vector<std::string> arguments = {"checksum", "-q",           "--engine",
                                              engine,     "--block-size", "64K"};
        arguments.insert(arguments.end(), files.begin(), files.end());
        const auto run = run_with(arguments);
        CHECK(run.status == 0);
        CHECK(run.err == "");
        CHECK(run.out == expected.out);
    }
}

TEST_CASE("sha256sum --check reads them, whatever is in a name")
{
    const test_folder folder;
    std::vector<std::string> files;
    for (const std::string name :
         {"plain", "two words", "line\nbreak", "back\\slash", "re\rturn", "-dash", "*star",
          "na\xc3\xafve", "\xff"}) {
        files.push_back(folder / name);
        write_file(files.back(), some_bytes(100 + name.size()));
    }
    std::vector<std::string> arguments = {"checksum"};
    arguments.insert(arguments.end(), files.begin(), files.end());
    const auto run = run_with(arguments);
    CHECK(run.status == 0);

    const auto expected = support::run_program(sha256sum, {.arguments = files});
    CHECK(run.out == expected.out);

    write_file(folder / "sums", run.out);
    const auto checked =
        support::run_program(sha256sum, {.arguments = {"--check", "--strict", folder / "sums"}});
    CHECK(checked.status == 0);
    CHECK(checked.said().count_containing(": OK") == files.size());

    write_file(folder / "plain", "other bytes");
    CHECK(
        support::run_program(sha256sum, {.arguments = {"--check", "--status", folder / "sums"}})
            .status == 1);
}

TEST_CASE("a file that cannot be read does not keep the others from being")
{
    const test_folder folder;
    write_file(folder / "one", "1");
    write_file(folder / "two", "2");
    const auto run = run_with({"checksum", folder / "one", folder / "none", folder / "two"});
    CHECK(run.status == 1);
    CHECK(run.said().lines().size() == 2);
    CHECK(run.err == "file_streaming: " + folder / "none: No such file or directory\n");
}

TEST_CASE("whoever stops reading stderr keeps no file from being read")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    write_sparse(folder / "zeros", 200'000'000, {}, "");
    const auto run = run_with_broken_pipe(
        folder, "2>&5",
        {"checksum", "--interval", "0.01", folder / "none", folder / "zeros", folder / "file"});
    CHECK(run.status == 1);
    CHECK(run.said().lines().size() == 2);
}

TEST_CASE("whoever stops reading stdout is an error")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    const auto run = run_with_broken_pipe(folder, ">&5", {"checksum", folder / "file"});
    CHECK(run.status == 1);
    CHECK(run.err == "file_streaming: stdout: Broken pipe\n");
}

TEST_CASE("a checksum that cannot be printed is an error")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    const auto run = support::run_program(
        "/bin/sh",
        {.arguments = {
             "-c", "exec \"$1\" checksum \"$2\" > /dev/full", "sh", PROGRAM, folder / "file"}});
    CHECK(run.status == 1);
    CHECK(run.err == "file_streaming: stdout: No space left on device\n");
}
