#include "web_scraper/robots.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>

using web_scraper::robots;
using namespace std::chrono_literals;

namespace {

robots parsed(std::string_view file)
{
    return robots::parse(file, "web_scraper");
}

// With this one rule for all.
bool allowed_by(const std::string& rule, std::string_view target)
{
    return parsed("User-agent: *\n" + rule + "\n").allows(target);
}

}  // namespace

TEST_CASE("robots: without a rule everything is allowed, and without a file")
{
    CHECK(robots().allows("/"));
    CHECK(parsed("").allows("/a"));
    CHECK(parsed("<html>no robots.txt here</html>").allows("/a"));
    CHECK(allowed_by("Disallow:", "/a"));
    CHECK(allowed_by("Allow: /a", "/b"));
}

TEST_CASE("robots: a rule is a prefix")
{
    CHECK_FALSE(allowed_by("Disallow: /", "/"));
    CHECK_FALSE(allowed_by("Disallow: /", "/a/b?c"));
    CHECK_FALSE(allowed_by("Disallow: /a", "/a"));
    CHECK_FALSE(allowed_by("Disallow: /a", "/abc"));
    CHECK_FALSE(allowed_by("Disallow: /a", "/a/b"));
    CHECK(allowed_by("Disallow: /a/", "/a"));
    CHECK(allowed_by("Disallow: /a", "/A"));
    CHECK_FALSE(allowed_by("Disallow: /a?x=", "/a?x=1"));
    CHECK(allowed_by("Disallow: /a?x=", "/a"));
}

TEST_CASE("robots: a star is any characters, a dollar the end")
{
    CHECK_FALSE(allowed_by("Disallow: /*.gif$", "/a/b.gif"));
    CHECK(allowed_by("Disallow: /*.gif$", "/a/b.gif?x"));
    CHECK_FALSE(allowed_by("Disallow: /*.gif", "/a/b.gif?x"));
    CHECK(allowed_by("Disallow: /*.gif", "/a/b.jpg"));
    CHECK_FALSE(allowed_by("Disallow: /a$", "/a"));
    CHECK(allowed_by("Disallow: /a$", "/ab"));
    CHECK_FALSE(allowed_by("Disallow: /a*b*c", "/a-b-b-c-d"));
    CHECK(allowed_by("Disallow: /a*b*c", "/a-c-b"));
    CHECK_FALSE(allowed_by("Disallow: /a*b$", "/ab-b"));
    CHECK(allowed_by("Disallow: /a*b$", "/ab-c"));
    CHECK_FALSE(allowed_by("Disallow: *", "/a"));
    CHECK_FALSE(allowed_by("Disallow: /a*", "/a"));
    CHECK_FALSE(allowed_by("Disallow: /a**$", "/abc"));
    // The piece behind the last star must not use up what one before it needs.
    CHECK(allowed_by("Disallow: /a*aa$", "/aa"));
    CHECK_FALSE(allowed_by("Disallow: /a*aa$", "/aaa"));
    // A dollar elsewhere is a dollar.
    CHECK(allowed_by("Disallow: /a$b", "/a"));
}

TEST_CASE("robots: a star or dollar that is meant is escaped")
{
    CHECK_FALSE(allowed_by("Disallow: /a-%2A.html", "/a-*.html"));
    CHECK_FALSE(allowed_by("Disallow: /a-%2A.html", "/a-%2A.html"));
    CHECK(allowed_by("Disallow: /a-%2A.html", "/a-b.html"));
    CHECK_FALSE(allowed_by("Disallow: /a%24", "/a$b"));
}

TEST_CASE("robots: spellings of a path are one path")
{
    CHECK_FALSE(allowed_by("Disallow: /%7ejoe", "/~joe"));
    CHECK_FALSE(allowed_by("Disallow: /~joe", "/%7Ejoe"));
    CHECK_FALSE(allowed_by("Disallow: /caf\xC3\xA9", "/caf%C3%A9"));
    CHECK_FALSE(allowed_by("Disallow: /a%c3%a9", "/a%C3%A9"));
    CHECK(allowed_by("Disallow: /a%2Fb", "/a/b"));
}

TEST_CASE("robots: the longest rule decides, and of two as long the one that allows")
{
    for (const std::string order : {"Allow: /a/b\nDisallow: /a", "Disallow: /a\nAllow: /a/b"}) {
        CHECK(allowed_by(order, "/a/b/c"));
        CHECK_FALSE(allowed_by(order, "/a/c"));
    }
    for (const std::string order : {"Allow: /a\nDisallow: /a", "Disallow: /a\nAllow: /a"}) {
        CHECK(allowed_by(order, "/a"));
    }
    CHECK_FALSE(allowed_by("Allow: /\nDisallow: /*.gif", "/a.gif"));
    CHECK(allowed_by("Allow: /$\nDisallow: /", "/"));
    CHECK_FALSE(allowed_by("Allow: /$\nDisallow: /", "/a"));
}

TEST_CASE("robots: the group that names us goes before that for everybody")
{
    const std::string file =
        "User-agent: *\n"
        "Disallow: /\n"
        "\n"
        "User-agent: other\n"
        "User-agent: Web_Scraper\n"
        "Disallow: /private\n"
        "\n"
        "User-agent: third\n"
        "Disallow: /third\n";
    CHECK(parsed(file).allows("/a"));
    CHECK(parsed(file).allows("/third"));
    CHECK_FALSE(parsed(file).allows("/private"));
    CHECK_FALSE(robots::parse(file, "fourth").allows("/a"));
    CHECK_FALSE(robots::parse(file, "web").allows("/a"));
    CHECK(robots::parse(file, "other").allows("/a"));
}

