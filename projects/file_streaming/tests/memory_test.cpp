// The memory is that of the blocks, however large the file.

#include "projects/file_streaming/tests/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t mebibyte = 1024 * 1024;

// What differs from run to run. AddressSanitizer keeps what has been freed for a while.
constexpr std::size_t allowance = (IS_SANITIZED ? 64 : 8) * mebibyte;

// The most memory that a program has in RAM, as long as it works. That is read after some time on
// the processor, when all blocks are in use. Gives nothing where it was over too soon for that.
std::optional<std::size_t> try_peak_memory(const support::program_options& options)
{
    constexpr std::chrono::milliseconds enough(20);
    support::background_program program(PROGRAM, options);
    std::optional<std::size_t> peak;
    while (program.running()) {
        try {
            if (support::processor_time(program.id()) >= enough) {
                // A process that has ended, and is not collected yet, has none.
                peak = std::max(peak.value_or(0), support::peak_resident_memory(program.id()));
            }
        } catch (const std::exception&) {
            break;  // it is gone
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const auto run = program.wait();
    INFO(run.err);
    REQUIRE(run.status == 0);
    return peak == 0 ? std::nullopt : peak;
}

std::size_t peak_memory(const std::vector<std::string>& arguments)
{
    support::program_options options;
    options.arguments = arguments;
    options.deadline = std::chrono::seconds(110);
    std::optional<std::size_t> peak;
    while (!peak) {
        peak = try_peak_memory(options);
    }
    return *peak;
}

// Copies thirty times as much as the blocks hold. Beside its blocks, the program takes what it
// takes with blocks that are next to nothing.
void check_memory_of_copy(const std::string& engine)
{
    if (std::count(engines().begin(), engines().end(), engine) == 0) {
        SKIP("no " + engine + " here");
    }
    const test_folder folder;
    write_file(folder / "file", some_bytes(256 * mebibyte));
    const auto program = peak_memory(
        {"copy", "-q", "--engine", engine, "--block-size", "4K", "--blocks", "2", folder / "file",
         folder / "copy"});
    const auto with_blocks = peak_memory(
        {"copy", "-q", "--engine", engine, "--block-size", "1M", "--blocks", "8", folder / "file",
         folder / "copy"});
    CHECK(with_blocks < program + 8 * mebibyte + allowance);
}

}  // namespace

TEST_CASE("a copy by io_uring takes no more memory than its blocks")
{
    check_memory_of_copy("io_uring");
}

TEST_CASE("a copy by threads takes no more memory than its blocks")
{
    check_memory_of_copy("threads");
}

TEST_CASE("a copy by blocking calls takes no more memory than its blocks")
{
    check_memory_of_copy("blocking");
}

// That what is measured is the blocks shows when there are more of them.
TEST_CASE("a checksum takes no more memory than its blocks, and these it takes")
{
    const test_folder folder;
    write_sparse(folder / "zeros", 1024 * mebibyte, {}, "");
    const auto few = peak_memory({"checksum", "-q", "--blocks", "4", folder / "zeros"});
    const auto many = peak_memory({"checksum", "-q", "--blocks", "64", folder / "zeros"});
    CHECK(many > few + 30 * mebibyte);
    CHECK(many < few + 60 * mebibyte + allowance);
}
