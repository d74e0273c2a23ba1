// The stream of blocks, on virtual time: what overlaps, in which order, and what is left behind
// when it fails or is cancelled.

#include "common/clock.hpp"
#include "common/run.hpp"
#include "common/timeout.hpp"
#include "file_streaming/checksum.hpp"
#include "file_streaming/copy.hpp"
#include "file_streaming/file_error.hpp"
#include "projects/file_streaming/tests/folder.hpp"
#include "projects/file_streaming/tests/unit/slow_engine.hpp"

#include <boost/asio/awaitable.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <utility>
#include <vector>

using boost::asio::awaitable;
using common::clock_mode;
using namespace std::chrono_literals;
using namespace file_streaming;

namespace {

constexpr std::size_t block_size = 4096;
constexpr block_limits four_blocks{block_size, 4};

common::duration nothing(int)
{
    return 0s;
}

common::duration tenth(int)
{
    return 100ms;
}

struct took {
    std::string digits;
    common::duration time;
};

awaitable<took> timed_sha256(engine& with, std::string path, block_limits limits)
{
    const source from(path);
    progress work(path);
    const auto start = common::now();
    took result;
    result.digits = co_await sha256(with, from, limits, work);
    result.time = common::now() - start;
    co_return result;
}

awaitable<common::duration> timed_copy(
    engine& with, std::string from_path, std::string to_path, block_limits limits)
{
    const source from(from_path);
    const target to(from, to_path);
    progress work(to_path);
    const auto start = common::now();
    co_await copy(with, from, to, limits, false, work);
    co_return common::now() - start;
}

took sha256_of(engine& with, const std::string& path, block_limits limits = four_blocks)
{
    return common::run(timed_sha256(with, path, limits), clock_mode::virtual_time);
}

common::duration copy_of(
    engine& with, const std::string& from, const std::string& to, block_limits limits = four_blocks)
{
    return common::run(timed_copy(with, from, to, limits), clock_mode::virtual_time);
}

// The message of the failure, or "".
template <class Work>
std::string failure_of(Work work)
{
    try {
        work();
        return "";
    } catch (const file_error& failure) {
        return failure.what();
    }
}

}  // namespace

TEST_CASE("as many reads are under way as there are blocks, and no more")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(16 * block_size));
    slow_engine engine({tenth, nothing, nothing});
    const auto time = copy_of(engine, folder / "file", folder / "copy");
    CHECK(time == 400ms);  // sixteen reads, four at a time
    CHECK(engine.most_reads_at_once() == 4);
    CHECK(read_whole(folder / "copy") == some_bytes(16 * block_size));
}

TEST_CASE("reading overlaps writing")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(16 * block_size));
    const auto one_slow_one_fast = [](int write) -> common::duration {
        return write % 2 == 0 ? 50ms : 150ms;
    };
    slow_engine engine({tenth, one_slow_one_fast, nothing});

    // One after another, it would be sixteen times 0.1 s, and eight times 0.05 s and 0.15 s.
    CHECK(copy_of(engine, folder / "file", folder / "copy") < 1s);
    CHECK(engine.reads_beside_writes() > 0);
    CHECK(read_whole(folder / "copy") == some_bytes(16 * block_size));
}

TEST_CASE("reading overlaps hashing, which goes one block at a time")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(16 * block_size));
    slow_engine engine({tenth, nothing, tenth});
    const auto result = sha256_of(engine, folder / "file", {block_size, 2});
    CHECK(result.time == 1700ms);  // the first read, then sixteen hashes; in turn it were 3.2 s
}

TEST_CASE("a checksum takes the blocks in order, whichever read ends first")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(8 * block_size));
    slow_engine in_order({nothing, nothing, nothing});
    const auto reversed = [](int read) { return common::duration((9 - read) * 10ms); };
    slow_engine backwards({reversed, nothing, nothing});
    CHECK(
        sha256_of(in_order, folder / "file", {block_size, 8}).digits ==
        sha256_of(backwards, folder / "file", {block_size, 8}).digits);
}

