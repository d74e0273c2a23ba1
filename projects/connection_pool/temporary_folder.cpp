#include "connection_pool/temporary_folder.hpp"

#include <cerrno>
#include <string>
#include <system_error>

#include <stdlib.h>  // mkdtemp

temporary_folder::temporary_folder()
{
    std::string name = std::filesystem::temp_directory_path() / "connection_pool_XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
        throw std::system_error(errno, std::system_category(), name);
    }
    path_ = name;
}

temporary_folder::~temporary_folder()
{
    std::error_code left_behind;
    std::filesystem::remove_all(path_, left_behind);
}
