// A folder for files that nobody needs afterwards.

#pragma once

#include <filesystem>

namespace common {

// Is removed with all that is in it, also when an exception ends the scope. What kills the program
// leaves it behind.
class temporary_folder {
public:
    // Makes it under a name of its own, for nobody but this user. Throws std::system_error.
    explicit temporary_folder(
        const std::filesystem::path& parent = std::filesystem::temp_directory_path());
    ~temporary_folder();
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(const std::filesystem::path& name) const
    {
        return path_ / name;
    }

private:
    std::filesystem::path path_;
};

}  // namespace common
