// The site as far as it is known: pages, links between them, and what became of each.
//
// A page is in here as soon as somebody links to it, visited or not, and once. It has a number,
// which is its place in the order of discovery, and the links are pairs of numbers. So the link
// graph needs no pointers, and a page is never copied.
//
// A redirect is a link of its own kind: each page has at most one, so redirects make chains. A
// crawler need not follow them one after the other; every page on the way is visited like any
// other, and once, whoever leads there. Where a chain ends, and that one goes round in a circle, is
// read off the graph when all is done: `trouble_with` does it.

#pragma once

#include "web_scraper/url.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace web_scraper {

using page_number = std::size_t;

enum class state {
    known,               // somebody links to it, and it was not asked for: the crawl ended before
    fetched,             // 2xx
    redirected,          // 3xx, with the address of another page
    failed,              // any other status
    unreachable,         // no answer, or not a whole one, or not in time
    too_large,           // longer than the limit on a page
    disallowed,          // robots.txt
    elsewhere,           // on a host where this crawl does not go
    too_deep,            // more links away from the start than the limit
    too_many_redirects,  // only reached by more redirects in a row than the limit
};

// "too deep", and so on.
std::string_view name_of(state what);

// Every state, in the order above.
const std::vector<state>& all_states();

// Of depth and redirects: not known to lead there.
inline constexpr int unknown = std::numeric_limits<int>::max();

struct page {
    explicit page(url where) : address(std::move(where)) {}

    const url address;
    state is = state::known;
    int depth = unknown;      // how many links away from the start, by the shortest way known
    int redirects = unknown;  // how many in a row lead here, at least
    int status = 0;           // of the answer; 0 where there is none
    std::string detail;       // what is to be said about the state, or ""
    std::string content_type;
    std::size_t bytes = 0;  // of the body

    std::vector<page_number> links;          // each once, in the page's order
    std::optional<page_number> redirect_to;  // its own number, too, can be here
    std::vector<page_number> linked_from;    // and not by redirect
};

class site {
public:
    // The number of the page at this address, which is new where nobody has named it before.
    page_number add(const url& address);

    // The number of the page at this address, where somebody has named it.
    std::optional<page_number> find(const url& address) const;

    // Says that a page links to another one, or redirects there.
    void add_link(page_number from, page_number to);
    void add_redirect(page_number from, page_number to);

    // A reference holds for as long as the site.
    page& operator[](page_number number) { return pages_.at(number); }
    const page& operator[](page_number number) const { return pages_.at(number); }
    std::size_t size() const { return pages_.size(); }
    auto begin() const { return pages_.begin(); }
    auto end() const { return pages_.end(); }

    // How many pages are in that state.
    std::size_t count(state what) const;

    // Why a link to this page is broken: it fails itself, or it leads to one that does, or to
    // nowhere, by redirects. Nothing, where it is well, or nobody knows.
    std::optional<std::string> trouble_with(page_number number, int most_redirects) const;

private:
    std::deque<page> pages_;
    std::map<url, page_number> numbers_;
};

}  // namespace web_scraper
