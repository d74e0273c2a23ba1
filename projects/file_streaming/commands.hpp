// What the program does, one function a command. Each runs a loop of its own until the work is
// done, or SIGINT, SIGTERM or SIGHUP cancels it.

#pragma once

#include "common/clock.hpp"
#include "file_streaming/block_stream.hpp"
#include "file_streaming/engine.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace file_streaming {

struct settings {
    engine_kind engine = engine_kind::automatic;
    std::size_t threads = 4;  // of the thread pool
    block_limits blocks;
    bool quiet = false;                                            // no progress
    common::duration progress_interval = std::chrono::seconds(5);  // of lines, not of the bar
};

// These give the exit status: 0, or 1 after telling on stderr what went wrong.

int run_copy(
    const std::string& from, const std::string& to, bool exactly, const settings& settings);

// A file that cannot be read does not keep the others from being.
int run_checksum(const std::vector<std::string>& files, const settings& settings);

}  // namespace file_streaming
