#include "api_client/retry.hpp"

#include <algorithm>

namespace api {

bool may_retry(const http::request& what, http::failure kind)
{
    switch (kind) {
        case http::failure::no_connection:
            return true;
        case http::failure::no_answer:
        case http::failure::cut_off:
            return http::is_idempotent(what);
        case http::failure::malformed:
        case http::failure::too_large:
            break;
    }
    return false;
}

bool may_retry(const http::request& what, int status)
{
    switch (status) {
        case 429:
            return true;  // too many requests
        case 408:         // the request took too long to come
        case 500:         // internal error
        case 502:         // bad gateway
        case 503:         // unavailable
        case 504:
            return http::is_idempotent(what);  // the gateway waited for too long
        default:
            return false;
    }
}

backoff::backoff(const retry_policy& policy, std::minstd_rand& chance)
    : longest_(std::min(policy.first_pause, policy.longest_pause)),
      limit_(policy.longest_pause),
      chance_(chance)
{
}

common::duration backoff::next()
{
    std::uniform_int_distribution between(longest_.count() / 2, longest_.count());
    longest_ = longest_ > limit_ / 2 ? limit_ : 2 * longest_;
    return common::duration(between(chance_));
}

}  // namespace api
