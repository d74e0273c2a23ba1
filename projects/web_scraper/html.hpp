// The links of an HTML page.
//
// HTML cannot be read with regular expressions: a link inside a comment or a script is none,
// `&amp;` in one means `&`, and a quotation mark may be missing. libxml2 has a parser for HTML as
// it is found, with the tags closed that the author forgot to close. It calls back for each tag
// that begins and builds no tree here, so a page costs its own size in memory, and little more.
//
// Parsing keeps a processor busy: a page of 50 KB for a millisecond or two, one of 2 MiB that is
// made of links for a second. So the crawler does not do it on the loop.

#pragma once

#include "web_scraper/url.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace web_scraper {

// Whether a header's Content-Type says that it is HTML.
bool is_html(std::string_view content_type);

// What the `<a href>` of a page at `address` lead to, each once, in the order in which they come
// first.
// `<base href>` counts, where a page has one. What is no http or https URL, such as `mailto:`,
// is left out. The charset in `content_type` goes before what the page says about itself.
std::vector<url> links_in(std::string_view page, const url& address, std::string_view content_type);

}  // namespace web_scraper
