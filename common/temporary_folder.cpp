#include "common/temporary_folder.hpp"

#include <cerrno>
#include <string>
#include <system_error>

#include <stdlib.h>  // mkdtemp

namespace common {

temporary_folder::temporary_folder(const std::filesystem::path& parent)
{
    std::string name = parent / "temporary.XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
        throw std::system_error(errno, std::system_category(), parent.string());
    }
    path_ = name;
}

temporary_folder::~temporary_folder()
{
    std::error_code left_behind;  // nobody could do anything about it
    std::filesystem::remove_all(path_, left_behind);
}

}  // namespace common
