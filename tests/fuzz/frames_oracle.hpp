// What a parser of frames should make of a stream, for the tests and for the fuzzer.

#pragma once

#include "lessons/019_frames.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace oracle {

enum class ending { between_frames, inside_a_frame, too_long };

struct outcome {
    std::vector<std::string> messages;
    ending end = ending::between_frames;

    bool operator==(const outcome&) const = default;
};

// Worked out from the whole stream at once, another way than the parser does it.
inline outcome expected(std::string_view stream, std::size_t limit)
{
    outcome result;
    while (!stream.empty()) {
        if (stream.size() < 4) {
            result.end = ending::inside_a_frame;
            break;
        }
        const auto byte = [&](std::size_t i) {
            return static_cast<std::size_t>(static_cast<unsigned char>(stream[i]));
        };
        const auto length = byte(0) * 16777216 + byte(1) * 65536 + byte(2) * 256 + byte(3);
        if (length > limit) {
            result.end = ending::too_long;
            break;
        }
        if (stream.size() - 4 < length) {
            result.end = ending::inside_a_frame;
            break;
        }
        result.messages.emplace_back(stream.substr(4, length));
        stream.remove_prefix(4 + length);
    }
    return result;
}

// What the parser makes of the stream, when `next_piece()` says how long each piece is. Throws
// std::logic_error if the parser keeps more than it has to.
template <class NextPiece>
outcome parsed(std::string_view stream, std::size_t limit, NextPiece next_piece)
{
    frames::parser parser(limit);
    outcome result;
    try {
        while (!stream.empty()) {
            const auto piece = stream.substr(0, next_piece());
            stream.remove_prefix(piece.size());
            parser.feed(piece);
            while (auto message = parser.next()) {
                result.messages.push_back(std::move(*message));
            }
            if (parser.unused() >= frames::header_size + limit) {
                throw std::logic_error("the parser keeps a whole frame, and more");
            }
        }
    } catch (const frames::bad_frame&) {
        result.end = ending::too_long;
        return result;
    }
    try {
        parser.finish();
    } catch (const frames::bad_frame&) {
        result.end = ending::inside_a_frame;
    }
    return result;
}

}  // namespace oracle
