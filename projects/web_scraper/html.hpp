// The links of an HTML page.
//
// HTML cannot be read with regular expressions: a link inside a comment or a script is none,
// `&amp;` in one means `&`, and a quotation mark may be missing. libxml2 has a parser for HTML as
// it is found, with the tags closed that the author forgot to close. It calls back for each tag
// that begins and builds no tree here, so a page costs its own size in memory, and little more. (A
// page with NUL bytes is copied, with eight bytes for each.)
//
// Parsing keeps a processor busy: a page of 50 KB for a millisecond or two, one that is made of
// links for half a second. So the crawler does not do it on the loop.
//
// The limits below are on what takes longer. The last one is for what nobody can count from
// outside: libxml2 compares each attribute of a tag with those before it, so a tag of 2 MiB in
// attributes would take minutes, and it calls back when the tag is done. But it asks for the page
// piece by piece. Where a page has taken too long, there is no next piece.

#pragma once

#include "web_scraper/url.hpp"

#include <chrono>
#include <cstddef>
#include <string_view>
#include <vector>

namespace web_scraper {

// Whether a header's Content-Type says that it is HTML.
bool is_html(std::string_view content_type);

// So many `<a href>` of a page are read, the same one twice counted twice. At the next one the
// parser stops.
inline constexpr std::size_t most_links = 10'000;

// At an element that is within so many others the parser stops, too: for each tag that closes
// nothing it looks through all that are open. Pages that people write go a tenth as deep. (libxml2
// does not know `<wbr>` to be empty; one is open until what it is in ends.)
inline constexpr int deepest_element = 1000;

// So much time of a processor the parser may take for a page. Then it stops, too.
inline constexpr std::chrono::seconds longest_parsing{2};

struct page_links {
    std::vector<url> links;  // each once, in the order in which they come first
    bool all = true;         // false: the parser stopped at a limit, and there may be more
};

// What the `<a href>` of a page at `address` lead to. `<base href>` counts, where a page has one.
// What is no http or https URL, such as `mailto:`, is left out, and what is longer than one may be.
// The charset in `content_type` goes before what the page says about itself.
page_links links_in(std::string_view page, const url& address, std::string_view content_type);

}  // namespace web_scraper
