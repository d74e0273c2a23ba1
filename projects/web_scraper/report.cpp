#include "web_scraper/report.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <stdexcept>
#include <utility>

namespace json = boost::json;

namespace web_scraper {

namespace {

constexpr std::string_view head = R"(<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Links of {0}</title>
<style>
body {{ font-family: sans-serif; margin: 2em; }}
table {{ border-collapse: collapse; }}
td, th {{ border: 1px solid #ccc; padding: 0.3em 0.6em; text-align: left; vertical-align: top; }}
</style>
<h1>Links of {0}</h1>
<p>The crawl {1}, after {2:.2f} s and {3} bytes.</p>
)";

// What is shown of an address; the link itself has all of it.
constexpr std::size_t longest_label = 200;

std::string anchor(const page& what)
{
    const std::string_view address = what.address.text();
    return fmt::format(
        R"(<a href="{}">{}{}</a>)", html_text(address), html_text(address.substr(0, longest_label)),
        address.size() > longest_label ? "..." : "");
}

// The pages on which a broken link was found that are written.
std::span<const page_number> shown(const std::vector<page_number>& found_on)
{
    return std::span(found_on).first(std::min(found_on.size(), most_found_on));
}

json::object summary(const site& whole)
{
    json::object counts;
    for (const auto each : all_states()) {
        if (const auto count = whole.count(each); count > 0) {
            counts[name_of(each)] = count;
        }
    }
    return counts;
}

json::object json_broken(const site& whole, const broken_link& what)
{
    json::array found_on;
    for (const auto from : shown(what.found_on)) {
        found_on.push_back(json::string(whole[from].address.text()));
    }
    json::object entry;
    entry["url"] = whole[what.page].address.text();
    entry["reason"] = what.reason;
    entry["found_on"] = std::move(found_on);
    if (what.found_on.size() > most_found_on) {
        entry["found_on_more"] = what.found_on.size() - most_found_on;
    }
    return entry;
}

json::object json_page(const site& whole, const page& what)
{
    json::object entry;
    entry["url"] = what.address.text();
    entry["state"] = name_of(what.is);
    entry["depth"] = what.depth;
    if (what.status != 0) {
        entry["status"] = what.status;
        entry["content_type"] = what.content_type;
        entry["bytes"] = what.bytes;
    }
    if (!what.detail.empty()) {
        entry["detail"] = what.detail;
    }
    if (what.redirect_to) {
        entry["redirects_to"] = whole[*what.redirect_to].address.text();
    }
    json::array links;
    for (const auto link : what.links) {
        links.push_back(json::string(whole[link].address.text()));
    }
    entry["links"] = std::move(links);
    return entry;
}

}  // namespace

std::string_view name_of(ending how)
{
    switch (how) {
        case ending::finished:
            return "finished";
        case ending::page_limit:
            return "stopped at the limit on pages";
        case ending::byte_limit:
            return "stopped at the limit on bytes";
        case ending::interrupted:
            return "was interrupted";
    }
    throw std::invalid_argument("no ending of a crawl");
}

std::vector<broken_link> broken_links(const site& whole, int most_redirects)
{
    std::vector<broken_link> broken;
    for (page_number number = 0; number < whole.size(); ++number) {
        const auto& found_on = whole[number].linked_from;
        if (!found_on.empty() || number == 0) {
            if (auto reason = whole.trouble_with(number, most_redirects)) {
                broken.push_back(broken_link{number, std::move(*reason), found_on});
            }
        }
    }
    return broken;
}

std::string html_text(std::string_view text)
{
    std::string escaped;
    for (const char c : text) {
        switch (c) {
            case '&':
                escaped += "&amp;";
                break;
            case '<':
                escaped += "&lt;";
                break;
            case '>':
                escaped += "&gt;";
                break;
            case '"':
                escaped += "&quot;";
                break;
            case '\'':
                escaped += "&#39;";
                break;
            default:
                escaped += c;
        }
    }
    return escaped;
}

void to_html(const site& whole, const crawl_facts& facts, const text_sink& out)
{
    const auto start = whole.size() == 0 ? std::string() : html_text(whole[0].address.text());
    out(fmt::format(head, start, name_of(facts.ended), facts.seconds, facts.bytes));
    if (facts.left_out > 0) {
        out(fmt::format("<p>Not all is in here: {} links are left out.</p>\n", facts.left_out));
    }
    out("<table>\n");
    for (const auto each : all_states()) {
        if (const auto count = whole.count(each); count > 0) {
            out(fmt::format("<tr><td>{}<td>{}\n", name_of(each), count));
        }
    }
    out("</table>\n");

    const auto broken = broken_links(whole, facts.most_redirects);
    out(fmt::format("<h2>Broken links: {}</h2>\n", broken.size()));
    out("<table>\n<tr><th>Link<th>What is wrong<th>Found on\n");
    for (const auto& [number, reason, found_on] : broken) {
        out(fmt::format("<tr><td>{}<td>{}<td>", anchor(whole[number]), html_text(reason)));
        for (const auto from : shown(found_on)) {
            out(anchor(whole[from]) + "<br>\n");
        }
        if (found_on.size() > most_found_on) {
            out(fmt::format("and {} more\n", found_on.size() - most_found_on));
        }
        out(found_on.empty() ? "the command line\n" : "");
    }
    out("</table>\n");

    out("<h2>Pages</h2>\n<table>\n<tr><th>Page<th>State<th>Status<th>Depth<th>Bytes<th>Links\n");
    for (const auto& each : whole) {
        out(fmt::format(
            "<tr><td>{}<td>{}{}<td>{}<td>{}<td>{}<td>{}\n", anchor(each), name_of(each.is),
            each.detail.empty() ? "" : ": " + html_text(each.detail),
            each.status == 0 ? "none" : std::to_string(each.status), each.depth, each.bytes,
            each.links.size()));
    }
    out("</table>\n");
}

// The two long lists are written entry by entry, and the object around them by hand.
void to_json(const site& whole, const crawl_facts& facts, const text_sink& out)
{
    json::object report;
    report["start"] = whole.size() == 0 ? std::string() : whole[0].address.text();
    report["crawl"] = name_of(facts.ended);
    report["seconds"] = facts.seconds;
    report["bytes"] = facts.bytes;
    report["links_left_out"] = facts.left_out;
    report["summary"] = summary(whole);
    auto begin = json::serialize(report);
    begin.pop_back();  // the brace that closes it
    out(begin);

    out(",\"broken\":[");
    std::string_view comma;
    for (const auto& each : broken_links(whole, facts.most_redirects)) {
        out(comma);
        out(json::serialize(json_broken(whole, each)));
        comma = ",";
    }
    out("],\"pages\":[");
    comma = "";
    for (const auto& each : whole) {
        out(comma);
        out(json::serialize(json_page(whole, each)));
        comma = ",";
    }
    out("]}\n");
}

}  // namespace web_scraper
