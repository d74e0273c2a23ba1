#include "web_scraper/html.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

using web_scraper::links_in;
using web_scraper::longest_url;
using web_scraper::most_links;
using web_scraper::url;
using namespace std::string_view_literals;

namespace {

std::vector<std::string> links(std::string_view page, std::string_view content_type = "text/html")
{
    std::vector<std::string> found;
    const auto in_page = links_in(page, *url::parse("http://a.org/dir/page"), content_type);
    for (const auto& link : in_page.links) {
        found.push_back(link.text());
    }
    return found;
}

bool are_all(std::string_view page)
{
    return links_in(page, *url::parse("http://a.org/"), "text/html").all;
}

std::string repeated(std::string_view text, std::size_t times)
{
    std::string whole;
    for (std::size_t time = 0; time < times; ++time) {
        whole += text;
    }
    return whole;
}

std::string numbered_links(std::size_t count)
{
    std::string page;
    for (std::size_t link = 0; link < count; ++link) {
        page += "<a href='?" + std::to_string(link) + "'>";
    }
    return page;
}

enum class order { little_endian, big_endian };

// A text of ASCII in UTF-16 or UTF-32: each character in `width` bytes, of which one is not NUL.
std::string wide(std::string_view text, std::size_t width, order bytes)
{
    const std::string zeros(width - 1, '\0');
    std::string page;
    for (const char c : text) {
        page += bytes == order::little_endian ? c + zeros : zeros + c;
    }
    return page;
}

using list = std::vector<std::string>;

}  // namespace

TEST_CASE("html: the links of a page, resolved, each once, in their order")
{
    CHECK(
        links("<p><a href='b'>b</a> <A HREF=\"/c\">c</A> <a href=../d>d</a> <a href='b#x'>b</a>") ==
        list{"http://a.org/dir/b", "http://a.org/c", "http://a.org/d"});
}

TEST_CASE("html: what looks like a link and is none")
{
    CHECK(links("<!-- <a href='b'>b</a> -->") == list{});
    CHECK(links("<script>var s = \"<a href='b'>b</a>\";</script>") == list{});
    CHECK(links("<style><a href='b'></style>") == list{});
    CHECK(links("<a name='b'>b</a> <a>c</a> <a href>d</a>") == list{});
    CHECK(links("<link href='b'> <img src='c'> <p href='d'>") == list{});
    CHECK(links("&lt;a href='b'&gt;") == list{});
    CHECK(links("<p title=\"<a href='b'>\">") == list{});
    CHECK(
        links("<a href='mailto:a@a.org'> <a href='javascript:go()'> <a href='ftp://a.org/'>") ==
        list{});
}

TEST_CASE("html: escapes in a link are read")
{
    CHECK(links("<a href='b?x=1&amp;y=2'>") == list{"http://a.org/dir/b?x=1&y=2"});
    CHECK(links("<a href='&#98;&#x63;'>") == list{"http://a.org/dir/bc"});
    CHECK(links("<a href=' b\n'>") == list{"http://a.org/dir/b"});
}

TEST_CASE("html: pages as they are found")
{
    CHECK(links("") == list{});
    CHECK(links("no html at all") == list{});
    CHECK(links("<a href='b'").size() <= 1);  // is it a tag? The parser may decide
    CHECK(links("<<<>>><a href='b'>") == list{"http://a.org/dir/b"});
    CHECK(
        links("<table><a href='b'><td></p></a></b></html><a href='c'>") ==
        list{"http://a.org/dir/b", "http://a.org/dir/c"});
    CHECK(links("<a href='b'><a href='c'><a href='d'>").size() == 3);
    CHECK(links("\xFF\xFE\xFA<a href='b'>").size() <= 1);  // is read to its end, whatever it is
    CHECK(
        links("<a href='caf\xE9'>", "text/html; charset=iso-8859-1") ==
        list{"http://a.org/dir/caf%C3%A9"});
    CHECK(
        links("<meta charset=iso-8859-1><a href='caf\xE9'>") == list{"http://a.org/dir/caf%C3%A9"});
    CHECK(
        links("<a href='caf\xC3\xA9'>", "text/html; charset=\"UTF-8\"") ==
        list{"http://a.org/dir/caf%C3%A9"});
    CHECK(links("<a href='b'>", "text/html; charset=nonsense") == list{"http://a.org/dir/b"});
}

