// A list that comes in pages, as if it came in one piece.
//
// A server gives a long list a page at a time, and each page says where the next one is: in the
// field Link (link_header.hpp), or in a member of its JSON. `items_of` hides the pages. It is an
// async generator: it hands out an item, and is suspended until it is asked for the next. A page is
// fetched when the first of its items is asked for, so who needs the first three of a million items
// fetches one page.
//
//     auto items = api::items_of(executor, client, first);
//     while (const auto item = co_await items.async_resume(asio::deferred)) {
//         use(*item);
//     }
//
// `boost::asio::experimental::coro` is what Asio has for that; it is experimental, as the name
// says. It has no `co_await` for an awaitable, so a page is fetched by `co_spawn`, with a token
// that can be awaited. And it has a fault that its user has to know: destroying the event loop
// while a generator is suspended inside `async_resume` leaks its frame. Let `async_resume` come to
// its end first; to cancel it is a way.

#pragma once

#include "api_client/client.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/experimental/coro.hpp>
#include <boost/json/value.hpp>

#include <cstddef>
#include <string>

namespace api {

struct paging {
    std::string items =
        "items";                // the member with the items, where the page is not itself an array
    std::string next = "next";  // the member with the next page, where there is no Link: a string
    std::size_t most_pages = 1000;
    http::fields headers = {};                 // for each request
    std::size_t body_limit = 8 * 1024 * 1024;  // of a page, in bytes
};

// The items of all pages, in order. The client must outlive it. async_resume throws what
// client::send throws, and unexpected_answer: for a page that is none, for one that leads to
// another server, which must not get our headers, or back to a page that has been, and when there
// are too many.
//
// Cancelling async_resume (terminal) throws operation_aborted there, and ends the generator.
boost::asio::experimental::coro<boost::json::value> items_of(
    boost::asio::any_io_executor executor, client& from, http::url first, paging how = paging());

}  // namespace api
