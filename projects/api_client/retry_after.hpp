// When a server wants to be asked again: the field Retry-After of an answer.
//
// It is a number of seconds, or a date. A date is on the server's clock, which may be minutes off
// from ours. But the server usually says what time it has, too, in the field Date, and the
// difference of the two is right whatever clock we have.

#pragma once

#include "api_client/http_message.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace api {

// "Sun, 06 Nov 1994 08:49:37 GMT", or one of the two older forms that RFC 9110, 5.6.7, wants
// understood: "Sunday, 06-Nov-94 08:49:37 GMT" and "Sun Nov  6 08:49:37 1994".
std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text);

// How long to wait before asking again: zero for a date in the past, nothing if the server does not
// say, or says something else. `now` counts where the answer has no Date.
std::optional<std::chrono::seconds> retry_after(
    const http::response& answer,
    std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

}  // namespace api
