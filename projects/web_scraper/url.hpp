// A web address in one spelling, so that two spellings of a page are one page.
//
// `HTTP://Example.org:80/a/../b/%7Ejoe#top` and `http://example.org/b/~joe` ask the same server for
// the same thing. RFC 3986, section 6, says what may be made equal without asking: the case of
// scheme and host, the port that is the scheme's own, `.` and `..` in the path, %XX where the plain
// letter would do; and the fragment, which is never sent. An empty path is `/`. What only a
// server can know stays apart: `/b` and `/b/`, `?x=1&y=2` and `?y=2&x=1`.
//
// Boost.URL parses and resolves, and is strict about it. Authors are not, and browsers forgive
// them; so what browsers forgive is mended first: spaces around and in an address, line breaks,
// backslashes, brackets, letters beyond ASCII. And unlike http::url of api_client, with which pages
// are fetched, this one knows https: pages link there, and the link graph has it.

#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace web_scraper {

// Longer addresses are none. A relative link has its page's address before it, so without a limit
// a small page with a long `<base href>` fills the memory. Sitemaps allow no more either.
inline constexpr std::size_t longest_url = 2048;

class url {
public:
    // From an absolute address. Nothing, where it is no http or https URL with a host, or longer
    // than longest_url, the fragment not counted. A name and password before the host are dropped:
    // a crawler logs in nowhere.
    static std::optional<url> parse(std::string_view text);

    // What `reference`, such as `../b`, means in a document at this address. Nothing, as above; the
    // limit holds for the reference and for the result.
    std::optional<url> resolve(std::string_view reference) const;

    const std::string& text() const { return text_; }
    const std::string& scheme() const { return scheme_; }

    // In lower case; an IPv6 address without its brackets.
    const std::string& host() const { return host_; }
    std::uint16_t port() const { return port_; }

    // The host as it stands in an address, an IPv6 address with its brackets; and with the port
    // behind it, also where that is the scheme's own: `example.org:80`.
    std::string name() const;
    std::string name_with_port() const;

    // `http://example.org:8080`. robots.txt and the limits on rate are one for each origin.
    std::string origin() const;

    // `/b/~joe?x=1`: what is sent to the server.
    const std::string& target() const { return target_; }

    bool operator==(const url& other) const { return text_ == other.text_; }
    std::strong_ordering operator<=>(const url& other) const { return text_ <=> other.text_; }

private:
    url() = default;

    std::string text_;
    std::string scheme_;
    std::string host_;
    std::uint16_t port_ = 0;
    std::string target_;
};

}  // namespace web_scraper
