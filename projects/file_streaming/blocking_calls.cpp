#include "file_streaming/blocking_calls.hpp"

#include "file_streaming/file_error.hpp"

#include <cerrno>

#include <unistd.h>

namespace file_streaming {

std::size_t read_fully(
    int file, std::uint64_t offset, std::span<std::byte> into, std::string_view name)
{
    std::size_t have = 0;
    while (have < into.size()) {
        const auto rest = into.subspan(have);
        const auto size =
            ::pread(file, rest.data(), rest.size(), static_cast<off_t>(offset + have));
        if (size == 0) {
            break;
        }
        if (size > 0) {
            have += static_cast<std::size_t>(size);
        } else if (errno != EINTR) {
            throw file_error(name, errno);
        }
    }
    return have;
}

void write_fully(
    int file, std::uint64_t offset, std::span<const std::byte> bytes, std::string_view name)
{
    std::size_t written = 0;
    while (written < bytes.size()) {
        const auto rest = bytes.subspan(written);
        const auto size =
            ::pwrite(file, rest.data(), rest.size(), static_cast<off_t>(offset + written));
        if (size >= 0) {
            written += static_cast<std::size_t>(size);
        } else if (errno != EINTR) {
            throw file_error(name, errno);
        }
    }
}

}  // namespace file_streaming
