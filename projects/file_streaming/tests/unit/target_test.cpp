#include "file_streaming/target.hpp"

#include "file_streaming/file_error.hpp"
#include "file_streaming/source.hpp"
#include "projects/file_streaming/tests/folder.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

using namespace file_streaming;

TEST_CASE("an unfinished file has no name until it is published")
{
    const test_folder folder;
    write_file(folder / "from", "12345");
    const source from(folder / "from");
    const target to(from, folder / "to");
    {
        const unfinished_file copied(to);
        CHECK(folder.names() == std::set<std::string>{"from"});
    }
    CHECK(folder.names() == std::set<std::string>{"from"});
}

// As on a file system that knows no files without a name.
TEST_CASE("an unfinished file that needs a name has one that goes with it")
{
    const test_folder folder;
    write_file(folder / "from", "12345");
    const source from(folder / "from");
    const target to(from, folder / "to");
    {
        const unfinished_file copied(to, naming::early);
        CHECK(folder.names().size() == 2);
        CHECK(folder.names().begin()->starts_with(".file_streaming."));
    }
    CHECK(folder.names() == std::set<std::string>{"from"});
}

TEST_CASE("publishing replaces what was there, and leaves no other name")
{
    const auto when = GENERATE(naming::early, naming::late);
    const test_folder folder;
    write_file(folder / "from", "12345");
    write_file(folder / "to", "old");
    const source from(folder / "from");
    const target to(from, folder / "to");
    {
        unfinished_file copied(to, when);
        REQUIRE(::pwrite(copied.file().number(), "12345", 5, 0) == 5);
        copied.finish(from, false);
        CHECK(read_whole(folder / "to") == "old");
        copied.publish();
        CHECK(read_whole(folder / "to") == "12345");
    }
    CHECK(read_whole(folder / "to") == "12345");
    CHECK(folder.names() == std::set<std::string>{"from", "to"});
}
