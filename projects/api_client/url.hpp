// A URL, taken apart: where to connect, what to ask for there.
//
// Boost.URL parses, and follows RFC 3986: it knows where the host ends and the port begins, and
// what `../b?page=2` means on a page called /a/c. What is added here is what a client for http://
// wants on top. The URL is absolute, it names a host, and it is normalised, so that two spellings
// of the same URL are the same string: the scheme and the host are in lower case, `/a/../b` is
// `/b`, the default port is left out, an empty path is `/`, and there is no fragment, which is
// never sent.

#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace http {

// What a request asks for begins with a slash, and from the top there is no way up. Boost.URL
// leaves
// `/../a` as it is; RFC 3986, 5.2.4, drops the dots.
void drop_ways_up(std::string& target);

// From that place on. In a URL they may stand around an IPv6 address and nowhere else, and a server
// may refuse them. Newer versions of Boost.URL take their escapes away from a query.
void escape_brackets(std::string& text, std::size_t from = 0);

// The text is no URL, or none that can be fetched. what() says why.
class bad_url : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// It is a URL, but of another scheme than http: https, mailto and so on.
class unsupported_scheme : public bad_url {
public:
    using bad_url::bad_url;
};

class url {
public:
    // An absolute URL: "http://example.org/a?b". Throws bad_url.
    explicit url(std::string_view text);

    // What a reference on this page leads to: "page/2", "/a", "?b", "//other.org/", or another
    // absolute URL. Throws bad_url.
    url resolve(std::string_view reference) const;

    // The whole URL, normalised.
    const std::string& text() const { return text_; }

    // A name, or an address; an IPv6 address is without its brackets.
    const std::string& host() const { return host_; }
    unsigned short port() const { return port_; }

    // What the field Host says: the host, and the port if it is not 80.
    const std::string& authority() const { return authority_; }

    // What the first line of a request says: the path and the query.
    const std::string& target() const { return target_; }

    friend bool operator==(const url& one, const url& other) { return one.text_ == other.text_; }
    friend bool operator<(const url& one, const url& other) { return one.text_ < other.text_; }

private:
    std::string text_;
    std::string host_;
    unsigned short port_ = 80;
    std::string authority_;
    std::string target_;
};

}  // namespace http
