#include "chat_server/origin.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace chat {

namespace {

// Scheme and host of a URL are the same in upper and in lower case.
std::string folded(std::string_view text)
{
    std::string lower(text);
    for (char& c : lower) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return lower;
}

std::string without_scheme(const std::string& origin)
{
    const auto end = origin.find("://");
    return end == std::string::npos ? "" : origin.substr(end + 3);
}

// Of "[::1]:80" the colons inside the brackets do not begin a port.
std::string without_port(const std::string& host)
{
    const auto colon = host.rfind(':');
    const bool has_port = colon != std::string::npos && host.find(']', colon) == std::string::npos;
    return has_port ? host.substr(0, colon) : host;
}

}  // namespace

bool is_origin(std::string_view text)
{
    const auto lower = folded(text);
    const auto host = without_scheme(lower);
    return (lower.starts_with("http://") || lower.starts_with("https://")) && !host.empty() &&
           host.find_first_of("/?#@ \t") == std::string::npos;
}

bool is_own_host(std::string_view host, const std::vector<std::string>& origins)
{
    static const std::array<std::string, 3> loopback = {"localhost", "127.0.0.1", "[::1]"};
    const auto name = without_port(folded(host));
    return std::find(loopback.begin(), loopback.end(), name) != loopback.end() ||
           std::any_of(origins.begin(), origins.end(), [&](const auto& origin) {
               return name == without_port(without_scheme(folded(origin)));
           });
}

bool is_allowed_origin(
    std::string_view origin, std::string_view host, const std::vector<std::string>& origins)
{
    const auto asks = folded(origin);
    const auto own = folded(host);
    return asks == "http://" + own || asks == "https://" + own ||
           std::any_of(origins.begin(), origins.end(), [&](const auto& trusted) {
               return asks == folded(trusted);
           });
}

}  // namespace chat
