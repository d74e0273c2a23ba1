#include "api_client/pages.hpp"

#include "with_script.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/json/serialize.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

namespace asio = boost::asio;
using api::answer;
using api::heard;
using api::scripted_server;
using tests::awaitable;
using tests::with_script;

namespace {

struct listed {
    std::vector<std::string> items;
    std::vector<std::size_t> requests_at;  // how many there had been when each item came
    std::string failure;
};

awaitable<listed> list(
    scripted_server& server, std::string target, api::paging how = api::paging(),
    std::size_t at_most = 1000)
{
    listed all;
    http::pool pool;
    api::client client(pool, api::client_options(), std::minstd_rand(7));
    auto items = api::items_of(co_await asio::this_coro::executor, client, server.at(target), how);
    try {
        while (all.items.size() < at_most) {
            const auto item = co_await items.async_resume(asio::deferred);
            if (!item) {
                break;
            }
            all.items.push_back(boost::json::serialize(*item));
            all.requests_at.push_back(server.requests().size());
        }
    } catch (const api::unexpected_answer& error) {
        all.failure = error.what();
    }
    co_return all;
}

http::fields link_to(const std::string& target)
{
    http::fields headers;
    headers.add("Link", fmt::format("<{}>; rel=\"next\"", target));
    return headers;
}

// Three pages with two, none and one item, that name the next in a Link header.
api::reply arrays(const heard& request)
{
    if (request.target == "/list") {
        return answer(200, R"([1, {"two": 2}])", link_to("/list?page=2"));
    }
    if (request.target == "/list?page=2") {
        return answer(200, "[]", link_to("?page=3"));
    }
    return request.target == "/list?page=3" ? answer(200, R"(["three"])") : answer(404);
}

// The same, named in the JSON.
api::reply objects(const heard& request)
{
    if (request.target == "/list") {
        return answer(200, R"({"items": [1, {"two": 2}], "next": "/list?page=2"})");
    }
    if (request.target == "/list?page=2") {
        return answer(200, R"({"items": [], "next": "list?page=3"})");
    }
    return request.target == "/list?page=3" ? answer(200, R"({"items": ["three"], "next": null})")
                                            : answer(404);
}

const std::vector<std::string> three = {"1", R"({"two":2})", R"("three")"};

// What comes of listing where every request has this answer.
listed list_of(api::reply reply, api::paging how = api::paging())
{
    listed all;
    with_script(
        [&](const heard&) { return reply; },
        [&](scripted_server& server) -> awaitable<void> { all = co_await list(server, "/", how); });
    return all;
}

}  // namespace

TEST_CASE("the items of all pages come in order, each page fetched when its first item is wanted")
{
    for (const auto& script : {api::script(arrays), api::script(objects)}) {
        with_script(script, [&](scripted_server& server) -> awaitable<void> {
            const auto all = co_await list(server, "/list");
            CHECK(all.failure == "");
            CHECK(all.items == three);
            CHECK(all.requests_at == std::vector<std::size_t>{1, 1, 3});
            CHECK(server.requests().size() == 3);
            CHECK(server.accepted() == 1);
        });
    }
}

TEST_CASE("who wants no more items fetches no more pages")
{
    with_script(arrays, [](scripted_server& server) -> awaitable<void> {
        const auto all = co_await list(server, "/list", api::paging(), 2);
        CHECK(all.items.size() == 2);
        CHECK(server.requests().size() == 1);
    });
}

TEST_CASE("the names of the members are the caller's to say, and so are the headers")
{
    const auto script = [](const heard& request) {
        return request.headers.find("X-Key") == nullptr ? answer(403)
               : request.target == "/list"              ? answer(200, R"({"data":[1],"more":"/b"})")
                                                        : answer(200, R"({"data":[2]})");
    };
    with_script(script, [](scripted_server& server) -> awaitable<void> {
        api::paging how;
        how.items = "data";
        how.next = "more";
        how.headers.add("X-Key", "secret");
        const auto all = co_await list(server, "/list", how);
        CHECK(all.failure == "");
        CHECK(all.items.size() == 2);
    });
}

