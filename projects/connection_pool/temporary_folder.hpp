// A folder in the system's place for temporary files, gone with the object.

#pragma once

#include <filesystem>

class temporary_folder {
public:
    // Throws std::system_error.
    temporary_folder();
    ~temporary_folder();
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};
