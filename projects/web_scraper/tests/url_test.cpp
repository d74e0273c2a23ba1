#include "web_scraper/url.hpp"

#include "api_client/url.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

using web_scraper::url;

namespace {

std::string normal(std::string_view text)
{
    const auto parsed = url::parse(text);
    return parsed ? parsed->text() : "none";
}

std::string resolved(std::string_view base, std::string_view reference)
{
    const auto target = url::parse(base).value().resolve(reference);
    return target ? target->text() : "none";
}

}  // namespace

TEST_CASE("two spellings of one page are one URL")
{
    CHECK(normal("HTTP://Example.ORG/Path") == "http://example.org/Path");
    CHECK(normal("http://example.org:80/a") == "http://example.org/a");
    CHECK(normal("http://example.org:/a") == "http://example.org/a");
    CHECK(normal("https://example.org:443/a") == "https://example.org/a");
    CHECK(normal("http://example.org") == "http://example.org/");
    CHECK(normal("http://example.org?x=1") == "http://example.org/?x=1");
    CHECK(normal("http://example.org/a#top") == "http://example.org/a");
    CHECK(normal("http://example.org/a#") == "http://example.org/a");
    CHECK(normal("http://example.org/a/./b/../c") == "http://example.org/a/c");
    CHECK(normal("http://example.org/a/b/..") == "http://example.org/a/");
    CHECK(normal("http://example.org/../../a") == "http://example.org/a");
    CHECK(normal("http://example.org/..") == "http://example.org/");
    CHECK(normal("http://example.org/..?x=1") == "http://example.org/?x=1");
    CHECK(normal("http://example.org/../..?x=1") == "http://example.org/?x=1");
    CHECK(normal("http://example.org/..a?x=1") == "http://example.org/..a?x=1");
    CHECK(normal("http://example.org/%7Ejoe/%61") == "http://example.org/~joe/a");
    CHECK(normal("http://example.org/%2e%2e/a") == "http://example.org/a");
    CHECK(normal("http://example.org/%5b?%5b%5D") == "http://example.org/%5B?%5B%5D");
    CHECK(normal("http://example.org/a%2fb%c3%a9") == "http://example.org/a%2Fb%C3%A9");
    CHECK(normal("http://joe:secret@example.org/a") == "http://example.org/a");
    CHECK(normal("http://[2001:DB8::1]:8080/a") == "http://[2001:db8::1]:8080/a");
}

TEST_CASE("what only the server can know stays apart")
{
    CHECK(normal("http://example.org/a") != normal("http://example.org/a/"));
    CHECK(normal("http://example.org/a") != normal("http://example.org/A"));
    CHECK(normal("http://example.org/a?x=1&y=2") == "http://example.org/a?x=1&y=2");
    CHECK(normal("http://example.org/a?") != normal("http://example.org/a"));
    CHECK(normal("http://example.org:8080/") != normal("http://example.org/"));
    CHECK(normal("http://example.org/a%2Fb") != normal("http://example.org/a/b"));
    CHECK(normal("https://example.org/") != normal("http://example.org/"));
}

TEST_CASE("what browsers forgive in an address is forgiven")
{
    CHECK(normal(" \n http://example.org/a \t") == "http://example.org/a");
    CHECK(normal("http://example.org/a b") == "http://example.org/a%20b");
    CHECK(normal("http://example.org/a\nb") == "http://example.org/ab");
    CHECK(normal("http://example.org\\a\\b") == "http://example.org/a/b");
    CHECK(normal("http://example.org/?a\\b") == "http://example.org/?a%5Cb");
    CHECK(normal("http://example.org/caf\xC3\xA9") == "http://example.org/caf%C3%A9");
    CHECK(normal("http://example.org/\"<a>\"") == "http://example.org/%22%3Ca%3E%22");
    CHECK(normal("http://example.org/100%") == "http://example.org/100%25");
    CHECK(normal("http://example.org/%zz") == "http://example.org/%25zz");
    CHECK(normal("http://example.org/a[1]?b[]=2") == "http://example.org/a%5B1%5D?b%5B%5D=2");
    CHECK(normal("http://[::1]/a[1]") == "http://[::1]/a%5B1%5D");
}

TEST_CASE("what is no http or https URL with a host is none")
{
    for (const auto* text :
         {"", "/a", "a", "mailto:joe@example.org", "javascript:void(0)", "ftp://example.org/",
          "http:", "http:///a", "http:/a", "http://:80/", "http://exam ple.org/", "http://a:b:c/",
          "http://example.org:65536/", "http://example.org:0/", "http://example.org:x/",
          "http://[::1/", "http://ex%41mple<.org/", "//example.org/", "data:text/html,hello"}) {
        INFO(text);
        CHECK_FALSE(url::parse(text));
    }
}

