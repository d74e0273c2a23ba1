// The crawler's fetch function for real servers, on the connections that api_client keeps.
//
// `http::pool` speaks HTTP and keeps connections for the next request to the same host. What is
// added is what a crawler says of itself, and what it wants to know of an answer.
//
// The pool would send a request again, at once, that a kept connection has lost. The crawler has a
// pace, so it is told instead. A server that has dropped one connection may drop all that it keeps:
// from then on it gets a new one for each request.

#pragma once

#include "web_scraper/fetch.hpp"

#include "api_client/http_pool.hpp"

namespace web_scraper {

// The function refers to the pool, which must outlive it. It asks http servers only.
fetch_function http_fetch(http::pool& connections);

}  // namespace web_scraper
