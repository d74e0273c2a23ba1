// What clients and server say to each other: JSON objects, in WebSocket messages.
//
// A client asks, with "do", one thing to a message:
//
//     {"do": "name", "nick": "Ada"}                    first of all, and once
//     {"do": "join", "room": "tea"}
//     {"do": "leave", "room": "tea"}
//     {"do": "say", "room": "tea", "text": "hello"}    to all in the room
//     {"do": "tell", "nick": "Bob", "text": "psst"}    to one
//
// The server tells what happens, with "event", each on a line of its own. When there are several to
// tell, they come in one message:
//
//     {"event": "welcome", "nick": "Ada"}
//     {"event": "joined", "room": "tea", "people": ["Bob", "Ada"], "history": 2}
//     {"event": "entered", "room": "tea", "nick": "Cleo"}
//     {"event": "left", "room": "tea", "nick": "Cleo"}
//     {"event": "said", "room": "tea", "nick": "Bob", "text": "hello", "at": 1735689600000}
//     {"event": "told", "from": "Bob", "to": "Ada", "text": "psst", "at": 1735689600000}
//     {"event": "refused", "reason": "nick_taken", "text": "Bob is here already"}
//
// In a room with more than a hundred people, "entered" and "left" are not told. "at" is in
// milliseconds since 1970. The number that "joined" has as its history says how many of the "said"
// that follow are old. They are the same bytes that went to those who were there, so the server
// writes a message once, and shares it between all who get it, now or later.
//
// What a client sends is untrusted. `parse_wish` lets through what has exactly this shape, and
// gives it as a type; after that no other part of the program looks at JSON.

#pragma once

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace chat {

struct introduce {
    std::string nick;
};

struct join {
    std::string room;
};

struct leave {
    std::string room;
};

struct say {
    std::string room;
    std::string text;
};

struct tell {
    std::string nick;
    std::string text;
};

using wish = std::variant<introduce, join, leave, say, tell>;

// Thrown for a request that is not granted. The client gets both parts of it.
class refusal : public std::runtime_error {
public:
    // The reason is for programs: "nick_taken". The text is for people.
    refusal(std::string reason, const std::string& text)
        : std::runtime_error(text), reason_(std::move(reason))
    {
    }

    const std::string& reason() const { return reason_; }

private:
    std::string reason_;
};

// Throws refusal for anything but one of the wishes above, with these fields and no others.
wish parse_wish(std::string_view json);

// What a name may be made of: ASCII letters and digits, `-` and `_`. Of more than that, people can
// make names that look the same.
bool is_name(std::string_view text, std::size_t longest);

// Whether this can be said: it is not blank, not too long, and has no control characters but tabs
// and newlines. It is UTF-8 already, or it would not have come through the WebSocket.
bool is_text(std::string_view text, std::size_t longest);

// A line on its way out, with its newline, shared by all who get it.
using message = std::shared_ptr<const std::string>;

message welcome(std::string_view nick);
message joined(std::string_view room, const std::vector<std::string>& people, std::size_t history);
message entered(std::string_view room, std::string_view nick);
message left(std::string_view room, std::string_view nick);
message said(std::string_view room, std::string_view nick, std::string_view text);
message told(std::string_view from, std::string_view to, std::string_view text);
message refused(const refusal& why);

}  // namespace chat
