#include "web_scraper/graph.hpp"

#include <fmt/format.h>

#include <iterator>

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

std::string to_dot(const site& whole, int most_redirects)
{
    std::string dot = "digraph site {\n    node [shape=box];\n";
    const auto out = std::back_inserter(dot);
    for (page_number number = 0; number < whole.size(); ++number) {
        fmt::format_to(
            out, "    n{} [label={}, color={}];\n", number,
            dot_string(whole[number].address.text()), colour_of(whole, number, most_redirects));
    }
    for (page_number number = 0; number < whole.size(); ++number) {
        const auto& page = whole[number];
        for (const auto link : page.links) {
            fmt::format_to(out, "    n{} -> n{};\n", number, link);
        }
        if (page.redirect_to) {
            fmt::format_to(out, "    n{} -> n{} [style=dashed];\n", number, *page.redirect_to);
        }
    }
    return dot + "}\n";
}

}  // namespace web_scraper
