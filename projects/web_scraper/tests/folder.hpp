// A folder of a test's own, which is gone when the test is over, however it ends.

#pragma once

#include "common/temporary_folder.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tests {

class folder : public common::temporary_folder {
public:
    void write(const std::string& name, std::string_view text) const
    {
        const auto file = *this / name;
        std::filesystem::create_directories(file.parent_path());
        std::ofstream(file, std::ios::binary) << text;
    }

    std::string read(const std::string& name) const
    {
        std::ifstream file(*this / name, std::ios::binary);
        if (!file) {
            throw std::runtime_error("there is no " + (*this / name).string());
        }
        return {std::istreambuf_iterator<char>(file), {}};
    }
};

}  // namespace tests
