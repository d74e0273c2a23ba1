// robots.txt: what a site asks of programs that go through it. RFC 9309.
//
// The file is a row of groups. A group begins with the names of those whom it concerns, and has
// rules: which paths they may ask for, and which not.
//
//     User-agent: *
//     Disallow: /private/
//     Allow: /private/welcome$
//
// A crawler looks for the groups that name it, else for those of `*`; several groups for one name
// count as one. Of the rules that match a path the longest decides, not the first; of two as long
// the one that allows. `*` in a rule stands for any characters, and `$` at its end for the end of
// the path. Crawl-delay is in no standard, but sites that write it mean it.
//
// What the answer to the request for the file says comes before all that. The file is there: its
// rules hold. The server says that there is none, 4xx: everything is allowed. The server fails,
// 5xx, or cannot be reached: nothing is, since what it would have forbidden is not known.

#pragma once

#include "common/clock.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace web_scraper {

class robots {
public:
    // Everything is allowed.
    robots() = default;

    // The rules that a file has for the crawler of this name. What cannot be read in it is skipped,
    // and so is what comes after its first 500 KiB. Where the rules are too many, or one is too
    // long, nothing is allowed: those left out could be the ones that forbid.
    static robots parse(std::string_view file, std::string_view name);

    static robots allow_nothing();

    // Whether a URL's target, such as `/a?b=1`, may be asked for. robots.txt itself always may.
    bool allows(std::string_view target) const;

    // Whether nothing is allowed because the rules were too many, or one too long.
    bool is_too_much() const { return too_much_; }

    // The shortest time between two requests that the site asks for. At most a day.
    std::optional<common::duration> crawl_delay() const { return crawl_delay_; }

    // The RFC demands that at least so much of a file is read.
    static constexpr std::size_t longest_file = 500 * 1024;

    // Each page is compared with every rule, so these bound what a page costs: about a tenth of a
    // second at the worst. Files that people write have tens of rules.
    static constexpr std::size_t most_rules = 5000;
    static constexpr std::size_t longest_pattern = 2048;  // as long as a URL

private:
    struct rule {
        std::string pattern;
        bool allows;
    };

    struct record;
    static std::vector<record> records_in(std::string_view file);

    void add(rule next);

    std::vector<rule> rules_;
    std::optional<common::duration> crawl_delay_;
    bool too_much_ = false;
};

}  // namespace web_scraper
