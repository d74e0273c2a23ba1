// The report on a crawl: for people as HTML, for programs as JSON.
//
// Both say the same. What comes first is why one looks: the broken links, each with the pages on
// which it was found, since that is where it has to be mended. Then all pages.
//
// An address may have 2048 characters and be written once for each link, so a report can be a
// hundred times as large as the site in memory. It goes part by part to where it is wanted, and is
// in memory nowhere. How large it becomes is bounded by the limits on what is known: see
// limits::link_bytes.

#pragma once

#include "web_scraper/crawl.hpp"
#include "web_scraper/files.hpp"
#include "web_scraper/site.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace web_scraper {

// What there is to know of a crawl besides the site.
struct crawl_facts {
    ending ended = ending::finished;
    double seconds = 0;
    std::size_t bytes = 0;
    std::size_t left_out = 0;  // links that are not in the site, by the limits on what is known
    int most_redirects = 0;
};

// "finished", "stopped at the limit on pages", and so on.
std::string_view name_of(ending how);

struct broken_link {
    page_number page;
    std::string reason;
    std::vector<page_number> found_on;  // empty for the start, which nobody has linked to
};

// The pages that are linked to and cannot be had, in the order of their discovery. The start
// counts, linked to or not. What only a broken redirect leads to is part of that one's reason.
std::vector<broken_link> broken_links(const site& whole, int most_redirects);

// A text as it may stand between the tags of an HTML page, and in a value within quotation marks.
std::string html_text(std::string_view text);

// Of the pages on which a broken link was found so many are written, and how many more there are.
inline constexpr std::size_t most_found_on = 100;

void to_html(const site& whole, const crawl_facts& facts, const text_sink& out);
void to_json(const site& whole, const crawl_facts& facts, const text_sink& out);

}  // namespace web_scraper
