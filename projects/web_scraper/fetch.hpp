// What the crawler needs of HTTP: one function.
//
// The crawler decides what is asked for, and when. How that is done is another matter, and behind
// this type: `http_fetch` asks real servers, and the tests have functions of their own, which
// answer from a table on virtual time.

#pragma once

#include "web_scraper/url.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>

namespace web_scraper {

struct answer {
    int status = 0;
    std::string reason;        // what the server calls the status
    std::string content_type;  // "" where the server says nothing
    std::string location;      // of a redirect
    std::string body;
};

// There is no whole answer: nobody there, the connection ended, what came is no HTTP.
class fetch_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// The body is longer than the limit.
class body_too_large : public fetch_error {
public:
    using fetch_error::fetch_error;
};

// The server has closed a connection that it had kept, and nobody knows whether it has read the
// request. Servers do that, so it says little about the page, and asking again may help.
class connection_dropped : public fetch_error {
public:
    using fetch_error::fetch_error;
};

// GETs one URL, with one request, follows no redirect, and reads at most so many bytes of the body.
// However it ends, it adds to `received` the bytes of the body that have come. Throws fetch_error.
// Cancelled (terminal), it throws operation_aborted.
using fetch_function = std::function<boost::asio::awaitable<answer>(
    const url& what, std::size_t body_limit, std::size_t& received)>;

}  // namespace web_scraper
