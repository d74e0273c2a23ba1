#include "web_scraper/http_fetch.hpp"

#include "web_scraper/crawl.hpp"

#include <string_view>
#include <utility>

using boost::asio::awaitable;

namespace web_scraper {

namespace {

std::string value_of(const http::fields& fields, std::string_view name)
{
    const auto* const value = fields.find(name);
    return value != nullptr ? *value : std::string();
}

awaitable<answer> fetch(http::pool& connections, const url& what, std::size_t body_limit)
{
    try {
        http::request asking(http::url(what.text()));
        asking.headers.add("User-Agent", std::string(crawler_name));
        asking.headers.add("Accept", "text/html, */*;q=0.1");
        asking.body_limit = body_limit;
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
        throw fetch_error(error.what());
    } catch (const http::bad_url& error) {
        throw fetch_error(error.what());
    }
}

}  // namespace

fetch_function http_fetch(http::pool& connections)
{
    return [&connections](const url& what, std::size_t body_limit) {
        return fetch(connections, what, body_limit);
    };
}

}  // namespace web_scraper
