// What a copy is, on each engine.

#include "projects/file_streaming/tests/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

namespace fs = std::filesystem;

namespace {

using names = std::set<std::string>;

mode_t mode_of(const std::string& path)
{
    return status_of(path).st_mode & 07777;
}

}  // namespace

TEST_CASE("a copy has the bytes of its source, whatever its size")
{
    for (const auto& engine : engines()) {
        for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 1'000'000U}) {
            INFO(engine << ", " << size << " bytes");
            const test_folder folder;
            const auto bytes = some_bytes(size);
            write_file(folder / "file", bytes);
            const auto run = run_with(
                {"copy", "--engine", engine, "--block-size", "4K", folder / "file",
                 folder / "copy"});
            CHECK(run.status == 0);
            CHECK(run.out == "");
            CHECK(read_whole(folder / "copy") == bytes);
            CHECK(folder.names() == names{"copy", "file"});
        }
    }
}

TEST_CASE("a copy of many large blocks has the bytes of its source")
{
    const auto bytes = some_bytes(30 * 1024 * 1024 + 1);
    for (const auto& engine : engines()) {
        INFO(engine);
        const test_folder folder;
        write_file(folder / "file", bytes);
        const auto run = run_with({"copy", "--engine", engine, folder / "file", folder / "copy"});
        CHECK(run.status == 0);
        CHECK(run.err.find("engine " + engine) != std::string::npos);
        CHECK((read_whole(folder / "copy") == bytes));
    }
}

TEST_CASE("what stderr does not take makes no difference to a copy, nor to a failure")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(100'000));
    const auto run_unheard = [&](const std::string& source) {
        const auto script = "exec \"$0\" copy \"$1\" \"$2\" 2>/dev/full";
        return support::run_program(
            "/bin/sh", {.arguments = {"-c", script, PROGRAM, folder / source, folder / "copy"}});
    };
    CHECK(run_unheard("file").status == 0);
    CHECK(folder.names() == names{"copy", "file"});
    CHECK(run_unheard("no-such-file").status == 1);
}

// It is told often enough to find that out in the middle of the copy, and again at its end.
TEST_CASE("whoever stops reading stderr does not end a copy, nor a failure")
{
    const test_folder folder;
    write_file(folder / "file", some_bytes(20'000'000));
    for (const auto& engine : engines()) {
        INFO(engine);
        CHECK(
            run_with_broken_pipe(
                folder, "2>&5",
                {"copy", "--interval", "0.01", "--engine", engine, "--block-size", "4K",
                 folder / "file", folder / "copy"})
                .status == 0);
        CHECK((read_whole(folder / "copy") == read_whole(folder / "file")));
        fs::remove(folder / "copy");
        const auto failed =
            run_with_broken_pipe(folder, "2>&5", {"copy", folder / "none", folder / "copy"});
        CHECK(failed.status == 1);
    }
}

TEST_CASE("a sparse file stays sparse")
{
    for (const auto& engine : engines()) {
        INFO(engine);
        const test_folder folder;
        const std::uint64_t size = 300'000'001;
        write_sparse(folder / "file", size, {100'000'000, 250'000'123}, some_bytes(100'000));
        if (bytes_on_disk(folder / "file") >= size) {
            SKIP("no sparse files in the temporary folder");
        }
        CHECK(run_with({"copy", "--engine", engine, folder / "file", folder / "copy"}).status == 0);
        CHECK(fs::file_size(folder / "copy") == size);
        CHECK(bytes_on_disk(folder / "copy") < 1'000'000);
        const auto compared =
            support::run_program("/usr/bin/cmp", {.arguments = {folder / "file", folder / "copy"}});
        CHECK(compared.status == 0);
    }
}

// Asio hands the kernel one read of a file object at a time, so the engine has several of them.
TEST_CASE("by io_uring several reads of a file are under way")
{
    if (std::count(engines().begin(), engines().end(), "io_uring") == 0) {
        SKIP("no io_uring here");
    }
    const test_folder folder;
    stopped_copy copy(folder, "io_uring");
    CHECK(copy.opened(folder / "file") > 2);  // one is opened, and one for each read
    copy.go_on();
    CHECK(copy.wait().status == 0);
}

TEST_CASE("a copy into a folder has the name of its source")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    fs::create_directory(folder / "to");
    CHECK(run_with({"copy", folder / "file", folder / "to"}).status == 0);
    CHECK(read_whole(folder / "to/file") == "12345");
    CHECK(run_with({"copy", folder / "file", folder / "to/"}).status == 0);
}

TEST_CASE("a copy to a link replaces what it points to")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    fs::create_directory(folder / "to");
    write_file(folder / "to/real", "old");
    fs::create_symlink("to/real", folder / "link");
    CHECK(run_with({"copy", folder / "file", folder / "link"}).status == 0);
    CHECK(fs::is_symlink(folder / "link"));
    CHECK(read_whole(folder / "to/real") == "12345");
}

