#include "common/temporary_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace fs = std::filesystem;

TEST_CASE("a temporary folder is there, is the user's alone, and goes with all that is in it")
{
    std::optional<common::temporary_folder> folder(std::in_place);
    const auto path = folder->path();
    CHECK(fs::is_directory(path));
    CHECK(fs::is_empty(path));
    CHECK(fs::status(path).permissions() == fs::perms::owner_all);

    fs::create_directory(*folder / "drawer");
    std::ofstream(*folder / "drawer" / "note") << "gone soon";
    CHECK(fs::file_size(path / "drawer" / "note") == 9);
    folder.reset();
    CHECK_FALSE(fs::exists(path));
}

TEST_CASE("temporary folders stand side by side in the folder that they are made in")
{
    const common::temporary_folder outer;
    const common::temporary_folder one(outer.path());
    const common::temporary_folder other(outer.path());
    CHECK(one.path() != other.path());
    CHECK(one.path().parent_path() == outer.path());
    CHECK(other.path().parent_path() == outer.path());
}

TEST_CASE("a temporary folder that cannot be made is an error, which names where")
{
    try {
        const common::temporary_folder folder("/no/such/place");
        FAIL("there is no such place");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::no_such_file_or_directory);
        CHECK(std::string(error.what()).find("/no/such/place") != std::string::npos);
    }
}
