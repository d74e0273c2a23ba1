// What the tests of task_queue share.

#pragma once

#include "task_queue/job.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace task_queue::tests {

// A directory of its own for each test, removed when that ends.
class temporary_directory {
public:
    temporary_directory()
    {
        std::string name = std::filesystem::temp_directory_path() / "task_queue_test.XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::runtime_error("cannot make a temporary directory");
        }
        path_ = name;
    }

    ~temporary_directory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;

    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

inline job builtin_job(std::string id, std::vector<std::string> words)
{
    job made;
    made.id = std::move(id);
    made.words = std::move(words);
    made.builtin = true;
    return made;
}

}  // namespace task_queue::tests
