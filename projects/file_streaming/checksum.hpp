// The SHA-256 of a file, which needs its bytes in order, one block after another. Reads run ahead
// while a block is being hashed, on another thread.

#pragma once

#include "file_streaming/block_stream.hpp"
#include "file_streaming/engine.hpp"
#include "file_streaming/progress.hpp"
#include "file_streaming/source.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>
#include <string_view>

namespace file_streaming {

// Completes with 64 hexadecimal digits. Throws file_error.
boost::asio::awaitable<std::string> sha256(
    engine& with, const source& from, block_limits limits, progress& work);

// The line that sha256sum prints for it, with the newline, and that sha256sum --check reads.
std::string checksum_line(std::string_view digits, std::string_view path);

}  // namespace file_streaming