// What the HTML standard says of a NUL: in a text it is nothing, in a value it is U+FFFD.
TEST_CASE("html: a page goes on behind a NUL byte")
{
    const list b_and_c{"http://a.org/dir/b", "http://a.org/dir/c"};
    for (const auto* type :
         {"text/html", "text/html; charset=utf-8", "text/html; charset=us-ascii",
          "text/html; charset=iso-8859-1", "text/html; charset=windows-1252",
          "text/html; charset=shift_jis", "text/html; charset=nonsense"}) {
        INFO(type);
        CHECK(links("\0<a href='b'><a href='c'>"sv, type) == b_and_c);
        CHECK(links("<a href='b'>\0<a href='c'>"sv, type) == b_and_c);
        CHECK(links("<p>\0\0\0\0<a href='b'>b\0b</a>\0<a href='c'>\0"sv, type) == b_and_c);
        CHECK(links("<p title='\0'><a href='b'><b \0><a href='c'>"sv, type) == b_and_c);
        CHECK(links("<script>'\0</a>'</script><a href='c'>"sv, type) == list{"http://a.org/dir/c"});
        CHECK(
            links("<!-- --\0> <a href='b'> --><a href='c'>"sv, type) == list{"http://a.org/dir/c"});
        CHECK(
            links("<a href='x\0y'><a href=\0><a href='c'>"sv, type) ==
            list{
                "http://a.org/dir/x%EF%BF%BDy", "http://a.org/dir/%EF%BF%BD",
                "http://a.org/dir/c"});
    }
    CHECK(links("\xEF\xBB\xBF\0<a href='caf\xC3\xA9'>"sv) == list{"http://a.org/dir/caf%C3%A9"});
    CHECK(
        links("<meta charset=iso-8859-1>\0<a href='caf\xE9'>"sv) ==
        list{"http://a.org/dir/caf%C3%A9"});
    CHECK(links("<a href='b'>\0<a href='caf\xE9'>"sv).back() == "http://a.org/dir/caf%C3%A9");
    CHECK(links(std::string(2'000'000, '\0') + "<a href='b'>") == list{"http://a.org/dir/b"});
}

// Here nearly every other byte is NUL, and no NUL is a character.
TEST_CASE("html: pages in UTF-16 and UTF-32")
{
    using enum order;
    const auto* const page = "<html><a href='b'>b</a><a href='c'>c</a>";
    const list b_and_c{"http://a.org/dir/b", "http://a.org/dir/c"};
    const auto utf16le = wide(page, 2, little_endian);
    const auto utf16be = wide(page, 2, big_endian);
    const auto utf32le = wide(page, 4, little_endian);
    const auto utf32be = wide(page, 4, big_endian);

    CHECK(links("\xFF\xFE" + utf16le) == b_and_c);
    CHECK(links("\xFE\xFF" + utf16be) == b_and_c);
    CHECK(links("\xFF\xFE" + utf16le, "text/html; charset=nonsense") == b_and_c);
    CHECK(links("\xFE\xFF" + utf16be, "text/html; charset=nonsense") == b_and_c);
    CHECK(links("\xFF\xFE" + utf16le, "text/html; charset=utf-16") == b_and_c);
    CHECK(links(utf16le, "text/html; charset=utf-16") == b_and_c);
    CHECK(links(utf16le, "text/html; charset=UTF-16LE") == b_and_c);
    CHECK(links(utf16be, "text/html; charset=\"UTF-16BE\"") == b_and_c);
    CHECK(links(utf16le, "text/html; charset=unicode") == b_and_c);
    CHECK(links(utf32le, "text/html; charset=utf-32") == b_and_c);
    CHECK(links(utf32le, "text/html; charset=utf-32le") == b_and_c);
    CHECK(links(utf32be, "text/html; charset=utf-32be") == b_and_c);
    CHECK(links(utf32be, "text/html; charset=ucs-4") == b_and_c);
}

TEST_CASE("html: base is where links begin, the first one of a page")
{
    CHECK(links("<base href='/other/'><a href='b'>") == list{"http://a.org/other/b"});
    CHECK(
        links("<base href='http://b.org/x/y'><a href='c'><a href='/d'>") ==
        list{"http://b.org/x/c", "http://b.org/d"});
    CHECK(
        links("<base target='_top'><base href='/one/'><base href='/two/'><a href='b'>") ==
        list{"http://a.org/one/b"});
    CHECK(links("<base href='mailto:a@a.org'><a href='b'>") == list{"http://a.org/dir/b"});
    CHECK(links("<a href='b'><base href='/late/'>") == list{"http://a.org/late/b"});
}

