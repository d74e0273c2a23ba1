// The crawler on real connections, to a server that closes them when it likes, on virtual time.

#include "web_scraper/http_fetch.hpp"

#include "web_scraper/crawl.hpp"
#include "web_scraper/site.hpp"

#include "api_client/http_pool.hpp"
#include "api_client/scripted_server.hpp"

#include "common/clock.hpp"
#include "common/run.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

using api::answer;
using api::ending;
using api::heard;
using api::raw;
using api::reply;
using api::scripted_server;
using boost::asio::awaitable;
using web_scraper::site;
using web_scraper::state;
using namespace std::chrono_literals;

namespace {

// When each request came, and how often each page was asked for.
struct notes {
    std::vector<common::duration> times;
    std::map<std::string, int> asked;
};

reply page(const std::string& body)
{
    http::fields type;
    type.add("Content-Type", "text/html");
    return answer(200, body, type);
}

// A crawl of the script's site, which begins at `/`.
void crawl(const api::script& what, notes& seen, site& whole, web_scraper::limits bounds)
{
    const auto script = [&](const heard& request) {
        seen.times.push_back(common::elapsed());
        ++seen.asked[request.target];
        return what(request);
    };
    const auto go = [&](scripted_server& server) -> awaitable<void> {
        http::pool pool;
        web_scraper::crawler crawler(bounds, web_scraper::http_fetch(pool), whole);
        co_await crawler.run(*web_scraper::url::parse(server.at("/").text()));
        CHECK(pool.in_use() == 0);
    };
    const auto all = [&]() -> awaitable<void> {
        const common::real_work sockets(20ms);  // before time jumps, the bytes arrive
        co_await api::with_server(script, go);
    };
    common::run(all(), common::clock_mode::virtual_time);
}

}  // namespace

TEST_CASE("http: no page is asked for twice at once where the server drops what it has kept")
{
    std::string links;
    for (int number = 0; number < 20; ++number) {
        links += fmt::format("<a href=/{}>", number);
    }
    std::map<int, int> on_connection;
    const auto drops_the_second = [&](const heard& request) {
        return ++on_connection[request.connection] == 2 ? raw("", ending::close)
                                                        : page(request.target == "/" ? links : "");
    };
    notes seen;
    site whole;
    crawl(drops_the_second, seen, whole, web_scraper::limits());
    CHECK(whole.size() == 21);
    CHECK(whole.count(state::fetched) == 21);
    // The first page is asked for again. From then on each has a connection of its own.
    CHECK(seen.asked["/"] == 2);
    CHECK(seen.times.size() == 23);
    for (std::size_t each = 1; each < seen.times.size(); ++each) {
        CHECK(seen.times[each] - seen.times[each - 1] >= 100ms);
    }
}

TEST_CASE("http: the bytes of a page that is cut off, or not in time, count")
{
    const std::string half =
        "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + std::string(1000, 'x');
    auto never_ends = raw(half);
    never_ends.parts.push_back(reply::part{1h, ""});
    for (const auto& bad : {raw(half), never_ends}) {
        std::string links;
        for (int number = 0; number < 20; ++number) {
            links += fmt::format("<a href=/{}>", number);
        }
        const auto site_of_halves = [&](const heard& request) {
            if (request.target == "/robots.txt") {
                return answer(404);
            }
            return request.target == "/" ? page(links) : bad;
        };
        web_scraper::limits bounds;
        bounds.bytes = 5000;
        bounds.concurrency = 1;
        notes seen;
        site whole;
        crawl(site_of_halves, seen, whole, bounds);
        CHECK(whole.count(state::unreachable) == 5);
        CHECK(whole.count(state::known) == 15);
    }
}
