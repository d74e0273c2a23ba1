// The crawler's fetch function for real servers, on the connections that api_client keeps.
//
// `http::pool` speaks HTTP and keeps connections for the next request to the same host. What is
// added is what a crawler says of itself, and what it wants to know of an answer.

#pragma once

#include "web_scraper/fetch.hpp"

#include "api_client/http_pool.hpp"

namespace web_scraper {

// The function refers to the pool, which must outlive it. It asks http servers only.
fetch_function http_fetch(http::pool& connections);

}  // namespace web_scraper
