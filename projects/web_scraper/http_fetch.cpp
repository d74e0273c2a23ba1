#include "web_scraper/http_fetch.hpp"

#include "web_scraper/crawl.hpp"

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

using boost::asio::awaitable;

namespace web_scraper {

namespace {

using origins = std::set<std::string>;

std::string value_of(const http::fields& fields, std::string_view name)
{
    const auto* const value = fields.find(name);
    return value != nullptr ? *value : std::string();
}

awaitable<answer> fetch(
    http::pool& connections, origins& droppers, const url& what, std::size_t body_limit,
    std::size_t& received)
{
    try {
        http::request asking(http::url(what.text()));
        asking.headers.add("User-Agent", std::string(crawler_name));
        asking.headers.add("Accept", "text/html, */*;q=0.1");
        asking.body_limit = body_limit;
        asking.received = &received;
        asking.only_once = true;
        if (droppers.count(what.origin()) > 0) {
            asking.new_connection = true;
            asking.headers.add("Connection", "close");
        }
        auto got = co_await connections.exchange(std::move(asking));
        answer result;
        result.status = got.status;
        result.reason = std::move(got.reason);
        result.content_type = value_of(got.headers, "Content-Type");
        result.location = value_of(got.headers, "Location");
        result.body = std::move(got.body);
        co_return result;
    } catch (const http::exchange_error& error) {
        if (error.kind() == http::failure::too_large) {
            throw body_too_large(error.what());
        }
        if (error.kind() == http::failure::no_answer && error.on_kept_connection()) {
            droppers.insert(what.origin());
            throw connection_dropped(error.what());
        }
        throw fetch_error(error.what());
    } catch (const http::bad_url& error) {
        throw fetch_error(error.what());
    }
}

}  // namespace

fetch_function http_fetch(http::pool& connections)
{
    const auto droppers = std::make_shared<origins>();  // one for all copies of the function
    return
        [&connections, droppers](const url& what, std::size_t body_limit, std::size_t& received) {
            return fetch(connections, *droppers, what, body_limit, received);
        };
}

}  // namespace web_scraper
