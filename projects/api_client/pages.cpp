#include "api_client/pages.hpp"

#include "api_client/link_header.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
namespace json = boost::json;

namespace api {

namespace {

struct page {
    json::array items;
    std::optional<http::url> next;
};

json::array items_in(json::value& body, const paging& how)
{
    if (auto* const all = body.if_array()) {
        return std::move(*all);
    }
    if (auto* const object = body.if_object()) {
        if (auto* const member = object->if_contains(how.items)) {
            if (auto* const all = member->if_array()) {
                return std::move(*all);
            }
        }
    }
    throw unexpected_answer(
        fmt::format("a page is neither an array nor an object with an array '{}'", how.items));
}

// Where the page says that the list goes on, if it does.
std::optional<std::string> next_in(
    const http::response& answer, const json::value& body, const paging& how)
{
    for (const auto* const links : answer.headers.find_all("Link")) {
        if (auto next = linked(*links, "next")) {
            return next;
        }
    }
    if (const auto* const object = body.if_object()) {
        if (const auto* const member = object->if_contains(how.next)) {
            if (const auto* const text = member->if_string()) {
                return std::string(std::string_view(*text));
            }
            if (!member->is_null()) {
                throw unexpected_answer(
                    fmt::format("the next page, '{}', is neither a string nor null", how.next));
            }
        }
    }
    return std::nullopt;
}

// The server's reference to it, taken apart.
std::optional<http::url> next_page(const http::url& from, const std::optional<std::string>& next)
{
    if (!next) {
        return std::nullopt;
    }
    try {
        return from.resolve(*next);
    } catch (const http::bad_url& error) {
        throw unexpected_answer(fmt::format("the next page: {}", error.what()));
    }
}

asio::awaitable<page> fetch(client& from, const http::url& where, const paging& how)
{
    http::request what(where);
    what.headers = how.headers;
    what.body_limit = how.body_limit;
    if (what.headers.find("Accept") == nullptr) {
        what.headers.add("Accept", "application/json");
    }
    const auto answer = co_await from.send(std::move(what));
    require_success(answer);
    auto body = json_of(answer);

    page fetched;
    fetched.next = next_page(where, next_in(answer, body, how));
    fetched.items = items_in(body, how);

    // In Boost 1.83 co_spawn awaits once more after a coroutine that was never suspended, and if it
    // has been cancelled meanwhile, that must not throw: nobody would catch it.
    co_await asio::this_coro::throw_if_cancelled(false);
    co_return fetched;
}

}  // namespace

asio::experimental::coro<json::value> items_of(
    asio::any_io_executor executor, client& from, http::url first, paging how)
{
    std::set<http::url> seen;
    for (std::optional<http::url> where = std::move(first); where;) {
        if (!seen.insert(*where).second) {
            throw unexpected_answer(fmt::format("the list comes back to {}", where->text()));
        }
        if (seen.size() > how.most_pages) {
            throw unexpected_answer(fmt::format("there are more than {} pages", how.most_pages));
        }
        // Without the slot, Asio would use one in which the generator keeps its own cancellation
        // state, and overwrite it (its issue 1501).
        const auto cancellation = co_await asio::this_coro::cancellation_state;
        auto fetching = asio::co_spawn(
            executor, fetch(from, *where, how),
            asio::bind_cancellation_slot(cancellation.slot(), asio::deferred));
        auto now = co_await std::move(fetching);
        if (now.next && now.next->authority() != where->authority()) {
            throw unexpected_answer(
                fmt::format("the next page is on another server, {}", now.next->authority()));
        }
        for (auto& item : now.items) {
            co_yield std::move(item);
        }
        where = std::move(now.next);
    }
}

}  // namespace api
