#include "web_scraper/site.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

namespace web_scraper {

namespace {

// What is wrong with a page, redirects aside.
std::optional<std::string> own_trouble(const page& it, int most_redirects)
{
    switch (it.is) {
        case state::failed:
        case state::unreachable:
            return it.detail;
        case state::too_many_redirects:
            return fmt::format("more than {} redirects in a row", most_redirects);
        default:
            return std::nullopt;
    }
}

}  // namespace

std::string_view name_of(state what)
{
    switch (what) {
        case state::known:
            return "not visited";
        case state::fetched:
            return "fetched";
        case state::redirected:
            return "redirected";
        case state::failed:
            return "failed";
        case state::unreachable:
            return "unreachable";
        case state::too_large:
            return "too large";
        case state::disallowed:
            return "disallowed";
        case state::elsewhere:
            return "elsewhere";
        case state::too_deep:
            return "too deep";
        case state::too_many_redirects:
            return "too many redirects";
    }
    throw std::invalid_argument("no state of a page");
}

const std::vector<state>& all_states()
{
    static const std::vector<state> states = {
        state::known,       state::fetched,           state::redirected, state::failed,
        state::unreachable, state::too_large,         state::disallowed, state::elsewhere,
        state::too_deep,    state::too_many_redirects};
    return states;
}

page_number site::add(const url& address)
{
    const auto [entry, is_new] = numbers_.try_emplace(address, pages_.size());
    if (is_new) {
        pages_.emplace_back(address);
    }
    return entry->second;
}

std::optional<page_number> site::find(const url& address) const
{
    const auto entry = numbers_.find(address);
    return entry == numbers_.end() ? std::nullopt : std::optional(entry->second);
}

void site::add_link(page_number from, page_number to)
{
    pages_.at(from).links.push_back(to);
    pages_.at(to).linked_from.push_back(from);
}

void site::add_redirect(page_number from, page_number to)
{
    pages_.at(from).redirect_to = to;
}

std::size_t site::count(state what) const
{
    const auto is_so = [what](const page& each) { return each.is == what; };
    return static_cast<std::size_t>(std::count_if(pages_.begin(), pages_.end(), is_so));
}

std::optional<std::string> site::trouble_with(page_number number, int most_redirects) const
{
    std::vector<page_number> way{number};
    while (const auto next = (*this)[way.back()].redirect_to) {
        if (std::find(way.begin(), way.end(), *next) != way.end()) {
            return fmt::format("redirects in a circle, by {}", (*this)[*next].address.text());
        }
        if (static_cast<int>(way.size()) > most_redirects) {
            return fmt::format("more than {} redirects in a row", most_redirects);
        }
        way.push_back(*next);
    }
    const auto& last = (*this)[way.back()];
    const auto trouble = own_trouble(last, most_redirects);
    if (!trouble || way.size() == 1) {
        return trouble;
    }
    return fmt::format("redirects to {}: {}", last.address.text(), *trouble);
}

}  // namespace web_scraper
