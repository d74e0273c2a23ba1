#include "web_scraper/robots.hpp"

#include "web_scraper/text.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <utility>

namespace web_scraper {

namespace {

// Splits at `separator`; without one, `text` is the first part.
std::pair<std::string_view, std::string_view> split(
    std::string_view text, std::string_view separator)
{
    const auto at = text.find_first_of(separator);
    if (at == std::string_view::npos) {
        return {text, {}};
    }
    return {text.substr(0, at), text.substr(at + 1)};
}

// Some write `web_scraper/1.0`, where the name is meant.
std::string name_in(std::string_view user_agent)
{
    const auto lower = lower_case(user_agent);
    if (lower.starts_with('*')) {
        return "*";
    }
    return lower.substr(0, lower.find_first_not_of("abcdefghijklmnopqrstuvwxyz_-"));
}

// A `*` or `$` that stands in a path is itself, and not a sign of a rule's. A rule that means the
// character has to escape it, so that is how it is compared.
std::string comparable(std::string_view target)
{
    std::string escaped;
    for (const char c : normalised_escapes(target)) {
        if (c == '*') {
            escaped += "%2A";
        } else if (c == '$') {
            escaped += "%24";
        } else {
            escaped += c;
        }
    }
    return escaped;
}

// Takes the pieces between the stars from left to right, each at its first place. Without a `$` the
// rest of the path may be anything. Needs no backtracking, so the time is at most the length of the
// path times that of the pattern. Both have limits.
bool matches(std::string_view pattern, std::string_view path)
{
    const bool to_the_end = pattern.ends_with('$');
    if (to_the_end) {
        pattern.remove_suffix(1);
    }
    const auto first_star = pattern.find('*');
    if (first_star == std::string_view::npos) {
        return to_the_end ? path == pattern : path.starts_with(pattern);
    }
    if (!path.starts_with(pattern.substr(0, first_star))) {
        return false;
    }
    path.remove_prefix(first_star);
    pattern.remove_prefix(first_star + 1);
    for (auto star = pattern.find('*'); star != std::string_view::npos; star = pattern.find('*')) {
        const auto piece = pattern.substr(0, star);
        const auto at = path.find(piece);
        if (at == std::string_view::npos) {
            return false;
        }
        path.remove_prefix(at + piece.size());
        pattern.remove_prefix(star + 1);
    }
    return to_the_end ? path.ends_with(pattern) : path.find(pattern) != std::string_view::npos;
}

std::optional<common::duration> seconds(std::string_view text)
{
    double number = 0;
    const auto end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stopped != end || !std::isfinite(number) || number < 0) {
        return std::nullopt;
    }
    const std::chrono::duration<double> delay(std::min(number, 86400.0));
    return std::chrono::duration_cast<common::duration>(delay);
}

}  // namespace

// A line `key: value`, with the key in lower case.
struct robots::record {
    std::string key;
    std::string_view value;
};

std::vector<robots::record> robots::records_in(std::string_view file)
{
    std::vector<record> records;
    file = file.substr(0, longest_file);
    if (file.starts_with("\xEF\xBB\xBF")) {
        file.remove_prefix(3);  // a byte order mark, as some editors write it
    }
    while (!file.empty()) {
        const auto [line, rest] = split(file, "\r\n");
        file = rest;
        const auto [before_colon, value] = split(split(line, "#").first, ":");
        auto key = lower_case(trimmed(before_colon));
        if (!key.empty()) {
            records.push_back({std::move(key), trimmed(value)});
        }
    }
    return records;
}

robots robots::parse(std::string_view file, std::string_view name)
{
    const auto our_name = lower_case(name);
    robots ours;
    robots everyones;
    bool names_us = false;        // the group in which this line is
    bool names_everyone = false;  // that one, too
    bool any_for_us = false;      // some group so far
    bool in_rules = true;         // the next User-agent begins a new group

    for (const auto& [key, value] : records_in(file)) {
        if (key == "user-agent") {
            if (std::exchange(in_rules, false)) {
                names_us = false;
                names_everyone = false;
            }
            const auto named = name_in(value);
            names_us = names_us || named == our_name;
            names_everyone = names_everyone || named == "*";
            any_for_us = any_for_us || names_us;
            continue;
        }
        const bool is_rule = key == "allow" || key == "disallow";
        in_rules = in_rules || is_rule;  // other lines, such as Sitemap, end no list of names
        for (auto* const group :
             {names_us ? &ours : nullptr, names_everyone ? &everyones : nullptr}) {
            if (group == nullptr) {
                continue;
            }
            if (is_rule && !value.empty()) {
                group->add({normalised_escapes(value), key == "allow"});
            } else if (const auto delay = seconds(value); delay && key == "crawl-delay") {
                group->crawl_delay_ = std::max(group->crawl_delay_.value_or(*delay), *delay);
            }
        }
    }
    auto& chosen = any_for_us ? ours : everyones;
    if (chosen.too_much_) {
        chosen.rules_ = allow_nothing().rules_;
    }
    return chosen;
}

void robots::add(rule next)
{
    if (rules_.size() < most_rules && next.pattern.size() <= longest_pattern) {
        rules_.push_back(std::move(next));
    } else {
        too_much_ = true;
    }
}

robots robots::allow_nothing()
{
    robots nothing;
    nothing.rules_.push_back({"/", false});
    return nothing;
}

bool robots::allows(std::string_view target) const
{
    if (target == "/robots.txt") {
        return true;
    }
    const auto path = comparable(target);
    const rule* decides = nullptr;
    for (const auto& each : rules_) {
        const bool stronger = decides == nullptr || each.pattern.size() > decides->pattern.size() ||
                              (each.pattern.size() == decides->pattern.size() && each.allows);
        if (stronger && matches(each.pattern, path)) {
            decides = &each;
        }
    }
    return decides == nullptr || decides->allows;
}

}  // namespace web_scraper
