// Which failures are worth another try, and how long to wait for it. Nothing here awaits anything.
//
// To try again is safe when the server has not begun with the request, or when doing it twice is as
// good as once. The first is known only if there was no connection. The second is a matter of the
// request. All other failures leave it open whether the request was done: a POST that was cut off
// may have placed the order, and a 429 may come from something between here and a server that has.
//
// To try again is of use when the next try may go better. An answer that is not HTTP, or too large,
// or says 404, will be so again.
//
// The pauses double, since a server that is overloaded needs fewer requests and not more, and half
// of each is left to chance, so that clients that failed together don't come back together.

#pragma once

#include "api_client/http_message.hpp"

#include "common/clock.hpp"

#include <chrono>
#include <random>

namespace api {

bool may_retry(const http::request& what, http::failure kind);
bool may_retry(const http::request& what, int status);

struct retry_policy {
    int tries = 4;  // the first one included
    common::duration first_pause = std::chrono::milliseconds(200);
    common::duration longest_pause = std::chrono::seconds(10);
};

// The pauses of one call, each between half of a longest pause and the whole of it.
class backoff {
public:
    // The generator must outlive it.
    backoff(const retry_policy& policy, std::minstd_rand& chance);

    common::duration next();

private:
    common::duration longest_;
    const common::duration limit_;
    std::minstd_rand& chance_;
};

}  // namespace api
