#include "api_client/url.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>
#include <boost/url/url_view.hpp>

#include <fmt/format.h>

namespace urls = boost::urls;

namespace http {

void drop_ways_up(std::string& target)
{
    constexpr std::string_view up = "/..";
    while (target.starts_with(up) &&
           (target.size() == up.size() || target[up.size()] == '/' || target[up.size()] == '?')) {
        target.erase(0, up.size());
    }
    if (!target.starts_with('/')) {
        target.insert(0, "/");
    }
}

void escape_brackets(std::string& text, std::size_t from)
{
    for (auto at = from; (at = text.find_first_of("[]", at)) != text.npos; at += 3) {
        text.replace(at, 1, text[at] == '[' ? "%5B" : "%5D");
    }
}

url::url(std::string_view text)
{
    const auto parsed = urls::parse_uri(text);
    if (!parsed) {
        throw bad_url(fmt::format("'{}' is not an absolute URL", text));
    }
    urls::url whole(*parsed);
    whole.normalize();
    if (whole.scheme() == "https") {
        throw unsupported_scheme(
            fmt::format("'{}': https is not supported, there is no TLS here; use http", text));
    }
    if (whole.scheme() != "http") {
        throw unsupported_scheme(fmt::format(
            "'{}': the scheme {} is not supported; use http", text,
            std::string_view(whole.scheme())));
    }
    if (whole.has_userinfo()) {
        throw bad_url("a URL with a user name in it is not supported; send a header instead");
    }
    if (whole.encoded_host().empty()) {
        throw bad_url(fmt::format("'{}' names no host", text));
    }
    if (whole.has_port() && !whole.port().empty()) {
        port_ = whole.port_number();  // 0 for one that is beyond 65535
        if (port_ == 0) {
            throw bad_url(fmt::format("'{}' has no port from 1 to 65535", text));
        }
    }
    if (port_ == 80) {
        whole.remove_port();
    }

    host_ = whole.host_address();
    authority_ = std::string_view(whole.encoded_host_and_port());
    target_ = std::string_view(whole.encoded_target());
    drop_ways_up(target_);
    escape_brackets(target_);
    text_ = "http://" + authority_ + target_;
}

url url::resolve(std::string_view reference) const
{
    const auto parsed = urls::parse_uri_reference(reference);
    if (!parsed) {
        throw bad_url(fmt::format("'{}' is not a URL", reference));
    }
    urls::url target;
    const auto resolved = urls::resolve(urls::url_view(text_), *parsed, target);
    if (!resolved) {
        throw bad_url(fmt::format("'{}' leads nowhere from {}", reference, text_));
    }
    return url(target.buffer());
}

}  // namespace http
