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
    constexpr int request_timeout = 408;  // of the server, with a request that came too slowly
    constexpr int too_many_requests = 429;
    constexpr int internal_error = 500;
    constexpr int bad_gateway = 502;
    constexpr int unavailable = 503;
    constexpr int gateway_timeout = 504;
    switch (status) {
        case request_timeout:
        case too_many_requests:
        case internal_error:
        case bad_gateway:
        case unavailable:
        case gateway_timeout:
            return http::is_idempotent(what);
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
