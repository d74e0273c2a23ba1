#include "web_scraper/url.hpp"

#include "api_client/url.hpp"
#include "web_scraper/text.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace urls = boost::urls;

namespace web_scraper {

namespace {

// Where the path begins: after `http://host:80`, `//host:80`, or at the front.
std::size_t path_in(std::string_view text)
{
    const auto scheme = text.find_first_of(":/?");
    const auto slashes = scheme != text.npos && text[scheme] == ':' ? scheme + 1 : 0;
    if (!text.substr(slashes).starts_with("//")) {
        return 0;
    }
    return std::min(text.find_first_of("/?", slashes + 2), text.size());
}

// An address as a browser reads it in a link: without space around it and line breaks in it,
// without the fragment, and with slashes where an author wrote backslashes. What may not stand
// where it does is escaped. Nothing, where it is too long: what follows takes time with the square
// of the length.
std::optional<std::string> mended(std::string_view text)
{
    text = trimmed(text);
    text = text.substr(0, text.find('#'));
    if (text.size() > longest_url) {
        return std::nullopt;
    }
    std::string plain;
    bool in_query = false;
    for (const char c : text) {
        in_query = in_query || c == '?';
        if (c == '\\' && !in_query) {
            plain += '/';
        } else if (c != '\t' && c != '\r' && c != '\n') {
            plain += c;
        }
    }
    plain = normalised_escapes(plain);
    http::escape_brackets(plain, path_in(plain));
    return plain;
}

std::uint16_t default_port(std::string_view scheme)
{
    return scheme == "http" ? 80 : 443;
}

// Letters, digits, and what else is in use; of an IPv6 address, which has its brackets, Boost.URL
// has seen to it.
bool is_host(std::string_view text)
{
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    return text.starts_with('[') ||
           (!text.empty() && text.find_first_not_of(letters) == std::string_view::npos);
}

}  // namespace

std::optional<url> url::parse(std::string_view text)
{
    const auto plain = mended(text);
    if (!plain) {
        return std::nullopt;
    }
    const auto parsed = urls::parse_uri(*plain);  // a view of it
    if (!parsed) {
        return std::nullopt;
    }
    urls::url parts(*parsed);
    parts.normalize();
    if ((parts.scheme() != "http" && parts.scheme() != "https") || !is_host(parts.encoded_host())) {
        return std::nullopt;
    }
    url result;
    result.scheme_ = parts.scheme();
    result.host_ = parts.host_address();
    result.port_ = default_port(result.scheme_);
    if (parts.has_port() && !parts.port().empty()) {
        result.port_ = parts.port_number();
        if (result.port_ == 0) {
            return std::nullopt;  // which is also what a number is that no port can have
        }
    }
    result.target_ = parts.encoded_target();
    http::drop_ways_up(result.target_);
    http::escape_brackets(result.target_);
    result.text_ = result.origin() + result.target_;
    if (result.text_.size() > longest_url) {
        return std::nullopt;  // escaped, it has grown
    }
    return result;
}

std::optional<url> url::resolve(std::string_view reference) const
{
    const auto plain = mended(reference);
    if (!plain) {
        return std::nullopt;
    }
    const auto parsed = urls::parse_uri_reference(*plain);
    urls::url whole(text_);
    if (!parsed || !whole.resolve(*parsed)) {
        return std::nullopt;
    }
    return parse(whole.buffer());
}

std::string url::name() const
{
    return host_.find(':') == host_.npos ? host_ : "[" + host_ + "]";
}

std::string url::name_with_port() const
{
    return fmt::format("{}:{}", name(), port_);
}

std::string url::origin() const
{
    return scheme_ + "://" + (port_ == default_port(scheme_) ? name() : name_with_port());
}

}  // namespace web_scraper
