// The crawler on virtual time, with a site that answers from a table: to the millisecond, what is
// asked for when.

#include "web_scraper/crawl.hpp"

#include "web_scraper/graph.hpp"
#include "web_scraper/html.hpp"
#include "web_scraper/report.hpp"

#include "common/clock.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using boost::asio::awaitable;
using web_scraper::answer;
using web_scraper::crawler;
using web_scraper::ending;
using web_scraper::limits;
using web_scraper::site;
using web_scraper::state;
using web_scraper::url;
using namespace std::chrono_literals;

namespace {

using strings = std::vector<std::string>;

struct table_entry {
    int status = 200;
    std::string body;
    std::string location;
    std::string content_type = "text/html";
    common::duration takes = 0ms;
    std::size_t comes_first = 0;  // bytes of a body, before it takes its time, and then fails
    int drops = 0;                // so many requests, before one is answered
};

// Answers for addresses, and a list of who asked when.
class table {
public:
    table_entry& operator[](const std::string& address) { return entries_[address]; }

    // A page with these links.
    void page(const std::string& address, const strings& links, common::duration takes = 0ms)
    {
        auto& entry = entries_[address];
        for (const auto& link : links) {
            entry.body += "<a href='" + link + "'>link</a>\n";
        }
        entry.takes = takes;
    }

    void redirect(const std::string& address, const std::string& location, int status = 302)
    {
        auto& entry = entries_[address];
        entry.status = status;
        entry.location = location;
    }

    web_scraper::fetch_function fetcher()
    {
        return [this](const url& what, std::size_t limit, std::size_t& received) {
            return fetch(what, limit, received);
        };
    }

    // The targets that were asked for, robots.txt left out, in order.
    strings asked() const
    {
        strings pages;
        for (const auto& address : asked_) {
            if (!address.ends_with("/robots.txt")) {
                pages.push_back(address);
            }
        }
        return pages;
    }

    std::size_t times_asked(const std::string& address) const
    {
        return static_cast<std::size_t>(std::count(asked_.begin(), asked_.end(), address));
    }

    const std::vector<common::duration>& times() const { return times_; }

    // When a host was asked, for robots.txt, too.
    std::vector<common::duration> times_of(const std::string& origin) const
    {
        std::vector<common::duration> times;
        for (std::size_t each = 0; each < asked_.size(); ++each) {
            if (asked_[each].starts_with(origin + "/")) {
                times.push_back(times_[each]);
            }
        }
        return times;
    }

    int peak() const { return peak_; }
    int under_way() const { return under_way_; }

private:
    struct counted {
        explicit counted(int& counter) : counter_(counter) { ++counter_; }
        ~counted() { --counter_; }
        int& counter_;
    };

    awaitable<answer> fetch(const url& what, std::size_t limit, std::size_t& received)
    {
        const counted one(under_way_);
        peak_ = std::max(peak_, under_way_);
        asked_.push_back(what.text());
        times_.push_back(common::elapsed());
        const auto found = entries_.find(what.text());
        if (found == entries_.end()) {
            co_await common::sleep_for(0ms);
            answer nothing;
            nothing.status = 404;
            nothing.reason = "Not Found";
            co_return nothing;
        }
        const table_entry entry = found->second;
        received += entry.comes_first;
        co_await common::sleep_for(entry.takes);
        if (entry.drops > 0) {
            --entries_[what.text()].drops;
            throw web_scraper::connection_dropped("no answer: end of stream");
        }
        if (entry.status == 0) {
            throw web_scraper::fetch_error("nobody there");
        }
        if (entry.body.size() > limit) {
            throw web_scraper::body_too_large("too large");
        }
        received += entry.body.size();
        answer result;
        result.status = entry.status;
        result.reason = "Reason";
        result.location = entry.location;
        result.content_type = entry.content_type;
        result.body = entry.body;
        co_return result;
    }

    std::map<std::string, table_entry> entries_;
    strings asked_;
    std::vector<common::duration> times_;
    int under_way_ = 0;
    int peak_ = 0;
};

limits quick()
{
    limits bounds;
    bounds.interval = 0ms;
    return bounds;
}

struct result {
    site whole;
    ending ended;
    web_scraper::progress progress;
    common::duration took;
};

std::unique_ptr<result> crawled(
    table& answers, const limits& bounds = quick(), const std::string& start = "http://a.org/")
{
    auto all = std::make_unique<result>();
    crawler crawl(bounds, answers.fetcher(), all->whole);
    const auto go = [&]() -> awaitable<void> {
        co_await crawl.run(*url::parse(start));
        all->took = common::elapsed();
    };
    common::run(go(), common::clock_mode::virtual_time);
    all->ended = crawl.ended();
    all->progress = crawl.so_far();
    CHECK(answers.under_way() == 0);
    return all;
}

const web_scraper::page& page_at(const result& all, const std::string& address)
{
    for (const auto& each : all.whole) {
        if (each.address.text() == address) {
            return each;
        }
    }
    throw std::runtime_error("nobody has linked to " + address);
}

}  // namespace

