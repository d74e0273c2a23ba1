#include "api_client/link_header.hpp"

#include <boost/beast/core/string.hpp>

#include <algorithm>

namespace api {

namespace {

// Takes the text apart from its front.
class reader {
public:
    explicit reader(std::string_view text) : rest_(text) { skip_spaces(); }

    bool at_end() const { return rest_.empty(); }

    // Goes past the character, and the spaces after it, if it comes next.
    bool take(char expected)
    {
        if (rest_.empty() || rest_.front() != expected) {
            return false;
        }
        rest_.remove_prefix(1);
        skip_spaces();
        return true;
    }

    // What comes before the first of these characters, or the end.
    std::string_view take_until(std::string_view stops)
    {
        const auto size = std::min(rest_.find_first_of(stops), rest_.size());
        auto taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        taken = taken.substr(0, taken.find_last_not_of(" \t") + 1);
        return taken;
    }

    // `"text"`, in which `\` goes before a character that is meant, or a bare word.
    std::string take_value()
    {
        if (rest_.empty() || rest_.front() != '"') {
            return std::string(take_until(";,"));
        }
        rest_.remove_prefix(1);
        std::string value;
        while (!rest_.empty() && rest_.front() != '"') {
            if (rest_.front() == '\\' && rest_.size() > 1) {
                rest_.remove_prefix(1);
            }
            value += rest_.front();
            rest_.remove_prefix(1);
        }
        take('"');
        return value;
    }

private:
    void skip_spaces()
    {
        rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
    }

    std::string_view rest_;
};

// Relations are words with spaces between them.
bool has_word(std::string_view words, std::string_view wanted)
{
    reader text(words);
    while (!text.at_end()) {
        if (boost::beast::iequals(text.take_until(" "), wanted)) {
            return true;
        }
        text.take(' ');
    }
    return false;
}

}  // namespace

std::optional<std::string> linked(std::string_view header, std::string_view relation)
{
    reader text(header);
    while (!text.at_end()) {
        if (!text.take('<')) {
            return std::nullopt;
        }
        const std::string target(text.take_until(">"));
        if (!text.take('>')) {
            return std::nullopt;
        }
        bool matches = false;
        while (text.take(';')) {
            const auto name = text.take_until("=;,");
            const auto value = text.take('=') ? text.take_value() : std::string();
            matches = matches || (boost::beast::iequals(name, "rel") && has_word(value, relation));
        }
        if (matches) {
            return target;
        }
        if (!text.take(',') && !text.at_end()) {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace api