TEST_CASE("a page that fails is tried again, and no item comes twice")
{
    const auto stumbling = [calls = 0](const heard& request) mutable {
        return ++calls % 2 == 1 ? api::cut_to(20, arrays(request)) : arrays(request);
    };
    with_script(stumbling, [](scripted_server& server) -> awaitable<void> {
        const auto all = co_await list(server, "/list");
        CHECK(all.items == three);
        CHECK(server.requests().size() == 6);
    });
}

TEST_CASE("when a page is not there, the items before it have been handed out")
{
    const auto broken = [](const heard& request) {
        return request.target == "/list?page=3" ? answer(404) : arrays(request);
    };
    with_script(broken, [](scripted_server& server) -> awaitable<void> {
        const auto all = co_await list(server, "/list");
        CHECK(all.items.size() == 2);
        CHECK(all.failure == "404 Not Found");
    });
}

TEST_CASE("a list that comes back to where it has been ends")
{
    const auto all = list_of(answer(200, "[1]", link_to("/?")));
    CHECK(all.items == std::vector<std::string>{"1", "1"});
    CHECK(all.failure.starts_with("the list comes back to http://127.0.0.1:"));
}

TEST_CASE("a list without an end has one")
{
    with_script(
        [number = 0](const heard&) mutable {
            return answer(200, "[1]", link_to(fmt::format("/?{}", ++number)));
        },
        [](scripted_server& server) -> awaitable<void> {
            api::paging how;
            how.most_pages = 5;
            const auto all = co_await list(server, "/", how);
            CHECK(all.items.size() == 5);
            CHECK(all.failure == "there are more than 5 pages");
            CHECK(server.requests().size() == 5);
        });
}

TEST_CASE("another server does not get to see the headers that were meant for this one")
{
    const auto all = list_of(answer(200, "[1]", link_to("http://127.0.0.2:1/")));
    CHECK(all.items.empty());
    CHECK(all.failure == "the next page is on another server, 127.0.0.2:1");
}

TEST_CASE("a next page that cannot be fetched is the server's mistake")
{
    for (const auto* const next : {"https://127.0.0.1/", "mailto:ada@example.org", "a b"}) {
        INFO(next);
        const auto all = list_of(answer(200, "[1]", link_to(next)));
        CHECK(all.items.empty());
        CHECK(all.failure.starts_with("the next page: '"));
    }
}

TEST_CASE("the next page may be named in a second Link header")
{
    http::fields headers;
    headers.add("Link", "</style.css>; rel=preload");
    headers.add("Link", "</list?page=2>; rel=\"next\"");
    const auto two_pages = [&](const heard& request) {
        return request.target == "/list" ? answer(200, "[1]", headers) : answer(200, "[2]");
    };
    with_script(two_pages, [](scripted_server& server) -> awaitable<void> {
        const auto all = co_await list(server, "/list");
        CHECK(all.items == std::vector<std::string>{"1", "2"});
    });
}

TEST_CASE("a next page that is no reference is refused, and null is the end")
{
    CHECK(list_of(answer(200, R"({"items": [1], "next": null})")).failure == "");
    CHECK(
        list_of(answer(200, R"({"items": [1], "next": 2})")).failure ==
        "the next page, 'next', is neither a string nor null");
}

TEST_CASE(
    "whole numbers of 64 bits are those that the server has sent, and others the closest ones")
{
    const auto all =
        list_of(answer(200, "[0.00044308006468156516, 9007199254740993, 18446744073709551615]"));
    REQUIRE(all.items.size() == 3);
    CHECK(all.items[2] == "18446744073709551615");
    CHECK(std::stod(all.items[0]) == 0.00044308006468156516);
    CHECK(all.items[1] == "9007199254740993");
}

TEST_CASE("a page that is none is refused")
{
    for (const auto* const body : {"{}", "7", R"({"items": 7})", R"({"items": {}})"}) {
        INFO(body);
        CHECK(
            list_of(answer(200, body)).failure ==
            "a page is neither an array nor an object with an array 'items'");
    }
    CHECK(list_of(answer(200, "[1,")).failure.starts_with("the body is not JSON"));
}