TEST_CASE("robots: several groups for one name are one, and a group for us may be empty")
{
    const auto both = parsed(
        "User-agent: web_scraper\nDisallow: /a\n\n"
        "User-agent: *\nDisallow: /\n\n"
        "User-agent: web_scraper/2.0 (tests)\nDisallow: /b\n");
    CHECK_FALSE(both.allows("/a"));
    CHECK_FALSE(both.allows("/b"));
    CHECK(both.allows("/c"));
    CHECK(parsed("User-agent: *\nDisallow: /\nUser-agent: web_scraper\n").allows("/a"));
    CHECK(parsed("User-agent: *\nDisallow: /\nUser-agent: web_scraper\nDisallow:\n").allows("/a"));
}

TEST_CASE(
    "robots: lines that are not the RFC's end no group, and rules before one count for nobody")
{
    const std::string file =
        "Disallow: /before\n"
        "User-agent: web_scraper\n"
        "Sitemap: http://example.org/map\n"
        "User-agent: other\n"
        "Disallow: /a\n";
    CHECK(parsed(file).allows("/before"));
    CHECK_FALSE(parsed(file).allows("/a"));
}

TEST_CASE("robots: files as people write them")
{
    CHECK_FALSE(parsed("\xEF\xBB\xBFuser-agent:*\r\nDISALLOW:/a # not here\r\n").allows("/a"));
    CHECK_FALSE(parsed("User-agent: *\rDisallow: /a\r").allows("/a"));
    CHECK_FALSE(parsed("  User-agent :\t*  \n\n\n  Disallow : /a  ").allows("/a"));
    CHECK(parsed("# User-agent: *\n# Disallow: /\n").allows("/a"));
    CHECK(parsed("User-agent: *\nDisallow\n: /a\n::\n\0\xFF\n").allows("/a"));
}

TEST_CASE("robots: robots.txt itself is always allowed, and after a failure nothing else")
{
    CHECK(allowed_by("Disallow: /", "/robots.txt"));
    CHECK(robots::allow_nothing().allows("/robots.txt"));
    CHECK_FALSE(robots::allow_nothing().allows("/"));
    CHECK_FALSE(robots::allow_nothing().allows("/a"));
}

TEST_CASE("robots: Crawl-delay is the group's")
{
    const std::string file =
        "User-agent: *\nCrawl-delay: 7\n\nUser-agent: web_scraper\nCrawl-delay: 0.5\n";
    CHECK(parsed(file).crawl_delay() == common::duration(500ms));
    CHECK(robots::parse(file, "other").crawl_delay() == common::duration(7s));
    CHECK_FALSE(robots().crawl_delay());
    for (const std::string odd : {"", "soon", "-1", "nan", "inf", "1 s", "1e400"}) {
        INFO(odd);
        CHECK_FALSE(parsed("User-agent: *\nCrawl-delay: " + odd + "\n").crawl_delay());
    }
    CHECK(parsed("User-agent: *\nCrawl-delay: 1e12\n").crawl_delay() == common::duration(24h));
}

TEST_CASE("robots: what is beyond 500 KiB does not count, and what is before does")
{
    std::string file = "User-agent: *\nDisallow: /early\n";
    file += "#" + std::string(robots::longest_file - file.size() - 2, 'x') + "\n";
    CHECK_FALSE(parsed(file).allows("/early"));
    CHECK(parsed(file + "Disallow: /late\n").allows("/late"));
}

TEST_CASE("robots: more rules than are compared with a page, or a longer one, allow nothing")
{
    const auto numbered = [](std::size_t count) {
        std::string rules;
        for (std::size_t rule = 0; rule < count; ++rule) {
            rules += "Disallow: /" + std::to_string(rule) + "$\n";
        }
        return rules;
    };
    const std::string us = "User-agent: web_scraper\nCrawl-delay: 3\n";
    const auto most = parsed(us + numbered(robots::most_rules));
    CHECK(most.allows("/a"));
    CHECK_FALSE(most.allows("/7"));
    CHECK_FALSE(most.is_too_much());

    const auto more = parsed(us + numbered(robots::most_rules + 1));
    CHECK(more.is_too_much());
    CHECK_FALSE(more.allows("/a"));
    CHECK(more.allows("/robots.txt"));
    CHECK(more.crawl_delay() == common::duration(3s));

    const std::string pattern = "/" + std::string(robots::longest_pattern - 1, 'x');
    CHECK(parsed(us + "Disallow: " + pattern).allows("/a"));
    CHECK_FALSE(parsed(us + "Disallow: " + pattern).allows(pattern));
    CHECK_FALSE(parsed(us + "Allow: " + pattern + "x\n").allows("/a"));
    CHECK_FALSE(parsed(us + "Disallow: /" + std::string(1000, ' ') + "x").allows("/a"));  // escaped

    // The rules that others have are no concern of ours.
    const auto others = "User-agent: *\n" + numbered(robots::most_rules + 1);
    CHECK(parsed(others + us).allows("/a"));
    CHECK_FALSE(parsed(others).allows("/a"));
}

// The usual way to match with stars takes time that grows with a power of their number.
TEST_CASE("robots: no rule is slow to match")
{
    std::string stars = "/";
    for (int star = 0; star < 1000; ++star) {
        stars += "*a";
    }
    const auto rules = parsed("User-agent: *\nDisallow: " + stars + "b$\n");
    CHECK(rules.allows("/" + std::string(4000, 'a')));
    CHECK_FALSE(rules.allows("/" + std::string(4000, 'a') + "b"));
}
