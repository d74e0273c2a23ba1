#include "api_client/http_message.hpp"

#include <boost/beast/core/string.hpp>

#include <algorithm>
#include <array>

namespace http {

const std::string* fields::find(std::string_view name) const
{
    const auto found = std::find_if(all_.begin(), all_.end(), [name](const field& each) {
        return boost::beast::iequals(each.name, name);
    });
    return found == all_.end() ? nullptr : &found->value;
}

bool is_idempotent(const request& what)
{
    static constexpr std::array<std::string_view, 6> idempotent = {"GET",   "HEAD", "OPTIONS",
                                                                   "TRACE", "PUT",  "DELETE"};
    return std::find(idempotent.begin(), idempotent.end(), what.method) != idempotent.end() ||
           what.headers.find("Idempotency-Key") != nullptr;
}

}  // namespace http
