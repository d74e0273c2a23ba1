// The link graph in the language of GraphViz, for `dot -Tsvg` and `sfdp -Tsvg` to draw.
//
// A node is a page, an arrow a link, and a dashed arrow a redirect. Broken pages are red, those
// that were not visited grey. A node's label is the page's address: somebody else's text, in which
// a quotation mark would end the string and a backslash begin an escape. So both get a backslash
// before them, and a node is named by its number.

#pragma once

#include "web_scraper/files.hpp"
#include "web_scraper/site.hpp"

#include <string>
#include <string_view>

namespace web_scraper {

// A text as a string of the DOT language, with its quotation marks.
std::string dot_string(std::string_view text);

void to_dot(const site& whole, int most_redirects, const text_sink& out);

}  // namespace web_scraper
