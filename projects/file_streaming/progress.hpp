// How far the work on a file is, and how that is shown: as a bar that is drawn again and again on a
// terminal, and as a line now and then elsewhere, such as in a log.
//
// The rate is that of the last few seconds, not of the whole time: after a slow start, or when a
// cache is full, that is what the time left depends on.

#pragma once

#include "common/clock.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace file_streaming {

// Bytes that are done with, of those that there are to do.
class progress {
public:
    explicit progress(std::string name) : name_(std::move(name)) {}

    void set_total(std::uint64_t bytes) { total_ = bytes; }
    void add(std::uint64_t bytes) { done_ += bytes; }

    const std::string& name() const { return name_; }
    std::uint64_t total() const { return total_; }
    std::uint64_t done() const { return done_; }

private:
    const std::string name_;
    std::uint64_t total_ = 0;  // becomes less as holes are found
    std::uint64_t done_ = 0;
};

// Bytes per second over the last three seconds.
class rate_meter {
public:
    void add(common::time_point when, std::uint64_t done);

    // Nothing before the second sample.
    std::optional<double> rate() const;

private:
    std::deque<std::pair<common::time_point, std::uint64_t>> samples_;
};

// "512 bytes", "1.50 KiB", "12.0 MiB", "345 GiB"
std::string human_size(double bytes);

// "disk.img  40%  410 MiB of 1.00 GiB  512 MiB/s  0:01 left"
std::string progress_line(const progress& work, std::optional<double> rate);

// The same, with a bar after the name: as wide as the terminal, and no wider, so that it stays one
// line. What does not fit is left out, the bar first.
std::string progress_bar(const progress& work, std::optional<double> rate, std::size_t width);

enum class progress_style { none, lines, bar };

// Shows it until it is cancelled: the bar ten times a second, and a line every `interval`. What it
// has drawn of a bar is then gone.
boost::asio::awaitable<void> show_progress(
    const progress& work, progress_style style, common::duration interval, std::FILE* out);

}  // namespace file_streaming
