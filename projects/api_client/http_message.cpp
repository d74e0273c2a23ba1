#include "api_client/http_message.hpp"

#include <cstdint>  // for rfc7230.hpp, which in Boost 1.83 uses it and does not include it

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace http {

namespace {

bool is_token(std::string_view text)
{
    return !text.empty() && boost::beast::http::token_list(text).exists(text);
}

// What a field may not hold. With a line break in it, a value would end the field, or the header,
// and go on as something else.
bool is_field_value(std::string_view text)
{
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

// What this layer makes of the rest of the request.
bool is_ours(std::string_view name)
{
    return boost::beast::iequals(name, "Host") || boost::beast::iequals(name, "Content-Length") ||
           boost::beast::iequals(name, "Transfer-Encoding");
}

}  // namespace

const std::string* fields::find(std::string_view name) const
{
    const auto found = std::find_if(all_.begin(), all_.end(), [name](const field& each) {
        return boost::beast::iequals(each.name, name);
    });
    return found == all_.end() ? nullptr : &found->value;
}

std::vector<const std::string*> fields::find_all(std::string_view name) const
{
    std::vector<const std::string*> found;
    for (const auto& each : all_) {
        if (boost::beast::iequals(each.name, name)) {
            found.push_back(&each.value);
        }
    }
    return found;
}

bool is_idempotent(const request& what)
{
    static constexpr std::array<std::string_view, 6> idempotent = {"GET",   "HEAD", "OPTIONS",
                                                                   "TRACE", "PUT",  "DELETE"};
    return std::find(idempotent.begin(), idempotent.end(), what.method) != idempotent.end() ||
           what.headers.find("Idempotency-Key") != nullptr;
}

void require_sendable(const request& what)
{
    if (!is_token(what.method)) {
        throw std::invalid_argument(fmt::format("'{}' is no method", what.method));
    }
    for (const auto& [name, value] : what.headers) {
        if (!is_token(name) || !is_field_value(value) || is_ours(name)) {
            throw std::invalid_argument(fmt::format("the field '{}' cannot be sent", name));
        }
    }
}

}  // namespace http