TEST_CASE("a reference means what it means in its document")
{
    constexpr auto page = "http://example.org/a/b?q=1";
    CHECK(resolved(page, "c") == "http://example.org/a/c");
    CHECK(resolved(page, "./c") == "http://example.org/a/c");
    CHECK(resolved(page, "../c") == "http://example.org/c");
    CHECK(resolved(page, "../../../c") == "http://example.org/c");
    CHECK(resolved(page, "/c") == "http://example.org/c");
    CHECK(resolved(page, "?p=2") == "http://example.org/a/b?p=2");
    CHECK(resolved(page, "#part") == page);
    CHECK(resolved(page, "") == page);
    CHECK(resolved(page, ".") == "http://example.org/a/");
    CHECK(resolved(page, "//other.org/x") == "http://other.org/x");
    CHECK(resolved(page, "https://other.org") == "https://other.org/");
    CHECK(resolved(page, " c d ") == "http://example.org/a/c%20d");
    CHECK(resolved(page, "\\c") == "http://example.org/c");
    CHECK(resolved(page, "c[1]") == "http://example.org/a/c%5B1%5D");
    CHECK(resolved(page, "mailto:joe@example.org") == "none");
    CHECK(resolved(page, "javascript:void(0)") == "none");
    CHECK(resolved(page, "http://") == "none");
}

TEST_CASE("a URL has a length, beyond which it is none")
{
    using web_scraper::longest_url;
    const std::string site = "http://example.org/";
    const auto fits = site + std::string(longest_url - site.size(), 'x');
    CHECK(normal(fits) == fits);
    CHECK(normal(" " + fits + "#" + fits) == fits);  // what is dropped does not count
    CHECK_FALSE(url::parse(fits + "x"));
    CHECK_FALSE(url::parse(site + std::string(longest_url / 2, ' ') + "x"));  // escaped, it grows

    CHECK(resolved(fits, "y") == site + "y");
    CHECK(resolved(site, fits) == fits);
    CHECK(resolved(fits, "?y") == "none");
    CHECK(resolved(site, std::string(longest_url - site.size(), 'x')) == fits);
    CHECK(resolved(site, std::string(longest_url - site.size() + 1, 'x')) == "none");
    // What would be short when all is done is refused as well: to do it is what takes the time.
    CHECK(resolved(site, std::string(longest_url, '/') + "../y") == "none");
    CHECK(normal("http://example.org" + std::string(longest_url, '\n') + "/") == "none");
}

TEST_CASE("a URL is its parts")
{
    const auto whole = url::parse("http://Example.org:8080/a/b?x=1#y").value();
    CHECK(whole.scheme() == "http");
    CHECK(whole.host() == "example.org");
    CHECK(whole.port() == 8080);
    CHECK(whole.origin() == "http://example.org:8080");
    CHECK(whole.target() == "/a/b?x=1");
    CHECK(url::parse("https://example.org")->port() == 443);
    CHECK(whole.name() == "example.org");
    CHECK(url::parse("http://example.org")->name_with_port() == "example.org:80");
    CHECK(url::parse("http://[::1]/")->name_with_port() == "[::1]:80");
    CHECK(url::parse("http://[::1]/")->host() == "::1");
    CHECK(url::parse("http://[::1]:8080/")->origin() == "http://[::1]:8080");
    CHECK(url::parse("http://[::1]/")->origin() == "http://[::1]");
}

// Whatever a server writes into a page comes here.
TEST_CASE("normalising is done after one time, whatever the text")
{
    std::uint32_t chance = 1;
    const std::string letters = "ab/.:?#[]@%\\ 2eE~\"<\xC3\xA9\n-_*$";
    int parsed = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string text = round % 2 == 0 ? "http://example.org/" : "http://";
        for (int length = 0; length < 12; ++length) {
            chance = chance * 1'664'525 + 1'013'904'223;
            text += letters[(chance >> 16) % letters.size()];
        }
        if (const auto once = url::parse(text)) {
            ++parsed;
            INFO(text);
            REQUIRE(normal(once->text()) == once->text());
            REQUIRE(once->resolve("") == once);
            if (once->scheme() == "http") {  // and it is what will be asked for
                REQUIRE(http::url(once->text()).text() == once->text());
            }
        }
    }
    CHECK(parsed > 9'000);
}
