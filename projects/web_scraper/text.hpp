// Small things about text that several parts need.
//
// The standard library's tolower() and isspace() ask the locale. A URL, a header and a robots.txt
// are read the same way everywhere, so these know ASCII and nothing else.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace web_scraper {

// ASCII letters in lower case; all other bytes as they are.
std::string lower_case(std::string_view text);

// Without the spaces, tabs, and ends of lines at both ends.
std::string_view trimmed(std::string_view text);

// Gives each byte of a URL one spelling: what RFC 3986 calls unreserved is written plainly, the hex
// digits of other %XX are in upper case, and what may not stand in a URL, such as a space or a byte
// beyond ASCII, becomes %XX. Reserved characters stay as they are, since `/` and `%2F` differ.
std::string normalised_escapes(std::string_view text);

// A server's word is shown up to this length, and `...` for the rest: a header may have 64 KiB.
inline constexpr std::size_t longest_shown = 500;

// What a server says about itself, fit to be shown: every byte that is no printable ASCII is a `?`.
// It could move the cursor of a terminal, or be no UTF-8.
std::string printable(std::string_view text);

}  // namespace web_scraper
