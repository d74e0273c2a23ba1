// libFuzzer's target for the parser of lesson 019. Built by the preset `fuzz`:
//
//     cmake --workflow --preset fuzz                 builds it, and runs it for half a minute
//     build/fuzz/tests/fuzz/frames_fuzz -max_total_time=600
//
// An input is a limit, a seed for the cuts, and a stream. Whatever the stream is, the parser has to
// give what the oracle gives: at once, byte by byte, and in pieces by the seed.

#include "tests/fuzz/frames_oracle.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) {
        return 0;
    }
    const std::size_t limit = data[0];
    std::minstd_rand random(data[1]);
    std::uniform_int_distribution<std::size_t> length(0, 9);
    const std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);

    const auto expected = oracle::expected(stream, limit);
    const bool as_expected =
        oracle::parsed(stream, limit, [&] { return size; }) == expected &&
        oracle::parsed(stream, limit, [] { return std::size_t(1); }) == expected &&
        oracle::parsed(stream, limit, [&] { return length(random); }) == expected;
    if (!as_expected) {
        std::abort();
    }

    // And what encode makes of a stream, the parser takes apart again.
    const oracle::outcome one{{std::string(stream)}, oracle::ending::between_frames};
    const auto frame = frames::encode(stream);
    if (oracle::parsed(frame, stream.size(), [&] { return length(random); }) != one) {
        std::abort();
    }
    return 0;
}
