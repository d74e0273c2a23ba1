#include "api_client/retry_after.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <string>
#include <system_error>

namespace api {

namespace {

// At most a year: more is the same as never, and the sum with a time cannot overflow.
constexpr std::chrono::seconds longest = std::chrono::hours(24 * 365);

std::optional<std::chrono::seconds> parse_seconds(std::string_view text)
{
    unsigned long long seconds = 0;
    const auto* const end = text.data() + text.size();
    const auto [last, error] = std::from_chars(text.data(), end, seconds);
    if (last != end || text.empty() || error == std::errc::invalid_argument) {
        return std::nullopt;
    }
    const auto most = static_cast<unsigned long long>(longest.count());
    const bool is_huge = error == std::errc::result_out_of_range || seconds > most;
    return is_huge ? longest : std::chrono::seconds(seconds);
}

}  // namespace

std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text)
{
    // In a program that never calls setlocale, strptime knows the English names.
    const std::string terminated(text);
    for (const auto* const form :
         {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
        std::tm parts{};
        const auto* const rest = ::strptime(terminated.c_str(), form, &parts);
        if (rest == terminated.c_str() + terminated.size()) {
            return std::chrono::sys_seconds(std::chrono::seconds(::timegm(&parts)));
        }
    }
    return std::nullopt;
}

std::optional<std::chrono::seconds> retry_after(
    const http::response& answer, std::chrono::system_clock::time_point now)
{
    const auto* const value = answer.headers.find("Retry-After");
    if (value == nullptr) {
        return std::nullopt;
    }
    if (const auto seconds = parse_seconds(*value)) {
        return seconds;
    }
    const auto when = parse_http_date(*value);
    if (!when) {
        return std::nullopt;
    }
    const auto* const date = answer.headers.find("Date");
    const auto server_now = date == nullptr ? std::nullopt : parse_http_date(*date);
    const auto from = server_now.value_or(std::chrono::floor<std::chrono::seconds>(now));
    return std::clamp(*when - from, std::chrono::seconds(0), longest);
}

}  // namespace api
