// What lessons print: one line to an event, with the time and the actor.

#pragma once

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace common {

namespace detail {
void print_log_line(std::string_view who, std::string_view text);
}

// Prints `[0.10s] who: text` on stdout, with the seconds since the run began; the format is fmt's.
// Each line is written whole and flushed, so lines of several threads do not mix, and none is lost.
template <class... Args>
void log(std::string_view who, fmt::format_string<Args...> format, Args&&... args)
{
    detail::print_log_line(who, fmt::format(format, std::forward<Args>(args)...));
}

// Prints `== title ==`, the heading of a part of the lesson.
void section(std::string_view title);

}  // namespace common
