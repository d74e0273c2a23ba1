// The rules, which await nothing: what may be tried again, how long to wait, where a list goes on.

#include "api_client/link_header.hpp"
#include "api_client/retry.hpp"
#include "api_client/retry_after.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <optional>
#include <random>
#include <string>

using api::linked;
using api::may_retry;
using api::parse_http_date;
using http::failure;
using namespace std::chrono_literals;

namespace {

http::request request_with(const std::string& method)
{
    return http::request(http::url("http://example.org/"), method);
}

http::request post_with_key()
{
    auto what = request_with("POST");
    what.headers.add("idempotency-key", "7");
    return what;
}

// What retry_after makes of an answer with these fields. An empty one is left out.
std::optional<std::chrono::seconds> wait_for(const std::string& value, const std::string& date = "")
{
    http::response answer;
    if (!value.empty()) {
        answer.headers.add("Retry-After", value);
    }
    if (!date.empty()) {
        answer.headers.add("Date", date);
    }
    return api::retry_after(answer, std::chrono::sys_days(2026y / 11 / 22) + 12h + 500ms);
}

}  // namespace

TEST_CASE("a request that the server cannot have begun may be repeated, whatever it is")
{
    for (const auto* const method : {"GET", "POST", "PATCH", "get"}) {
        INFO(method);
        CHECK(may_retry(request_with(method), failure::no_connection));
    }
}

TEST_CASE("one that it may have begun is repeated only if twice is as good as once")
{
    for (const auto* const method : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
        INFO(method);
        const auto what = request_with(method);
        CHECK(may_retry(what, failure::no_answer));
        CHECK(may_retry(what, failure::cut_off));
        for (const int status : {408, 429, 500, 502, 503, 504}) {
            CHECK(may_retry(what, status));
        }
    }
    for (const auto* const method : {"POST", "PATCH", "CONNECT", "get"}) {
        INFO(method);
        const auto what = request_with(method);
        CHECK_FALSE(may_retry(what, failure::no_answer));
        CHECK_FALSE(may_retry(what, failure::cut_off));
        for (const int status : {408, 429, 500, 502, 503, 504}) {
            CHECK_FALSE(may_retry(what, status));
        }
    }
    CHECK(may_retry(post_with_key(), failure::no_answer));
    CHECK(may_retry(post_with_key(), 503));
}

TEST_CASE("what will be the same again is not tried again")
{
    CHECK_FALSE(may_retry(request_with("GET"), failure::malformed));
    CHECK_FALSE(may_retry(request_with("GET"), failure::too_large));
    for (const int status : {200, 204, 301, 304, 400, 401, 403, 404, 409, 422, 501, 505}) {
        INFO(status);
        CHECK_FALSE(may_retry(request_with("GET"), status));
    }
}

TEST_CASE("the pauses double up to the longest, and half of each is chance")
{
    api::retry_policy policy;
    policy.first_pause = 100ms;
    policy.longest_pause = 1s;
    std::minstd_rand chance(7);
    int short_ones = 0;
    int long_ones = 0;
    for (int round = 0; round < 100; ++round) {
        api::backoff pauses(policy, chance);
        for (const auto longest : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
            const auto pause = pauses.next();
            CHECK(pause >= longest / 2);
            CHECK(pause <= longest);
            ++(pause < longest * 3 / 4 ? short_ones : long_ones);
        }
    }
    CHECK(short_ones > 200);  // of 600
    CHECK(long_ones > 200);
}

TEST_CASE("a first pause beyond the longest is the longest")
{
    api::retry_policy policy;
    policy.first_pause = 24h;
    policy.longest_pause = 1s;
    std::minstd_rand chance(7);
    api::backoff pauses(policy, chance);
    for (int number = 0; number < 100; ++number) {
        CHECK(pauses.next() <= 1s);
    }
}

TEST_CASE("the three forms of a date are the same date")
{
    const auto when = std::chrono::sys_days(1994y / 11 / 6) + 8h + 49min + 37s;
    CHECK(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT") == when);
    CHECK(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") == when);
    CHECK(parse_http_date("Sun Nov  6 08:49:37 1994") == when);
}

TEST_CASE("what is no date is none")
{
    for (const auto* const text :
         {"", "soon", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT+1",
          "Sun, 66 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z", "Sun, 06 Nov"}) {
        INFO(text);
        CHECK(parse_http_date(text) == std::nullopt);
    }
}

TEST_CASE("Retry-After is a number of seconds")
{
    CHECK(wait_for("0") == 0s);
    CHECK(wait_for("120") == 120s);
    CHECK(wait_for("99999999999999999999999") == 24h * 365);
    for (const auto* const text : {"", "-1", "1.5", "1s", "soon", " 1"}) {
        INFO(text);
        CHECK(wait_for(text) == std::nullopt);
    }
}

TEST_CASE("Retry-After is a date, and counts from the server's own clock where it says it")
{
    const std::string later = "Sun, 22 Nov 2026 12:01:00 GMT";
    CHECK(wait_for(later) == 60s);
    CHECK(wait_for(later, "Sun, 22 Nov 2026 12:00:45 GMT") == 15s);
    CHECK(wait_for(later, "no date") == 60s);
    CHECK(wait_for("Sun, 22 Nov 2026 11:00:00 GMT") == 0s);
    CHECK(wait_for("Sun, 22 Nov 9026 11:00:00 GMT") == 24h * 365);
}

TEST_CASE("a Link header says where the list goes on")
{
    CHECK(linked("</a?page=2>; rel=\"next\"", "next") == "/a?page=2");
    CHECK(linked("</1>; rel=\"prev\", </3>; rel=\"next\"", "next") == "/3");
    CHECK(linked("</1>;rel=prev,</3>;rel=next", "next") == "/3");
    CHECK(linked("</3>; rel=\"last NEXT\"", "next") == "/3");
    CHECK(linked("</3>; title=\"a, b; rel=\\\"x\\\"\"; rel=next", "next") == "/3");
    CHECK(linked("</a,b;c>; rel=next", "next") == "/a,b;c");
    CHECK(linked("  </3>  ;  rel = \"next\"  ", "next") == "/3");
}

TEST_CASE("where a Link header does not say so, there is no next page")
{
    for (const auto* const header :
         {"", "</3>", "</3>; rel=\"previous\"", "</3>; rel=\"nextish\"", "</3>; title=\"next\"",
          "/3; rel=next", "</3; rel=next", "nonsense, </3>; rel=next"}) {
        INFO(header);
        CHECK(linked(header, "next") == std::nullopt);
    }
}