TEST_CASE("a file that changes while it is read is an error, and there is no copy")
{
    const test_folder folder;
    const auto file = folder / "file";
    write_file(file, some_bytes(32 * block_size));
    const auto change_at_tenth = [&](auto change) {
        slow_engine_script script;
        script.before = [change](int operation) {
            if (operation == 10) {
                change();
            }
        };
        return script;
    };

    SECTION("it shrinks")
    {
        slow_engine engine(change_at_tenth([&] { std::filesystem::resize_file(file, 9); }));
        CHECK(failure_of([&] {
                  copy_of(engine, file, folder / "copy");
              }) == file + ": has shrunk while it was read");
        CHECK(engine.operations() < 32);  // it does not go on to the end
    }
    SECTION("it shrinks, for a checksum")
    {
        slow_engine engine(change_at_tenth([&] { std::filesystem::resize_file(file, 9); }));
        CHECK(failure_of([&] {
                  sha256_of(engine, file);
              }) == file + ": has shrunk while it was read");
    }
    SECTION("it shrinks to what has been read, at the last write")
    {
        slow_engine_script script;
        script.before = [&](int operation) {
            if (operation == 64) {  // 32 reads, 32 writes
                std::filesystem::resize_file(file, 9);
            }
        };
        slow_engine engine(script);
        CHECK(failure_of([&] {
                  copy_of(engine, file, folder / "copy");
              }) == file + ": has shrunk while it was read");
    }
    SECTION("it grows")
    {
        slow_engine engine(change_at_tenth(
            [&] { std::ofstream(file, std::ios::app | std::ios::binary) << "more"; }));
        CHECK(failure_of([&] {
                  copy_of(engine, file, folder / "copy");
              }) == file + ": has more bytes than its size said: it has grown meanwhile");
    }
    SECTION("it grows, for a checksum")
    {
        slow_engine engine(change_at_tenth(
            [&] { std::ofstream(file, std::ios::app | std::ios::binary) << "more"; }));
        CHECK(failure_of([&] {
                  sha256_of(engine, file);
              }) == file + ": has more bytes than its size said: it has grown meanwhile");
    }
    SECTION("other bytes are written to it")
    {
        slow_engine engine(change_at_tenth([&] {
            std::fstream other(file, std::ios::in | std::ios::out | std::ios::binary);
            other << "other bytes";
        }));
        CHECK(failure_of([&] {
                  copy_of(engine, file, folder / "copy");
              }) == file + ": has been changed while it was read");
    }
    CHECK(folder.names() == std::set<std::string>{"file"});
}

// The operations of a copy: eight reads, eight writes, finish, publish. Each is held up for ever in
// turn, and the copy is cancelled there.
TEST_CASE("a copy that is cancelled, wherever that is, leaves nothing behind")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(8 * block_size));
    const auto wait_for_copy = [&](engine& with) -> awaitable<void> {
        co_await common::with_timeout(
            1s, timed_copy(with, folder / "file", folder / "copy", four_blocks));
    };

    int counted = 0;
    const auto hang_at = [&counted](int place) {
        return [&counted, place](int) { return ++counted == place ? common::duration(1h) : 0s; };
    };
    for (int place = 1; place <= 18; ++place) {
        INFO("operation " << place);
        counted = 0;
        slow_engine engine({hang_at(place), hang_at(place), hang_at(place)});
        CHECK_THROWS_AS(
            common::run(wait_for_copy(engine), clock_mode::virtual_time), common::timeout_error);
        CHECK(folder.names() == std::set<std::string>{"file"});
    }
    counted = 0;
    slow_engine engine({hang_at(19), hang_at(19), hang_at(19)});
    common::run(wait_for_copy(engine), clock_mode::virtual_time);
    CHECK(engine.operations() == 18);
    CHECK(folder.names() == std::set<std::string>{"copy", "file"});
}

TEST_CASE("several writes that fail at once are one error, and nothing is left")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(8 * block_size));
    const auto fail = [](int) -> common::duration { throw file_error("disk", ENOSPC); };
    slow_engine engine({nothing, fail, nothing});
    CHECK(failure_of([&] {
              copy_of(engine, folder / "file", folder / "copy");
          }) == "disk: No space left on device");
    CHECK(folder.names() == std::set<std::string>{"file"});
}

TEST_CASE("the pieces of a sparse file are its data, cut at multiples of the block size")
{
    const test_folder folder;
    const std::string two_blocks(2 * block_size, 'x');
    write_sparse(
        folder / "file", 20 * block_size + 7, {4 * block_size, 12 * block_size}, two_blocks);
    const source from(folder / "file");
    const auto cut = [&](std::size_t size, holes what) {
        std::vector<std::pair<std::uint64_t, std::size_t>> found;
        pieces all(from, size, what);
        while (const auto one = all.next()) {
            found.emplace_back(one->offset, one->size);
        }
        return found;
    };
    using list = std::vector<std::pair<std::uint64_t, std::size_t>>;
    if (bytes_on_disk(folder / "file") >= from.size()) {
        SKIP("no sparse files in the temporary folder");
    }
    CHECK(
        cut(3 * block_size, holes::leave_out) ==
        list{{4 * block_size, 2 * block_size}, {12 * block_size, 2 * block_size}});
    CHECK(
        cut(block_size, holes::leave_out) == list{
                                                 {4 * block_size, block_size},
                                                 {5 * block_size, block_size},
                                                 {12 * block_size, block_size},
                                                 {13 * block_size, block_size}});
    CHECK(
        cut(15 * block_size, holes::read) ==
        list{{0, 15 * block_size}, {15 * block_size, 5 * block_size + 7}});
}
