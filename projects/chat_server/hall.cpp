#include "chat_server/hall.hpp"

#include "common/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>

namespace asio = boost::asio;

namespace chat {

namespace {

const goodbye going_away{1001, "the server stops"};

// Ada and ada are one person.
std::string folded(std::string name)
{
    for (char& c : name) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return name;
}

void require_text(const std::string& text, std::size_t longest)
{
    if (!is_text(text, longest)) {
        throw refusal(
            "bad_text",
            fmt::format(
                "a text is at most {} bytes, not blank, and without control characters", longest));
    }
}

}  // namespace

hall::guest::guest(hall& inside, outbox& out)
    : hall_(inside), out_(out), place_(inside.guests_.insert(inside.guests_.end(), this))
{
    if (hall_.closed_) {
        out_.finish(going_away);
    }
}

hall::guest::~guest()
{
    while (!rooms_.empty()) {
        hall_.go_out(*this, *rooms_.back());
    }
    if (!nick_.empty()) {
        hall_.nicks_.erase(folded(nick_));
    }
    hall_.guests_.erase(place_);
}

asio::awaitable<void> hall::handle(guest& from, std::string_view request)
{
    const auto permit = co_await heard_at_once_.acquire();
    try {
        const auto wanted = parse_wish(request);
        std::visit([&](const auto& each) { grant(from, each); }, wanted);
    } catch (const refusal& why) {
        from.out_.post(refused(why));
    }
    co_await common::yield();
}

asio::awaitable<void> hall::see_off(guest& leaving)
{
    while (!leaving.rooms_.empty()) {
        const auto permit = co_await heard_at_once_.acquire();
        auto& from = *leaving.rooms_.back();
        go_out(leaving, from);
        announce(from, left(from.name, leaving.nick_));
        co_await common::yield();
    }
}

asio::awaitable<void> hall::drop_the_stuck()
{
    constexpr int looks = 4;
    while (true) {
        co_await common::sleep_for(allowed_.patience / looks);
        for (auto* const each : guests_) {
            if (each->out_.look_while_busy() > looks) {
                each->out_.drop("it does not take what it is sent");
            }
        }
    }
}

void hall::close()
{
    closed_ = true;
    for (auto* const each : guests_) {
        each->out_.finish(going_away);
    }
}

void hall::grant(guest& from, const introduce& wanted)
{
    if (!from.nick_.empty()) {
        throw refusal("has_nick", "you are " + from.nick_ + " already");
    }
    if (!is_name(wanted.nick, allowed_.name_bytes)) {
        throw refusal(
            "bad_nick",
            fmt::format("a nickname is 1 to {} letters, digits, - and _", allowed_.name_bytes));
    }
    if (!nicks_.emplace(folded(wanted.nick), &from).second) {
        throw refusal("nick_taken", wanted.nick + " is here already");
    }
    from.nick_ = wanted.nick;
    from.out_.post(welcome(from.nick_));
}

void hall::grant(guest& from, const join& wanted)
{
    if (from.nick_.empty()) {
        throw refusal("no_nick", "say who you are first");
    }
    if (from.rooms_.size() >= allowed_.rooms_per_client) {
        throw refusal("too_many_rooms", "you are in as many rooms as one can be");
    }
    auto& there = room_named(wanted.room);
    if (std::count(from.rooms_.begin(), from.rooms_.end(), &there) > 0) {
        throw refusal("in_room", "you are in " + there.name + " already");
    }

    announce(there, entered(there.name, from.nick_));
    there.people.push_back(&from);
    from.rooms_.push_back(&there);
    std::vector<std::string> people;
    for (const auto* const each : there.people) {
        people.push_back(each->nick_);
    }
    std::vector<message> answer{joined(there.name, people, there.history.size())};
    answer.insert(answer.end(), there.history.begin(), there.history.end());
    from.out_.post(std::move(answer));
}

void hall::grant(guest& from, const leave& wanted)
{
    auto& there = room_with(from, wanted.room);
    const auto news = left(there.name, from.nick_);
    go_out(from, there);
    announce(there, news);
    from.out_.post(news);
}

void hall::grant(guest& from, const say& wanted)
{
    auto& there = room_with(from, wanted.room);
    require_text(wanted.text, allowed_.text_bytes);
    const auto news = said(there.name, from.nick_, wanted.text);
    there.history.push_back(news);
    if (there.history.size() > allowed_.history) {
        there.history.pop_front();
    }
    post_to(there, news);
}

void hall::grant(guest& from, const tell& wanted)
{
    if (from.nick_.empty()) {
        throw refusal("no_nick", "say who you are first");
    }
    require_text(wanted.text, allowed_.text_bytes);
    const auto to = nicks_.find(folded(wanted.nick));
    if (to == nicks_.end()) {
        throw refusal("nobody", "there is nobody of that name");
    }
    const auto news = told(from.nick_, to->second->nick_, wanted.text);
    to->second->out_.post(news);
    if (to->second != &from) {
        from.out_.post(news);
    }
}

// Finds the room, or opens it.
hall::room& hall::room_named(const std::string& name)
{
    const auto there = rooms_.find(name);
    if (there != rooms_.end()) {
        return there->second;
    }
    if (!is_name(name, allowed_.name_bytes)) {
        throw refusal(
            "bad_room",
            fmt::format("a room's name is 1 to {} letters, digits, - and _", allowed_.name_bytes));
    }
    if (rooms_.size() >= allowed_.rooms) {
        make_room_for_another();
    }
    auto& opened = rooms_[name];
    opened.name = name;
    return opened;
}

// A room stays when the last one has left, with its history, until another needs its place. The one
// goes that was deserted first.
void hall::make_room_for_another()
{
    auto first = rooms_.end();
    for (auto each = rooms_.begin(); each != rooms_.end(); ++each) {
        const bool deserted = each->second.people.empty();
        if (deserted && (first == rooms_.end() || each->second.deserted < first->second.deserted)) {
            first = each;
        }
    }
    if (first == rooms_.end()) {
        throw refusal("no_room_left", "there are as many rooms as there can be");
    }
    rooms_.erase(first);
}

hall::room& hall::room_with(const guest& member, const std::string& name)
{
    for (auto* const each : member.rooms_) {
        if (each->name == name) {
            return *each;
        }
    }
    throw refusal("not_in_room", "you are not in that room");
}

void hall::go_out(guest& leaving, room& from)
{
    std::erase(from.people, &leaving);
    std::erase(leaving.rooms_, &from);
    if (from.people.empty()) {
        from.deserted = common::now();
    }
}

// In a crowd nobody is told who comes and goes. If a thousand people came one after another, and
// all were told of each, that would be half a million messages.
void hall::announce(const room& where, const message& coming_or_going) const
{
    if (where.people.size() <= allowed_.crowd) {
        post_to(where, coming_or_going);
    }
}

void hall::post_to(const room& all, const message& news)
{
    for (auto* const each : all.people) {
        each->out_.post(news);
    }
}

}  // namespace chat
