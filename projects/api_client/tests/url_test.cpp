#include "api_client/url.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

using http::url;

TEST_CASE("a URL says where to connect and what to ask for")
{
    const url plain("http://example.org");
    CHECK(plain.text() == "http://example.org/");
    CHECK(plain.host() == "example.org");
    CHECK(plain.port() == 80);
    CHECK(plain.authority() == "example.org");
    CHECK(plain.target() == "/");

    const url full("http://Example.ORG:8080/a%20b/c?d=e&f#part");
    CHECK(full.host() == "example.org");
    CHECK(full.port() == 8080);
    CHECK(full.authority() == "example.org:8080");
    CHECK(full.target() == "/a%20b/c?d=e&f");
}

TEST_CASE("two spellings of a URL are the same URL")
{
    CHECK(url("HTTP://Example.org:80/x/../%7ea#top") == url("http://example.org/~a"));
    CHECK(url("http://example.org:") == url("http://example.org/"));
    CHECK(url("http://[::1]/%5b?x%5b%5D=2").text() == "http://[::1]/%5B?x%5B%5D=2");
    CHECK_FALSE(url("http://example.org/a") == url("http://example.org/A"));
    CHECK_FALSE(url("http://example.org/a") == url("http://example.org/a/"));
}

TEST_CASE("an IPv6 address has brackets in the URL, and none for the system")
{
    const url six("http://[::1]:8080/");
    CHECK(six.host() == "::1");
    CHECK(six.authority() == "[::1]:8080");
}

TEST_CASE("a reference leads on from the URL where it stands")
{
    const url page("http://example.org/a/b?page=1");
    CHECK(page.resolve("c").text() == "http://example.org/a/c");
    CHECK(page.resolve("/c").text() == "http://example.org/c");
    CHECK(page.resolve("../../c").text() == "http://example.org/c");
    CHECK(page.resolve("?page=2").text() == "http://example.org/a/b?page=2");
    CHECK(page.resolve("#below").text() == page.text());
    CHECK(page.resolve("").text() == page.text());
    CHECK(page.resolve("//example.com/").text() == "http://example.com/");
    CHECK(page.resolve("http://example.com/x").text() == "http://example.com/x");
}

TEST_CASE("what cannot be fetched is refused")
{
    for (const auto* text :
         {"", "example.org", "/a", "http:", "http://", "http:///a", "http://:80/",
          "http://example.org:99999/", "http://example.org:0/", "http://example.org:x/",
          "http://user:secret@example.org/", "http://example.org/a b", "http://exa mple.org/",
          "http://example.org/\r\nHost: x"}) {
        INFO(text);
        CHECK_THROWS_AS(url(text), http::bad_url);
    }
    CHECK_THROWS_AS(url("https://example.org/"), http::unsupported_scheme);
    const url page("http://example.org/");
    CHECK_THROWS_AS(page.resolve("mailto:ada@example.org"), http::unsupported_scheme);
    CHECK_THROWS_AS(page.resolve("a b"), http::bad_url);
}
