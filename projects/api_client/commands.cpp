#include "api_client/commands.hpp"

#include "api_client/client.hpp"

#include "common/clock.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace asio = boost::asio;
using asio::awaitable;

namespace api {

namespace {

common::duration seconds(double count)
{
    return std::chrono::duration_cast<common::duration>(std::chrono::duration<double>(count));
}

http::fields fields_of(const std::vector<std::string>& lines)
{
    http::fields headers;
    for (const auto& line : lines) {
        const auto colon = line.find(':');
        if (colon == std::string::npos) {
            throw std::invalid_argument(fmt::format("'{}' is not of the form 'Name: value'", line));
        }
        const auto value = std::min(line.find_first_not_of(' ', colon + 1), line.size());
        headers.add(line.substr(0, colon), line.substr(value));
    }
    if (headers.find("User-Agent") == nullptr) {
        headers.add("User-Agent", "api_client");  // some servers refuse who has no name
    }
    return headers;
}

client_options options_of(const settings& chosen)
{
    client_options options;
    options.deadline = seconds(chosen.deadline);
    options.try_limit = seconds(chosen.try_limit);
    options.retry.tries = chosen.tries;
    if (chosen.verbose) {
        options.on_retry = [](const failed_try& failed) {
            fmt::print(
                stderr, "try {}: {}; the next one in {:.2f} s\n", failed.number, failed.why,
                std::chrono::duration<double>(failed.pause).count());
        };
    }
    return options;
}

// A full disk is an error, too.
void print(std::string_view text)
{
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() ||
        std::fflush(stdout) != 0) {
        throw std::runtime_error("cannot write to stdout");
    }
}

awaitable<void> send(const settings& chosen, http::request what)
{
    http::pool pool;
    client sender(pool, options_of(chosen));
    what.headers = fields_of(chosen.headers);
    what.body_limit = chosen.body_limit;
    if (!chosen.key.empty()) {
        what.headers.add("Idempotency-Key", chosen.key);
    }
    const auto answer = co_await sender.send(std::move(what));
    require_success(answer);
    print(answer.body);
}

}  // namespace

awaitable<void> get(const settings& chosen)
{
    co_await send(chosen, http::request(http::url(chosen.url)));
}

awaitable<void> post(const settings& chosen)
{
    http::request what(http::url(chosen.url), "POST");
    what.body = chosen.data;
    co_await send(chosen, std::move(what));
}

awaitable<void> list(const settings& chosen)
{
    http::pool pool;
    client sender(pool, options_of(chosen));
    auto how = chosen.pages;
    how.headers = fields_of(chosen.headers);
    how.body_limit = chosen.body_limit;
    auto items =
        items_of(co_await asio::this_coro::executor, sender, http::url(chosen.url), std::move(how));
    while (const auto item = co_await items.async_resume(asio::deferred)) {
        print(boost::json::serialize(*item) + "\n");
    }
}

}  // namespace api
