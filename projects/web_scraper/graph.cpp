#include "web_scraper/graph.hpp"

#include <fmt/format.h>

namespace web_scraper {

namespace {

std::string_view colour_of(const site& whole, page_number number, int most_redirects)
{
    if (whole.trouble_with(number, most_redirects)) {
        return "red";
    }
    const auto is = whole[number].is;
    return is == state::fetched || is == state::redirected ? "black" : "grey";
}

}  // namespace

std::string dot_string(std::string_view text)
{
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            quoted += '\\';
        }
        quoted += c;
    }
    return quoted + '"';
}

void to_dot(const site& whole, int most_redirects, const text_sink& out)
{
    out("digraph site {\n    node [shape=box];\n");
    for (page_number number = 0; number < whole.size(); ++number) {
        out(fmt::format(
            "    n{} [label={}, color={}];\n", number, dot_string(whole[number].address.text()),
            colour_of(whole, number, most_redirects)));
    }
    for (page_number number = 0; number < whole.size(); ++number) {
        const auto& page = whole[number];
        for (const auto link : page.links) {
            out(fmt::format("    n{} -> n{};\n", number, link));
        }
        if (page.redirect_to) {
            out(fmt::format("    n{} -> n{} [style=dashed];\n", number, *page.redirect_to));
        }
    }
    out("}\n");
}

}  // namespace web_scraper