TEST_CASE("crawl: every page that can be reached is asked for once, whatever its spelling")
{
    table answers;
    answers.page("http://a.org/", {"/b", "b#part", "http://A.org:80/x/../b", "/", "c", "%62"});
    answers.page("http://a.org/b", {"/c", "/", "/b"});
    answers.page("http://a.org/c", {"d"});
    const auto all = crawled(answers);
    CHECK(
        answers.asked() ==
        strings{"http://a.org/", "http://a.org/b", "http://a.org/c", "http://a.org/d"});
    CHECK(answers.times_asked("http://a.org/robots.txt") == 1);
    CHECK(all->ended == ending::finished);
    CHECK(page_at(*all, "http://a.org/").links.size() == 3);
    CHECK(page_at(*all, "http://a.org/c").linked_from.size() == 2);
    CHECK(page_at(*all, "http://a.org/d").detail == "404 Not Found");
    CHECK(all->progress.asked == 4);
    CHECK(all->progress.waiting == 0);
    CHECK(all->progress.under_way == 0);
}

TEST_CASE("crawl: so many requests at a time, and no more")
{
    const std::size_t concurrency = GENERATE(1U, 3U, 10U);
    table answers;
    strings links;
    for (int i = 0; i < 30; ++i) {
        links.push_back(fmt::format("/{}", i));
        answers.page(fmt::format("http://a.org/{}", i), {}, 100ms);
    }
    answers.page("http://a.org/", links);
    auto bounds = quick();
    bounds.concurrency = concurrency;
    const auto all = crawled(answers, bounds);
    CHECK(answers.peak() == static_cast<int>(concurrency));
    CHECK(all->took == 30 * 100ms / concurrency);
}

TEST_CASE("crawl: requests to one host keep their distance, robots.txt and redirects counted")
{
    table answers;
    answers.page("http://a.org/", {"/b", "/c"}, 10ms);
    answers.redirect("http://a.org/b", "/d");
    answers.page("http://a.org/d", {}, 500ms);
    auto bounds = quick();
    bounds.interval = 100ms;
    crawled(answers, bounds);
    CHECK(answers.times() == std::vector<common::duration>{0ms, 100ms, 200ms, 300ms, 400ms});
}

TEST_CASE("crawl: the distance is kept also where a permit was waited for")
{
    table answers;
    answers.page("http://a.org/", {"/b", "/c", "/d"}, 250ms);
    answers.page("http://a.org/b", {}, 250ms);
    auto bounds = quick();
    bounds.interval = 100ms;
    bounds.concurrency = 1;
    crawled(answers, bounds);
    CHECK(answers.times() == std::vector<common::duration>{0ms, 100ms, 350ms, 600ms, 700ms});
}

TEST_CASE("crawl: each host has its pace, and a slow one keeps no other waiting")
{
    table answers;
    answers.page("http://a.org/", {"/1", "http://b.org/1", "/2", "http://b.org/2", "/3"});
    answers["http://b.org/robots.txt"].body = "User-agent: *\nCrawl-delay: 60";
    auto bounds = quick();
    bounds.interval = 100ms;
    bounds.concurrency =
        1;  // so who held a permit while it waits for its time would keep it from all
    bounds.hosts = {"b.org"};
    const auto all = crawled(answers, bounds);
    CHECK(
        answers.asked() == strings{
                               "http://a.org/", "http://a.org/1", "http://a.org/2",
                               "http://a.org/3", "http://b.org/1", "http://b.org/2"});
    CHECK(all->took == 100ms + 120s);
}

TEST_CASE("crawl: Crawl-delay slows down, and never speeds up")
{
    table answers;
    answers.page("http://a.org/", {"/b"});
    answers["http://a.org/robots.txt"].body = "User-agent: *\nCrawl-delay: 0.5";
    auto bounds = quick();
    bounds.interval = GENERATE(100ms, 900ms);
    crawled(answers, bounds);
    const auto pace = std::max<common::duration>(bounds.interval, 500ms);
    CHECK(answers.times() == std::vector<common::duration>{0ms, pace, 2 * pace});
}

