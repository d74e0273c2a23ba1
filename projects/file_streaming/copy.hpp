// Copies a file: reads run ahead, writes follow them, in any order, since each block knows its
// offset. Holes are neither read nor written, so what was sparse stays so.

#pragma once

#include "file_streaming/block_stream.hpp"
#include "file_streaming/engine.hpp"
#include "file_streaming/progress.hpp"
#include "file_streaming/source.hpp"
#include "file_streaming/target.hpp"

#include <boost/asio/awaitable.hpp>

namespace file_streaming {

// Completes when the copy has its name and is on the disk. Throws file_error, and then the target
// is as it was before, or absent, unless the error says otherwise; so it is when it is cancelled.
// `exactly` as in unfinished_file::finish().
boost::asio::awaitable<void> copy(
    engine& with, const source& from, const target& to, block_limits limits, bool exactly,
    progress& work);

}  // namespace file_streaming