TEST_CASE("html: so many links of a page are read, and no more")
{
    CHECK(links(numbered_links(most_links)).size() == most_links);
    CHECK(are_all(numbered_links(most_links)));
    const auto more = numbered_links(most_links + 1);
    CHECK(links(more).size() == most_links);
    CHECK_FALSE(are_all(more));
    // It is the parser that stops: what it would have read, the base of all links, does not count.
    CHECK(links(more + "<base href='/late/'>").front() == "http://a.org/dir/page?0");
    CHECK(links(repeated("<a href='b'>", most_links) + "<a href='c'>").size() == 1);
}

// Each link has the base before it: 4000 of them would make 800 MB of this page of 260 KB.
TEST_CASE("html: links of a page with a long base are no longer than a URL may be")
{
    const auto in_page = links_in(
        "<base href='/" + std::string(200'000, 'x') + "/'>" + numbered_links(4000),
        *url::parse("http://a.org/"), "text/html");
    std::size_t size = 0;
    for (const auto& link : in_page.links) {
        size += link.text().size();
    }
    CHECK(size <= 4000 * longest_url);

    const auto shorter = "<base href='/" + std::string(longest_url - 50, 'x') + "/'>";
    CHECK(links(shorter + "<a href='b'>").size() == 1);
    CHECK(links(shorter + "<a href='" + std::string(50, 'b') + "'>").empty());
}

// To read on takes time with the square of the depth, or of the end tags that close nothing.
TEST_CASE("html: a page is read to a depth, and what was found before counts")
{
    using web_scraper::deepest_element;
    const auto deep = repeated("<b>", deepest_element);
    const auto shallow = repeated("<b>", deepest_element - 3);  // in html and body, and with an a
    const std::string link = "<a href='b'>";
    CHECK(links(link + deep + repeated("</i>", 1000) + "<a href='c'>").size() == 1);
    CHECK_FALSE(are_all(deep + link));
    CHECK(links(deep + link).empty());
    CHECK(
        links(deep + repeated("</b>", deepest_element) + link).empty());  // it is not gone on with
    CHECK(links(shallow + link).size() == 1);
    CHECK(are_all(shallow + link));
    CHECK_FALSE(are_all(repeated("<div>", 100'000)));
}

// libxml2 compares each attribute of a tag with all before it. This tag would take it a minute.
TEST_CASE("html: a page that takes too long is read to there, and what was found before counts")
{
    std::string page = "<a href='b'>b</a><i";
    for (int number = 0; page.size() < 1'200'000; ++number) {
        page += " x" + std::to_string(number);
    }
    page += "><a href='c'>";
    const auto began = std::clock();  // of this process, which has no other thread
    const auto found = links_in(page, *url::parse("http://a.org/"), "text/html");
    CHECK(std::clock() - began < 10 * CLOCKS_PER_SEC);
    // A newer libxml2 may be quick about it, and has both then.
    CHECK(found.links.size() == (found.all ? 2 : 1));
    CHECK(found.links.at(0).text() == "http://a.org/b");
}

// Pictures are often in the page as such.
TEST_CASE("html: a long value in a tag is none that takes long")
{
    const auto page =
        "<a href='b'><img src='data:" + std::string(2'000'000, 'A') + "'><a href='c'>";
    CHECK(links(page).size() == 2);
    CHECK(are_all(page));
}

TEST_CASE("html: elements one after another make no depth, closed or not")
{
    for (const auto* text :
         {"<br>",
          "<br/>",
          "<img src='x'>",
          "<input>",
          "<hr>",
          "<p>",
          "<p>text",
          "</p>",
          "</i>",
          "<li>",
          "<tr><td>",
          "<option>",
          "<dt><dd>",
          "<a name='x'>",
          "<a></a>",
          "<b>b</b>",
          "<div><p><b>b</div>",
          "<ul><li>a<li>b</ul>",
          "<p>a<wbr>b</p>",
          "<body>",
          "<!-- -->",
          "<script></script>",
          "<svg><path/></svg>",
          "<b><i></b></i>"}) {
        INFO(text);
        const auto page = repeated(text, 10'000) + "<a href='b'>";
        CHECK(links(page) == list{"http://a.org/dir/b"});
        CHECK(are_all(page));
    }
}

TEST_CASE("html: what is HTML")
{
    CHECK(web_scraper::is_html("text/html"));
    CHECK(web_scraper::is_html("Text/HTML; charset=utf-8"));
    CHECK(web_scraper::is_html("application/xhtml+xml"));
    CHECK_FALSE(web_scraper::is_html("text/plain"));
    CHECK_FALSE(web_scraper::is_html("image/png; text/html"));
    CHECK_FALSE(web_scraper::is_html("text/html5"));
    CHECK_FALSE(web_scraper::is_html(""));
}
