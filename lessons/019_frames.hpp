// Messages in a stream of bytes: each has its length before it, in four bytes, the highest first.
// For lesson 019.
//
// A stream has no messages. What one side writes in one piece comes in several, or together with
// what was written after it; where the bytes are cut is chance. The parser takes the pieces as they
// come and gives the messages, which depend on the bytes alone.
//
// It knows no socket. Whoever reads, from whatever, feeds it. So it works in every one of the
// lesson's layers, and a test can try each way of cutting, without a socket and without waiting.

#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace frames {

// The other side does not keep to the format. Nothing that comes after can be trusted.
class bad_frame : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

inline constexpr std::size_t header_size = 4;

// The message with its length before it. Throws std::length_error for 4 GiB or more.
inline std::string encode(std::string_view message)
{
    if (message.size() > 0xffffffff) {
        throw std::length_error("encode: the message is too long for its header");
    }
    std::string frame;
    frame.reserve(header_size + message.size());
    for (const int shift : {24, 16, 8, 0}) {
        frame += static_cast<char>(message.size() >> shift & 0xff);
    }
    return frame += message;
}

class parser {
public:
    // Takes messages of up to `limit` bytes. Without a limit four bytes from outside would make the
    // program wait for four gigabytes, and keep what comes.
    explicit parser(std::size_t limit) : limit_(limit) {}

    // Takes the next bytes of the stream, in pieces of any size.
    void feed(std::string_view bytes)
    {
        if (!refused_) {
            bytes_.erase(0, used_);
            used_ = 0;
            bytes_ += bytes;
        }
    }

    // Gives the next message, or nothing as long as it is not complete. Throws bad_frame for one
    // that is too long, as soon as its header is there, and from then on.
    std::optional<std::string> next()
    {
        if (unused() < header_size) {
            return std::nullopt;
        }
        std::size_t length = 0;
        for (std::size_t i = 0; i < header_size; ++i) {
            length = length << 8 | static_cast<unsigned char>(bytes_[used_ + i]);
        }
        if (length > limit_) {
            refused_ = true;
            throw bad_frame(fmt::format("a frame of {} bytes; {} are allowed", length, limit_));
        }
        if (unused() - header_size < length) {
            return std::nullopt;
        }
        auto message = bytes_.substr(used_ + header_size, length);
        used_ += header_size + length;
        return message;
    }

    // Says that the stream has ended. When `next` gives nothing any more, it must have ended
    // between two frames; throws bad_frame where it has not.
    void finish() const
    {
        if (unused() > 0) {
            throw bad_frame(fmt::format("the stream ends {} bytes into a frame", unused()));
        }
    }

    // Bytes that are in no message yet.
    std::size_t unused() const { return bytes_.size() - used_; }

private:
    const std::size_t limit_;
    std::string bytes_;     // from the stream; less than a frame, and what was fed last
    std::size_t used_ = 0;  // of these, in messages that have been given
    bool refused_ = false;
};

}  // namespace frames
