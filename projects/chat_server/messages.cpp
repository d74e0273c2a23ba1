#include "chat_server/messages.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/json/value_from.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace json = boost::json;

namespace chat {

namespace {

[[noreturn]] void refuse(const std::string& text)
{
    throw refusal("bad_message", text);
}

json::object parse_object(std::string_view text)
{
    boost::system::error_code error;
    json::parse_options strict;  // no comments, no trailing commas, and UTF-8 only
    strict.max_depth = 2;
    auto value = json::parse(text, error, {}, strict);
    if (error || !value.is_object()) {
        refuse("that is no JSON object");
    }
    return std::move(value.get_object());
}

// The fields of a wish, each taken once. What is left over at the end is a mistake.
class fields {
public:
    explicit fields(json::object all) : all_(std::move(all)) {}

    std::string take(std::string_view name)
    {
        const auto field = all_.find(name);
        if (field == all_.end() || !field->value().is_string()) {
            refuse("the field '" + std::string(name) + "' must be a string");
        }
        std::string text(std::string_view(field->value().get_string()));
        all_.erase(field);
        return text;
    }

    void end() const
    {
        if (!all_.empty()) {
            refuse("there is a field that does not belong there");
        }
    }

private:
    json::object all_;
};

wish read_wish(const std::string& what, fields& given)
{
    if (what == "name") {
        return introduce{given.take("nick")};
    }
    if (what == "join") {
        return join{given.take("room")};
    }
    if (what == "leave") {
        return leave{given.take("room")};
    }
    if (what == "say") {
        return say{given.take("room"), given.take("text")};
    }
    if (what == "tell") {
        return tell{given.take("nick"), given.take("text")};
    }
    refuse("'do' must be name, join, leave, say or tell");
}

std::int64_t milliseconds_since_1970()
{
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

message event(const json::object& fields)
{
    return std::make_shared<const std::string>(json::serialize(fields) + '\n');
}

}  // namespace

wish parse_wish(std::string_view text)
{
    fields given(parse_object(text));
    const auto what = given.take("do");
    auto parsed = read_wish(what, given);
    given.end();
    return parsed;
}

bool is_name(std::string_view text, std::size_t longest)
{
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    };
    return !text.empty() && text.size() <= longest &&
           std::all_of(text.begin(), text.end(), allowed);
}

bool is_text(std::string_view text, std::size_t longest)
{
    const auto control = [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
    };
    return text.size() <= longest && text.find_first_not_of(" \t\n") != std::string_view::npos &&
           std::none_of(text.begin(), text.end(), control);
}

message welcome(std::string_view nick)
{
    return event({{"event", "welcome"}, {"nick", nick}});
}

message joined(std::string_view room, const std::vector<std::string>& people, std::size_t history)
{
    return event(
        {{"event", "joined"},
         {"room", room},
         {"people", json::value_from(people)},
         {"history", history}});
}

message entered(std::string_view room, std::string_view nick)
{
    return event({{"event", "entered"}, {"room", room}, {"nick", nick}});
}

message left(std::string_view room, std::string_view nick)
{
    return event({{"event", "left"}, {"room", room}, {"nick", nick}});
}

message said(std::string_view room, std::string_view nick, std::string_view text)
{
    return event(
        {{"event", "said"},
         {"room", room},
         {"nick", nick},
         {"text", text},
         {"at", milliseconds_since_1970()}});
}

message told(std::string_view from, std::string_view to, std::string_view text)
{
    return event(
        {{"event", "told"},
         {"from", from},
         {"to", to},
         {"text", text},
         {"at", milliseconds_since_1970()}});
}

message refused(const refusal& why)
{
    return event({{"event", "refused"}, {"reason", why.reason()}, {"text", why.what()}});
}

}  // namespace chat
