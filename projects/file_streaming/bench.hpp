// Throughput of the engines beside cp and sha256sum, in one run on one file.
//
// Every measurement is a program of its own, from its start to its end, as a user waits for it.
// They take turns in random order, and the median counts, so that what else the machine does, and
// what the one before has left behind, hits all alike. A copy here is on the disk when it ends; cp
// leaves that to the system, so cp is followed by sync. Each is measured twice: with the file in
// the system's cache, and after it has been thrown out of it.

#pragma once

#include <cstdint>
#include <string>

namespace file_streaming {

struct bench_options {
    std::uint64_t size = std::uint64_t{1} << 30;  // of the file, in bytes
    std::string folder = ".";
    int rounds = 5;
};

// Prints a table. Gives the exit status: 0, or 1 after telling on stderr what went wrong, or that
// SIGINT or SIGTERM has ended it. What it has made in the folder is gone then.
int run_bench(const bench_options& options);

}  // namespace file_streaming
