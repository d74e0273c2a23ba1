// The memory is that of the blocks, however large the file.

#include "projects/file_streaming/tests/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t mebibyte = 1024 * 1024;
constexpr std::size_t allowance = 8 * mebibyte;

// The most memory that a run has in RAM, of the samples that there is time for.
std::size_t peak_memory(const std::vector<std::string>& arguments)
{
    support::program_options options;
    options.arguments = arguments;
    options.deadline = std::chrono::seconds(110);
    support::background_program program(PROGRAM, options);
    std::size_t peak = 0;
    while (program.running()) {
        try {
            peak = std::max(peak, support::resident_memory(program.id()));
        } catch (const std::exception&) {
            break;  // it has ended in between
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const auto run = program.wait();
    INFO(run.err);
    REQUIRE(run.status == 0);
    return peak;
}

}  // namespace

// Beside its blocks, the program takes what it takes with blocks that are next to nothing, and a
// little that differs from run to run.
TEST_CASE("a copy of a gibibyte takes no more memory than its blocks")
{
    const test_folder folder;
    {
        const auto bytes = some_bytes(64 * mebibyte);
        std::ofstream file(folder / "file", std::ios::binary);
        for (int i = 0; i < 16; ++i) {
            file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        }
        REQUIRE(file.flush());
    }
    write_file(folder / "small", some_bytes(mebibyte));
    for (const auto& engine : engines()) {
        INFO(engine);
        const auto program = peak_memory(
            {"copy", "-q", "--engine", engine, "--block-size", "4K", "--blocks", "2",
             folder / "small", folder / "copy"});
        const auto with_blocks = peak_memory(
            {"copy", "-q", "--engine", engine, "--block-size", "1M", "--blocks", "8",
             folder / "file", folder / "copy"});
        CHECK(with_blocks < program + 8 * mebibyte + allowance);
    }
}

// That what is measured is the blocks shows when there are more of them.
TEST_CASE("a checksum of 4 GiB takes no more memory than its blocks, and these it takes")
{
    const test_folder folder;
    write_sparse(folder / "zeros", 4096 * mebibyte, {}, "");
    const auto few = peak_memory({"checksum", "-q", "--blocks", "4", folder / "zeros"});
    const auto many = peak_memory({"checksum", "-q", "--blocks", "64", folder / "zeros"});
    CHECK(many > few + 30 * mebibyte);
    CHECK(many < few + 60 * mebibyte + allowance);
}
