#include "web_scraper/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>

namespace web_scraper {

namespace {

bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_unreserved(char c)
{
    return is_letter_or_digit(c) || std::string_view("-._~").find(c) != std::string_view::npos;
}

bool is_reserved(char c)
{
    return std::string_view(":/?#[]@!$&'()*+,;=").find(c) != std::string_view::npos;
}

std::optional<int> hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return std::nullopt;
}

// The byte that a %XX at the front of `text` stands for.
std::optional<char> escaped_byte(std::string_view text)
{
    if (text.size() < 3 || text[0] != '%') {
        return std::nullopt;
    }
    const auto high = hex_digit(text[1]);
    const auto low = hex_digit(text[2]);
    if (!high || !low) {
        return std::nullopt;
    }
    return static_cast<char>(*high * 16 + *low);
}

}  // namespace

std::string lower_case(std::string_view text)
{
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return lower;
}

std::string_view trimmed(std::string_view text)
{
    constexpr std::string_view space = " \t\r\n\f";
    const auto first = text.find_first_not_of(space);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(space) - first + 1);
}

std::string normalised_escapes(std::string_view text)
{
    std::string normal;
    const auto escape = [&normal](char byte) {
        fmt::format_to(std::back_inserter(normal), "%{:02X}", static_cast<unsigned char>(byte));
    };
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (const auto byte = escaped_byte(text.substr(at))) {
            at += 2;
            if (is_unreserved(*byte)) {
                normal += *byte;
            } else {
                escape(*byte);
            }
        } else if (is_unreserved(text[at]) || is_reserved(text[at])) {
            normal += text[at];
        } else {
            escape(text[at]);  // also a % that begins no %XX
        }
    }
    return normal;
}

std::string printable(std::string_view text)
{
    std::string plain(text.substr(0, longest_shown));
    std::replace_if(plain.begin(), plain.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    return text.size() > longest_shown ? plain + "..." : plain;
}

}  // namespace web_scraper