TEST_CASE("crawl: what the answer for robots.txt means")
{
    table answers;
    answers.page("http://a.org/", {"/private/b", "/c"});
    auto& file = answers["http://a.org/robots.txt"];
    file.body = "User-agent: *\nDisallow: /private/\n";

    SECTION("2xx: its rules hold")
    {
        const auto all = crawled(answers);
        CHECK(answers.asked() == strings{"http://a.org/", "http://a.org/c"});
        CHECK(page_at(*all, "http://a.org/private/b").is == state::disallowed);
        CHECK(page_at(*all, "http://a.org/private/b").detail == "robots.txt");
    }
    SECTION("4xx: there are none")
    {
        file.status = GENERATE(400, 401, 403, 404, 410, 429);
        crawled(answers);
        CHECK(answers.asked().size() == 3);
    }
    SECTION("5xx, and what makes no sense: nothing may be asked for")
    {
        file.status = GENERATE(500, 503, 304, 100, 600);
        const auto all = crawled(answers);
        CHECK(answers.asked().empty());
        CHECK(all->whole[0].is == state::disallowed);
        CHECK(
            all->whole[0].detail ==
            fmt::format("robots.txt cannot be read: {} Reason", file.status));
    }
    SECTION("nobody there: nothing may be asked for")
    {
        file.status = 0;
        const auto all = crawled(answers);
        CHECK(answers.asked().empty());
        CHECK(all->whole[0].detail == "robots.txt cannot be read: nobody there");
    }
    SECTION("not in time: nothing may be asked for")
    {
        file.takes = 31s;
        const auto all = crawled(answers);
        CHECK(answers.asked().empty());
        CHECK(all->whole[0].detail == "robots.txt cannot be read: no whole answer within 30 s");
    }
    SECTION("more rules than can be compared with every page: nothing may be asked for")
    {
        for (std::size_t rule = 0; rule < web_scraper::robots::most_rules; ++rule) {
            file.body += "Disallow: /*ab\n";
        }
        const auto all = crawled(answers);
        CHECK(answers.asked().empty());
        CHECK(all->whole[0].is == state::disallowed);
        CHECK(
            all->whole[0].detail ==
            "robots.txt cannot be read: it has too many rules, or one that is too long");
    }
    SECTION("so large that it cannot be one")
    {
        file.body.resize(10'000'000, '\n');
        crawled(answers);
        CHECK(answers.asked().empty());
    }
    SECTION("larger than is read of it: the beginning counts")
    {
        file.body += std::string(600'000, '\n') + "Disallow: /\n";
        crawled(answers);
        CHECK(answers.asked() == strings{"http://a.org/", "http://a.org/c"});
    }
}

TEST_CASE("crawl: redirects of robots.txt are followed five times, on hosts of this crawl")
{
    table answers;
    answers.page("http://a.org/", {"/private"});
    const int redirects = GENERATE(1, 5, 6);
    answers.redirect("http://a.org/robots.txt", "/r1");
    for (int i = 1; i < redirects; ++i) {
        answers.redirect(fmt::format("http://a.org/r{}", i), fmt::format("/r{}", i + 1), 301);
    }
    auto& last = answers[fmt::format("http://a.org/r{}", redirects)];
    last.body = "User-agent: *\nDisallow: /private";

    SECTION("at the end are the rules; beyond the fifth it is as if there were none")
    {
        crawled(answers);
        CHECK(answers.times_asked("http://a.org/private") == (redirects > 5 ? 1 : 0));
        CHECK(answers.times_asked("http://a.org/r6") == 0);
    }
    SECTION("a loop ends, too")
    {
        answers.redirect("http://a.org/r1", "/robots.txt");
        crawled(answers);
        CHECK(answers.times_asked("http://a.org/r1") == 3);
        CHECK(answers.times_asked("http://a.org/private") == 1);
    }
    SECTION("another host is not asked, and then nobody knows the rules")
    {
        answers.redirect("http://a.org/robots.txt", "http://b.org/robots.txt");
        const auto all = crawled(answers);
        CHECK(answers.times_asked("http://b.org/robots.txt") == 0);
        CHECK(answers.asked().empty());
        CHECK(
            all->whole[0].detail ==
            "robots.txt cannot be read: it redirects to 'http://b.org/robots.txt', off this "
            "crawl's "
            "hosts");
    }
}

TEST_CASE("crawl: a robots.txt that is on another host is fetched at that host's pace")
{
    table answers;
    answers.page("http://a.org/", {"http://b.org/", "/1", "/2", "/3", "/4"});
    answers["http://a.org/robots.txt"].body = "User-agent: *\nCrawl-delay: 1";
    answers.redirect("http://b.org/robots.txt", "http://a.org/rules");
    answers["http://a.org/rules"].body = "User-agent: *\nDisallow: /";
    auto bounds = quick();
    bounds.hosts = {"b.org"};
    const auto all = crawled(answers, bounds);
    CHECK(answers.times_asked("http://a.org/rules") == 1);
    CHECK(page_at(*all, "http://b.org/").is == state::disallowed);
    const auto times = answers.times_of("http://a.org");
    REQUIRE(times.size() == 7);
    for (std::size_t each = 0; each < times.size(); ++each) {
        CHECK(times[each] == each * 1s);
    }
}

TEST_CASE("crawl: it stays on the host and port of the start, and goes where it is told besides")
{
    table answers;
    answers.page(
        "http://a.org/",
        {"http://b.org/", "http://a.org:8080/", "https://a.org/", "http://www.a.org/", "/r"});
    answers.redirect("http://a.org/r", "http://c.org/");
    auto bounds = quick();

    SECTION("by default")
    {
        const auto all = crawled(answers);
        CHECK(answers.asked() == strings{"http://a.org/", "http://a.org/r"});
        CHECK(all->whole.count(state::elsewhere) == 5);
    }
    SECTION("with a host")
    {
        bounds.hosts = {"a.org", "c.org"};
        crawled(answers, bounds);
        CHECK(answers.times_asked("http://a.org:8080/") == 1);
        CHECK(answers.times_asked("http://a.org:8080/robots.txt") == 1);
        CHECK(answers.times_asked("http://c.org/") == 1);
        CHECK(answers.times_asked("http://b.org/") == 0);
        CHECK(answers.times_asked("https://a.org/") == 0);
    }
    SECTION("with a host and its port")
    {
        bounds.hosts = {"a.org:8080"};
        crawled(answers, bounds);
        CHECK(answers.times_asked("http://a.org:8080/") == 1);
        CHECK(answers.times_asked("http://c.org/") == 0);
    }
}

TEST_CASE("crawl: a host is named as an address has it, whatever the spelling")
{
    using web_scraper::host_named;
    CHECK(host_named("Example.ORG") == "example.org");
    CHECK(host_named("Example.ORG:8080") == "example.org:8080");
    CHECK(host_named("example.org:080") == "example.org:80");
    CHECK(host_named("127.0.0.1:80") == "127.0.0.1:80");
    CHECK(host_named("[::1]") == "[::1]");
    CHECK(host_named("[2001:DB8::1]:80") == "[2001:db8::1]:80");
    for (const auto* text :
         {"", ":80", "http://example.org", "example.org/", "example.org/a", "joe@example.org",
          "::1", "[::1", "a b", " example.org", "a:b", "example.org:0", "example.org:65536", "a,b",
          "a?b", "a#b", "example.org:80:80"}) {
        INFO(text);
        CHECK_FALSE(host_named(text));
    }

    table answers;
    answers.page(
        "http://a.org/", {"http://B.org/", "http://[::1]/", "http://[::2]:81/", "http://[::2]/"});
    auto bounds = quick();
    bounds.hosts = {*host_named("B.ORG"), *host_named("[::1]:80"), *host_named("[::2]:81")};
    crawled(answers, bounds);
    CHECK(
        answers.asked() ==
        strings{"http://a.org/", "http://b.org/", "http://[::1]/", "http://[::2]:81/"});
}

TEST_CASE("crawl: depth is the number of links by the shortest way, however the answers come")
{
    // To /x leads a way of three quick pages, and one of a single slow page. With a limit of 3 its
    // link /y is within it only by the second.
    table answers;
    answers.page("http://a.org/", {"/1", "/slow"});
    answers.page("http://a.org/1", {"/2"});
    answers.page("http://a.org/2", {"/x"});
    answers.page("http://a.org/slow", {"/x"}, 10s);
    answers.page("http://a.org/x", {"/r"});
    answers.redirect("http://a.org/r", "/y");
    answers.page("http://a.org/y", {"/z"});
    answers.page("http://a.org/z", {"/beyond"});
    auto bounds = quick();
    bounds.depth = 4;
    const auto all = crawled(answers, bounds);
    CHECK(page_at(*all, "http://a.org/x").depth == 2);
    CHECK(page_at(*all, "http://a.org/y").depth == 3);
    CHECK(page_at(*all, "http://a.org/z").depth == 4);
    CHECK(answers.times_asked("http://a.org/z") == 1);
    CHECK(page_at(*all, "http://a.org/beyond").is == state::too_deep);
    CHECK(answers.times_asked("http://a.org/x") == 1);
}

TEST_CASE("crawl: a depth of 0 is the start, and what it redirects to")
{
    table answers;
    answers.redirect("http://a.org/", "/b");
    answers.page("http://a.org/b", {"/c"});
    auto bounds = quick();
    bounds.depth = 0;
    crawled(answers, bounds);
    CHECK(answers.asked() == strings{"http://a.org/", "http://a.org/b"});
}

TEST_CASE("crawl: redirects make chains, circles, and too long a chain")
{
    table answers;
    answers.page(
        "http://a.org/", {"/chain", "/circle", "/self", "/long1", "/gone", "/odd", "/none"});
    answers.redirect("http://a.org/chain", "chain2", 301);
    answers.redirect("http://a.org/chain2", "http://a.org/end", 308);
    answers.page("http://a.org/end", {"/after"});
    answers.redirect("http://a.org/circle", "/circle2", 303);
    answers.redirect("http://a.org/circle2", "/circle#x", 307);
    answers.redirect("http://a.org/self", "/self");
    for (int i = 1; i <= 10; ++i) {
        answers.redirect(fmt::format("http://a.org/long{}", i), fmt::format("/long{}", i + 1));
    }
    answers.redirect("http://a.org/gone", "/nothing");
    answers.redirect("http://a.org/odd", "mailto:a@a.org\x1b[2J");
    answers.redirect("http://a.org/none", "");
    auto bounds = quick();
    bounds.redirects = 4;
    const auto all = crawled(answers, bounds);
    const auto trouble = [&](const std::string& target) {
        for (std::size_t number = 0; number < all->whole.size(); ++number) {
            if (all->whole[number].address.text() == "http://a.org" + target) {
                return all->whole.trouble_with(number, bounds.redirects).value_or("none");
            }
        }
        return std::string("unknown");
    };
    CHECK(trouble("/chain") == "none");
    CHECK(answers.times_asked("http://a.org/after") == 1);
    CHECK(page_at(*all, "http://a.org/end").depth == 1);
    CHECK(trouble("/circle") == "redirects in a circle, by http://a.org/circle");
    CHECK(trouble("/circle2") == "redirects in a circle, by http://a.org/circle2");
    CHECK(trouble("/self") == "redirects in a circle, by http://a.org/self");
    CHECK(answers.times_asked("http://a.org/self") == 1);
    CHECK(trouble("/long1") == "more than 4 redirects in a row");
    CHECK(answers.times_asked("http://a.org/long5") == 1);
    CHECK(answers.times_asked("http://a.org/long6") == 0);
    CHECK(trouble("/gone") == "redirects to http://a.org/nothing: 404 Not Found");
    CHECK(trouble("/odd") == "302 Reason, to no web address: 'mailto:a@a.org?[2J'");
    CHECK(trouble("/none") == "302 Reason, to no web address: ''");
    CHECK(page_at(*all, "http://a.org/nothing").linked_from.empty());
}

TEST_CASE("crawl: a link goes where redirects in a row may not")
{
    table answers;
    answers.page("http://a.org/", {"/1", "/late"});
    for (int i = 1; i <= 3; ++i) {
        answers.redirect(fmt::format("http://a.org/{}", i), fmt::format("/{}", i + 1));
    }
    answers.page("http://a.org/late", {"/4"}, 5s);
    auto bounds = quick();
    bounds.redirects = 2;
    const auto all = crawled(answers, bounds);
    CHECK(answers.times_asked("http://a.org/4") == 1);
    CHECK(page_at(*all, "http://a.org/4").redirects == 0);
}

TEST_CASE("crawl: a page that cannot be had is noted, and the others are gone on with")
{
    table answers;
    answers.page("http://a.org/", {"/gone", "/slow", "/large", "/500", "/ok"});
    answers["http://a.org/gone"].status = 0;
    answers.page("http://a.org/slow", {"/never"}, 31s);
    answers["http://a.org/large"].body = std::string(10'001, 'x');
    answers["http://a.org/500"].status = 500;
    answers["http://a.org/500"].body = "<a href='/in-an-error'>";
    answers.page("http://a.org/ok", {"/last"});
    auto bounds = quick();
    bounds.page_bytes = 10'000;
    const auto all = crawled(answers, bounds);
    CHECK(page_at(*all, "http://a.org/gone").is == state::unreachable);
    CHECK(page_at(*all, "http://a.org/gone").detail == "nobody there");
    CHECK(page_at(*all, "http://a.org/slow").is == state::unreachable);
    CHECK(page_at(*all, "http://a.org/slow").detail == "no whole answer within 30 s");
    CHECK(page_at(*all, "http://a.org/large").is == state::too_large);
    CHECK(page_at(*all, "http://a.org/500").is == state::failed);
    CHECK(answers.times_asked("http://a.org/in-an-error") == 0);
    CHECK(answers.times_asked("http://a.org/last") == 1);
    CHECK(all->took == 30s);
}

// Parsing such a page takes a hundred beats of a millisecond: it has as many links as are read,
// each of them long.
TEST_CASE("crawl: while a large page is parsed, the loop goes on")
{
    table answers;
    auto& page = answers["http://a.org/"];
    std::string link = "<a href='";
    while (link.size() < 1000) {
        link += "/x/..";
    }
    link += "/b'>";
    for (std::size_t links = 0; links < web_scraper::most_links; ++links) {
        page.body += link;
    }
    auto bounds = quick();
    bounds.page_bytes = page.body.size();
    int beats = 0;
    const auto beat = [&]() -> awaitable<void> {
        while (true) {
            co_await common::sleep_for(1ms);
            ++beats;
        }
    };
    // A loop that parses hears none of them. One that was held up by the machine is asked again.
    for (std::size_t crawls = 1; crawls <= 5 && beats < 10; ++crawls) {
        beats = 0;
        site whole;
        crawler crawl(bounds, answers.fetcher(), whole);
        const auto go = [&](common::task_group& both) -> awaitable<void> {
            both.spawn(beat());
            co_await crawl.run(*url::parse("http://a.org/"));
            both.cancel();
        };
        common::run(common::with_task_group(go), common::clock_mode::steady);
        CHECK(answers.times_asked("http://a.org/b") == crawls);
    }
    CHECK(beats >= 10);
}

TEST_CASE("crawl: a page with more links than are read says so")
{
    table answers;
    strings links(web_scraper::most_links, "/b");
    answers.page("http://a.org/b", links);
    links.push_back("/c");
    answers.page("http://a.org/", links);
    const auto all = crawled(answers);
    CHECK(answers.asked() == strings{"http://a.org/", "http://a.org/b"});
    CHECK(all->whole[0].is == state::fetched);
    CHECK(
        all->whole[0].detail ==
        "not read to its end: it has too many links, goes too deep, or takes too long");
    CHECK(page_at(*all, "http://a.org/b").detail == "");
}

TEST_CASE("crawl: what is no HTML is not parsed")
{
    table answers;
    answers.page("http://a.org/", {"/text", "/none"});
    answers.page("http://a.org/text", {"/b"});
    answers["http://a.org/text"].content_type = "text/plain";
    answers.page("http://a.org/none", {"/c"});
    answers["http://a.org/none"].content_type = "";
    crawled(answers);
    CHECK(answers.asked().size() == 3);
}

TEST_CASE("crawl: the limit on pages is kept to, and ends the crawl at once")
{
    table answers;
    strings links;
    for (int i = 0; i < 100; ++i) {
        links.push_back(fmt::format("/{}", i));
    }
    answers.page("http://a.org/", links);
    auto bounds = quick();
    bounds.interval = 1s;
    bounds.pages = 10;
    const auto all = crawled(answers, bounds);
    CHECK(answers.asked().size() == 10);
    CHECK(all->ended == ending::page_limit);
    CHECK(all->whole.count(state::known) == 91);
    CHECK(all->took == 10s);  // robots.txt came first

    bounds.pages = 101;
    table again;
    again.page("http://a.org/", links);
    CHECK(crawled(again, bounds)->ended == ending::finished);
}

TEST_CASE("crawl: no more pages are known than the limit, and links to others are counted")
{
    table answers;
    answers.page("http://a.org/", {"/b", "/c", "/d", "/e", "http://b.org/"});
    answers.page("http://a.org/b", {"/c", "/", "/f"});
    answers.redirect("http://a.org/c", "/g");
    auto bounds = quick();
    bounds.known = 3;
    const auto all = crawled(answers, bounds);
    CHECK(all->ended == ending::finished);
    CHECK(all->whole.size() == 3);
    CHECK(answers.asked() == strings{"http://a.org/", "http://a.org/b", "http://a.org/c"});
    CHECK(page_at(*all, "http://a.org/b").links.size() == 2);
    CHECK(page_at(*all, "http://a.org/c").is == state::redirected);
    CHECK_FALSE(page_at(*all, "http://a.org/c").redirect_to);
    CHECK(
        page_at(*all, "http://a.org/c").detail ==
        "302 Reason, to a page beyond the limit on known ones");
    CHECK(all->progress.left_out == 5);

    bounds.known = 8;
    const auto whole = crawled(answers, bounds);
    CHECK(whole->whole.size() == 8);
    CHECK(whole->progress.left_out == 0);
}

TEST_CASE("crawl: no more links are kept than the limit, and the others are counted")
{
    table answers;
    answers.page("http://a.org/", {"/b", "/c"});
    answers.page("http://a.org/b", {"/", "/b", "/c", "/d"});
    auto bounds = quick();
    bounds.links = 4;
    const auto all = crawled(answers, bounds);
    CHECK(page_at(*all, "http://a.org/").links.size() == 2);
    CHECK(page_at(*all, "http://a.org/b").links.size() == 2);
    CHECK(all->whole.size() == 3);  // nor is what the others lead to
    CHECK(all->progress.left_out == 2);
}

TEST_CASE("crawl: links are kept until the addresses at their ends are too long, all in all")
{
    table answers;
    answers.page("http://a.org/", {"/b", "/cccccc", "/d"});
    answers.page("http://a.org/b", {"/"});
    auto bounds = quick();
    bounds.link_bytes = 13 + 14 + 13 + 19 + 13 + 14;
    const auto all = crawled(answers, bounds);
    CHECK(page_at(*all, "http://a.org/").links.size() == 3);
    CHECK(page_at(*all, "http://a.org/b").links.empty());
    CHECK(all->progress.left_out == 1);
    CHECK(all->progress.link_bytes == bounds.link_bytes);
}

// A page of a few KB names 600 others, each with an address of 2000 characters by its long base. As
// text the links between twenty such pages are 50 MB.
TEST_CASE("crawl: a site of long addresses has a report of a bounded size")
{
    table answers;
    const auto prefix = "http://a.org/" + std::string(1950, '\'') + "/";
    std::string page = "<base href=\"" + prefix + "\">";
    for (int i = 0; i < 600; ++i) {
        page += fmt::format("<a href={}>", i);
    }
    answers["http://a.org/"].body = page;
    for (int i = 0; i < 20; ++i) {
        answers[fmt::format("{}{}", prefix, i)].body = page;  // the other 580 are broken
    }
    auto bounds = quick();
    bounds.link_bytes = 20'000'000;
    const auto all = crawled(answers, bounds);
    CHECK(all->whole.count(state::failed) == 580);
    CHECK(all->progress.links > 4000);
    CHECK(all->progress.left_out > 7000);

    web_scraper::crawl_facts facts;
    std::size_t size = 0;
    std::size_t largest = 0;
    const auto count = [&](std::string_view part) {
        size += part.size();
        largest = std::max(largest, part.size());
    };
    const auto bytes = bounds.link_bytes;
    const auto pages = all->whole.size() * web_scraper::longest_url;
    web_scraper::to_json(all->whole, facts, count);
    CHECK(size > bytes / 2);
    CHECK(size < bytes + 2 * pages);
    size = 0;
    web_scraper::to_html(all->whole, facts, count);
    CHECK(size < 3 * bytes + 12 * pages);  // one end of each link, with apostrophes escaped
    size = 0;
    web_scraper::to_dot(all->whole, 10, count);
    CHECK(size < bytes / 10 + pages);
    CHECK(largest < 2'000'000);  // so much of it is in memory at a time
}

TEST_CASE("crawl: the limit on bytes is exceeded by what is under way, and no more")
{
    table answers;
    strings links;
    for (int i = 0; i < 100; ++i) {
        links.push_back(fmt::format("/{}", i));
        answers[fmt::format("http://a.org/{}", i)].body = std::string(1000, 'x');
        answers[fmt::format("http://a.org/{}", i)].takes = 100ms;
    }
    answers.page("http://a.org/", links);
    auto bounds = quick();
    bounds.concurrency = 4;
    bounds.bytes = 20'000;
    const auto all = crawled(answers, bounds);
    CHECK(all->ended == ending::byte_limit);
    CHECK(all->progress.bytes >= 20'000);
    CHECK(all->progress.bytes < 20'000 + 4 * 1000);
}

// A body that is too large is often known by its header, and then nothing of it comes.
TEST_CASE("crawl: what counts against the limit on bytes is what has come")
{
    const std::size_t comes = GENERATE(0U, 1000U);
    const bool too_late = GENERATE(false, true);
    table answers;
    strings links;
    for (int i = 0; i < 100; ++i) {
        links.push_back(fmt::format("/{}", i));
        auto& entry = answers[fmt::format("http://a.org/{}", i)];
        entry.comes_first = comes;
        entry.body = std::string(3000, 'x');  // more than the limit
        entry.takes = too_late ? 31s : 1s;
    }
    answers.page("http://a.org/", links);
    auto bounds = quick();
    bounds.concurrency = 4;
    bounds.page_bytes = 2500;
    bounds.bytes = 20'000;
    const auto all = crawled(answers, bounds);
    if (comes == 0) {
        CHECK(all->ended == ending::finished);
        CHECK(answers.asked().size() == 101);
        CHECK(all->progress.bytes < 2500);
    } else {
        CHECK(all->ended == ending::byte_limit);
        CHECK(all->progress.bytes >= 20'000);
        CHECK(all->progress.bytes < 20'000 + 4 * 1000);
    }
}

TEST_CASE("crawl: at a limit nobody waits for a host's pace")
{
    table answers;
    answers["http://b.org/robots.txt"].body = "User-agent: *\nCrawl-delay: 3600";
    answers.page("http://a.org/", {"http://b.org/1", "http://b.org/2", "/2", "/3"}, 100ms);
    answers.page("http://a.org/2", {}, 200ms);
    answers["http://a.org/2"].body.resize(1000, ' ');
    auto bounds = quick();
    bounds.hosts = {"b.org"};

    SECTION("on pages")
    {
        bounds.pages = 2;
        const auto all = crawled(answers, bounds);
        CHECK(all->ended == ending::page_limit);
        CHECK(answers.asked() == strings{"http://a.org/", "http://a.org/2"});
        CHECK(page_at(*all, "http://a.org/2").is == state::fetched);  // it was under way
        CHECK(all->took == 300ms);
    }
    SECTION("on bytes")
    {
        bounds.bytes = 1000;
        const auto all = crawled(answers, bounds);
        CHECK(all->ended == ending::byte_limit);
        CHECK(all->took == 300ms);
    }
    SECTION("and one that just fits has finished")
    {
        bounds.pages = 5;
        const auto all = crawled(answers, bounds);
        CHECK(all->ended == ending::finished);
        CHECK(answers.asked().size() == 5);
        CHECK(all->took == 100ms + 7200s);
    }
}

TEST_CASE("crawl: a page whose connection was dropped is asked for once more, at its host's pace")
{
    table answers;
    answers.page("http://a.org/", {"/b", "/c", "/d"});
    answers.page("http://a.org/b", {"/e"});
    answers["http://a.org/b"].drops = 1;
    answers.page("http://a.org/c", {});
    answers["http://a.org/c"].drops = 2;
    answers["http://a.org/robots.txt"].drops = 1;
    auto bounds = quick();
    bounds.interval = 100ms;

    SECTION("and not a third time")
    {
        const auto all = crawled(answers, bounds);
        CHECK(
            answers.asked() == strings{
                                   "http://a.org/", "http://a.org/b", "http://a.org/c",
                                   "http://a.org/d", "http://a.org/b", "http://a.org/c",
                                   "http://a.org/e"});
        CHECK(answers.times_asked("http://a.org/robots.txt") == 2);
        for (std::size_t each = 0; each < answers.times().size(); ++each) {
            CHECK(answers.times()[each] == each * 100ms);
        }
        CHECK(all->ended == ending::finished);
        CHECK(page_at(*all, "http://a.org/b").is == state::fetched);
        CHECK(page_at(*all, "http://a.org/b").detail == "");
        CHECK(page_at(*all, "http://a.org/c").is == state::unreachable);
        CHECK(page_at(*all, "http://a.org/c").detail == "no answer: end of stream");
        CHECK(all->progress.asked == 7);
    }
    SECTION("and not beyond a limit")
    {
        bounds.pages = 4;
        const auto all = crawled(answers, bounds);
        CHECK(answers.asked().size() == 4);
        CHECK(all->ended == ending::page_limit);
        CHECK(page_at(*all, "http://a.org/b").is == state::unreachable);
    }
    SECTION("nor for ever, where that is robots.txt")
    {
        answers["http://a.org/robots.txt"].drops = 2;
        const auto all = crawled(answers, bounds);
        CHECK(answers.asked().empty());
        CHECK(all->whole[0].detail == "robots.txt cannot be read: no answer: end of stream");
    }
}

TEST_CASE("crawl: once the limit on pages is reached, nobody asks what the rules say of the others")
{
    table answers;
    answers["http://a.org/robots.txt"].body = "User-agent: *\nDisallow: /private\n";
    strings links;
    for (int i = 0; i < 100; ++i) {
        links.push_back(fmt::format("/private/{}", i));
    }
    answers.page("http://a.org/", links);
    auto bounds = quick();
    bounds.pages = 1;
    const auto all = crawled(answers, bounds);
    CHECK(all->whole.count(state::known) == 100);
    CHECK(all->whole.count(state::disallowed) == 0);

    bounds.pages = 2;
    CHECK(crawled(answers, bounds)->whole.count(state::disallowed) == 100);
}

// In each of its turns the other task sees how many pages have been gone through. It never sleeps,
// so virtual time would stand still.
TEST_CASE("crawl: while the pages that may not be asked for are gone through, others have turns")
{
    table answers;
    answers["http://a.org/robots.txt"].body = "User-agent: *\nDisallow: /private\n";
    strings links;
    for (int i = 0; i < 1000; ++i) {
        links.push_back(fmt::format("/private/{}", i));
    }
    answers.page("http://a.org/", links);
    site whole;
    crawler crawl(quick(), answers.fetcher(), whole);
    const std::size_t enough = GENERATE(500U, 10'000U);  // at which it stops the crawl
    std::set<std::size_t> seen;
    const auto watch = [&](common::task_group& both) -> awaitable<void> {
        while (whole.count(state::disallowed) < enough) {
            seen.insert(whole.count(state::disallowed));
            co_await common::yield();
        }
        both.cancel();
    };
    const auto go = [&](common::task_group& both) -> awaitable<void> {
        both.spawn(watch(both));
        co_await crawl.run(*url::parse("http://a.org/"));
        both.cancel();
    };
    common::run(common::with_task_group(go), common::clock_mode::steady);
    if (enough < 1000) {
        CHECK(whole.count(state::disallowed) == enough);
    } else {
        CHECK(seen.size() >= 900);
        CHECK(whole.count(state::disallowed) == 1000);
    }
}

TEST_CASE("crawl: cancelled, it stops where it is, and what is known stands")
{
    table answers;
    answers.page("http://a.org/", {"/b", "/c", "/d"});
    answers.page("http://a.org/b", {"/e"}, 1s);
    answers.page("http://a.org/c", {"/f"}, 10s);
    site whole;
    crawler crawl(quick(), answers.fetcher(), whole);
    bool timed_out = false;
    const auto go = [&]() -> awaitable<void> {
        try {
            co_await common::with_timeout(5s, crawl.run(*url::parse("http://a.org/")));
        } catch (const common::timeout_error&) {
            timed_out = true;
        }
        CHECK(common::elapsed() == 5s);
    };
    common::run(go(), common::clock_mode::virtual_time);
    CHECK(timed_out);
    CHECK(answers.under_way() == 0);
    CHECK(whole.size() == 5);
    CHECK(whole.count(state::fetched) == 2);
    CHECK(whole.count(state::failed) == 2);  // /d and /e, which are not there
    CHECK(whole.count(state::known) == 1);
}

TEST_CASE("crawl: cancelled at any time, it ends, and nothing is left running")
{
    for (int millisecond = 0; millisecond < 60; ++millisecond) {
        table answers;
        answers["http://a.org/robots.txt"].takes = 5ms;
        answers.page("http://a.org/", {"/b", "/c", "http://b.org/"}, 10ms);
        answers.page("http://a.org/b", {"/d"}, 10ms);
        auto bounds = quick();
        bounds.interval = 5ms;
        bounds.concurrency = 2;
        bounds.hosts = {"b.org"};
        site whole;
        crawler crawl(bounds, answers.fetcher(), whole);
        const auto go = [&]() -> awaitable<void> {
            try {
                co_await common::with_timeout(
                    std::chrono::milliseconds(millisecond),
                    crawl.run(*url::parse("http://a.org/")));
            } catch (const common::timeout_error&) {
            }
        };
        common::run(go(), common::clock_mode::virtual_time);
        INFO(millisecond);
        CHECK(answers.under_way() == 0);
    }
}