TEST_CASE("a copy has the mode that cp would give it")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    write_file(folder / "old", "old");
    REQUIRE(::chmod((folder / "file").c_str(), 04755) == 0);
    REQUIRE(::chmod((folder / "old").c_str(), 0604) == 0);
    const auto with_umask = [&](const std::string& what) {
        return support::run_program(
            "/bin/sh", {.arguments = {
                            "-c", "umask 027; exec " + what, "sh", folder / "file", folder / "old",
                            folder / "new", folder / "by_cp"}});
    };

    SECTION("for a new file the source's, as far as the umask allows")
    {
        CHECK(with_umask(PROGRAM " copy \"$1\" \"$3\"").status == 0);
        CHECK(with_umask("cp \"$1\" \"$4\"").status == 0);
        CHECK(mode_of(folder / "new") == 0750);
        CHECK(mode_of(folder / "new") == mode_of(folder / "by_cp"));
    }
    SECTION("for a file that is replaced, that file's")
    {
        CHECK(with_umask(PROGRAM " copy \"$1\" \"$2\"").status == 0);
        CHECK(read_whole(folder / "old") == "12345");
        CHECK(mode_of(folder / "old") == 0604);
    }
}

TEST_CASE("with --preserve a copy has the mode and the times of its source, and else it is new")
{
    const test_folder folder;
    write_file(folder / "file", "12345");
    REQUIRE(::chmod((folder / "file").c_str(), 0642) == 0);
    const timespec then[] = {{1'000'000'000, 123'456'789}, {1'100'000'000, 987'654'321}};
    REQUIRE(::utimensat(AT_FDCWD, (folder / "file").c_str(), then, 0) == 0);

    CHECK(run_with({"copy", "--preserve", folder / "file", folder / "copy"}).status == 0);
    CHECK(mode_of(folder / "copy") == 0642);
    CHECK(status_of(folder / "copy").st_mtim.tv_sec == 1'100'000'000);
    CHECK(status_of(folder / "copy").st_mtim.tv_nsec == 987'654'321);
    CHECK(status_of(folder / "copy").st_atim.tv_sec == 1'000'000'000);

    CHECK(run_with({"copy", folder / "file", folder / "plain"}).status == 0);
    CHECK(status_of(folder / "plain").st_mtim.tv_sec > 1'500'000'000);
}

TEST_CASE("a file that is replaced keeps its owner")
{
    if (::geteuid() != 0) {
        SKIP("needs root, who may give files away");
    }
    const test_folder folder;
    write_file(folder / "file", "12345");
    write_file(folder / "copy", "old");
    REQUIRE(::chown((folder / "copy").c_str(), 12, 34) == 0);
    CHECK(run_with({"copy", folder / "file", folder / "copy"}).status == 0);
    CHECK(read_whole(folder / "copy") == "12345");
    CHECK(status_of(folder / "copy").st_uid == 12);
    CHECK(status_of(folder / "copy").st_gid == 34);
}

TEST_CASE("a file that is replaced and whose owner cannot be kept is not replaced")
{
    if (::geteuid() != 0) {
        SKIP("needs root, who gives up the right to give files away");
    }
    const test_folder folder;
    write_file(folder / "file", "12345");
    write_file(folder / "copy", "old");
    REQUIRE(::chown((folder / "copy").c_str(), 12, 34) == 0);
    const auto run = support::run_program(
        "/usr/bin/setpriv", {.arguments = {
                                 "--bounding-set=-chown", "--inh-caps=-chown", PROGRAM, "copy",
                                 folder / "file", folder / "copy"}});
    CHECK(run.status == 1);
    CHECK(
        run.err ==
        "file_streaming: " + folder / "copy: the copy would have another owner or group\n");
    CHECK(read_whole(folder / "copy") == "old");
    CHECK(folder.names() == names{"copy", "file"});
}

// Whoever has the old file open goes on reading the old file.
TEST_CASE("the old file is there until the copy is complete, and then the new one")
{
    const test_folder folder;
    write_file(folder / "copy", "old");
    for (const auto& engine : engines()) {
        INFO(engine);
        write_file(folder / "copy", "old");
        stopped_copy copy(folder, engine);
        write_file(folder / "copy", "old");  // a run that was too fast has removed it
        CHECK(folder.names() == names{"copy", "file"});
        std::ifstream opened(folder / "copy");
        copy.go_on();
        CHECK(copy.wait().status == 0);
        std::string word;
        opened >> word;
        CHECK(word == "old");
        CHECK((read_whole(folder / "copy") == read_whole(folder / "file")));
        CHECK(folder.names() == names{"copy", "file"});
    }
}
