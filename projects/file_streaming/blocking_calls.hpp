// Reading and writing with calls that block. A call may move fewer bytes than it is asked to, or be
// interrupted by a signal; these go on until it is done.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace file_streaming {

// Gives less than asked for only at the end of the file. Throws file_error, which has the name.
std::size_t read_fully(
    int file, std::uint64_t offset, std::span<std::byte> into, std::string_view name);

void write_fully(
    int file, std::uint64_t offset, std::span<const std::byte> bytes, std::string_view name);

}  // namespace file_streaming
