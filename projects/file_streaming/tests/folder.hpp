// A folder of a test's own, and files in it.

#pragma once

#include "common/temporary_folder.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

// Goes with everything in it. Paths are strings here, for command lines and messages.
class test_folder : public common::temporary_folder {
public:
    using temporary_folder::temporary_folder;

    std::string path() const { return temporary_folder::path().string(); }
    std::string operator/(std::string_view name) const { return path() + "/" + std::string(name); }

    // The names of what is in it, those that begin with a dot included.
    std::set<std::string> names() const
    {
        std::set<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(path())) {
            found.insert(entry.path().filename().string());
        }
        return found;
    }
};

// Bytes without a pattern that a block size would divide.
inline std::string some_bytes(std::size_t size)
{
    std::string bytes;
    bytes.reserve(size + 8);
    for (std::uint64_t word = 0x9e3779b97f4a7c15; bytes.size() < size;) {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
    }
    bytes.resize(size);
    return bytes;
}

inline void write_file(const std::string& path, std::string_view bytes)
{
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    if (!file.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush()) {
        throw std::runtime_error("cannot write " + path);
    }
}

inline std::string read_whole(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        throw std::runtime_error("cannot read " + path);
    }
    return {std::istreambuf_iterator<char>(file), {}};
}

inline struct stat status_of(const std::string& path)
{
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) {
        throw std::runtime_error("cannot stat " + path);
    }
    return status;
}

// What the file takes on the disk.
inline std::uint64_t bytes_on_disk(const std::string& path)
{
    return static_cast<std::uint64_t>(status_of(path).st_blocks) * 512;
}

// A file that is a hole, but for `bytes` at each of the offsets.
inline void write_sparse(
    const std::string& path, std::uint64_t size, const std::set<std::uint64_t>& offsets,
    std::string_view bytes)
{
    write_file(path, "");
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    for (const auto offset : offsets) {
        file.seekp(static_cast<std::streamoff>(offset));
        file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    file.flush();
    if (!file || ::truncate(path.c_str(), static_cast<off_t>(size)) != 0) {
        throw std::runtime_error("cannot write " + path);
    }
}
