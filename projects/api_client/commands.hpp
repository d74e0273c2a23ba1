// What the program does for its user: one coroutine to a command.

#pragma once

#include "api_client/pages.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace api {

// What the command line says.
struct settings {
    std::string url;
    std::vector<std::string> headers;  // "Name: value"
    double deadline = 30;              // seconds, for a call; each page is one
    double try_limit = 10;             // seconds, for a try
    int tries = 4;
    std::size_t body_limit = 8 * 1024 * 1024;
    bool verbose = false;

    std::string data;  // of a POST
    std::string key;

    paging pages;
};

// These print on stdout what has come. They throw http::bad_url and std::invalid_argument for
// settings that make no sense, and else what client::send and items_of throw.

// The body, as it is.
boost::asio::awaitable<void> get(const settings& chosen);
boost::asio::awaitable<void> post(const settings& chosen);

// A line of JSON for each item, as soon as it is there.
boost::asio::awaitable<void> list(const settings& chosen);

}  // namespace api
