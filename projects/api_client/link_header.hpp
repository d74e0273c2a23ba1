// The field Link of an answer, which says where a list goes on (RFC 8288):
//
//     Link: </orders?page=2>; rel="next", </orders?page=9>; rel="last"

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace api {

// The target of the first link with that relation, as it is written. Nothing if there is none, or
// if the links before it can't be understood.
std::optional<std::string> linked(std::string_view header, std::string_view relation);

}  // namespace api
