#include "chat_server/hall.hpp"

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"

#include <catch2/catch_test_macros.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace json = boost::json;
using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

void run(awaitable<void> (*test)())
{
    common::run(test(), common::clock_mode::virtual_time);
}

// A guest whose outbox the test empties by hand.
class visitor {
public:
    explicit visitor(chat::hall& hall, std::size_t capacity = 256)
        : capacity_(capacity), out_(capacity), guest_(hall, out_), hall_(hall)
    {
    }

    awaitable<void> ask(std::string request) { co_await hall_.handle(guest_, request); }

    awaitable<void> name(std::string nick)
    {
        co_await ask(fmt::format(R"({{"do":"name","nick":"{}"}})", nick));
    }

    awaitable<void> join(std::string room)
    {
        co_await ask(fmt::format(R"({{"do":"join","room":"{}"}})", room));
    }

    awaitable<void> say(std::string room, std::string text)
    {
        co_await ask(fmt::format(R"({{"do":"say","room":"{}","text":"{}"}})", room, text));
    }

    awaitable<void> enter(std::string nick, std::string room)
    {
        co_await name(nick);
        co_await join(room);
        co_await heard();
    }

    awaitable<void> leave() { return hall_.see_off(guest_); }

    // What has been posted to it, as "event" or "event: text".
    awaitable<std::vector<std::string>> heard()
    {
        std::vector<std::string> all;
        const auto end = chat::welcome("end");
        out_.post(end);  // so that there is something to wait for
        std::vector<chat::message> lines;
        do {
            const auto part = co_await out_.next();
            CHECK(part.size() <= capacity_);
            if (part.empty()) {
                break;  // it was dropped
            }
            lines.insert(lines.end(), part.begin(), part.end());
        } while (lines.back() != end);
        for (const auto& line : lines) {
            const auto event = json::parse(*line).as_object();
            std::string text(event.at("event").as_string());
            for (const auto* const field : {"nick", "reason", "history"}) {
                if (const auto* const found = event.if_contains(field)) {
                    text += " " + (found->is_string() ? std::string(found->as_string())
                                                      : json::serialize(*found));
                }
            }
            if (const auto* const found = event.if_contains("text")) {
                text += event.contains("reason") ? "" : ": " + std::string(found->as_string());
            }
            all.push_back(text);
        }
        all.pop_back();
        co_return all;
    }

    chat::outbox& out() { return out_; }

private:
    std::size_t capacity_;
    chat::outbox out_;
    chat::hall::guest guest_;
    chat::hall& hall_;
};

// GCC 12 evaluates a co_await inside CHECK twice.
awaitable<void> check_heard(visitor& who, const char* expected)
{
    const auto heard = co_await who.heard();
    CHECK(fmt::format("{}", fmt::join(heard, ", ")) == expected);
}

}  // namespace

TEST_CASE("what is said goes to all in the room, and to nobody else")
{
    run([]() -> awaitable<void> {
        const chat::limits allowed;
        chat::hall hall(allowed);
        visitor ada(hall);
        visitor bob(hall);
        visitor cleo(hall);
        co_await ada.enter("Ada", "tea");
        co_await bob.enter("Bob", "tea");
        co_await cleo.enter("Cleo", "coffee");
        co_await check_heard(ada, "entered Bob");

        co_await ada.say("tea", "hello");
        co_await check_heard(ada, "said Ada: hello");
        co_await check_heard(bob, "said Ada: hello");
        co_await check_heard(cleo, "");

        co_await cleo.say("tea", "hello");
        co_await check_heard(cleo, "refused not_in_room");
        co_await bob.leave();
        co_await check_heard(ada, "left Bob");
    });
}

TEST_CASE("a guest needs a name before all else, and has one only")
{
    run([]() -> awaitable<void> {
        const chat::limits allowed;
        chat::hall hall(allowed);
        visitor ada(hall);
        co_await ada.join("tea");
        co_await ada.say("tea", "hello");
        co_await ada.ask(R"({"do":"tell","nick":"Bob","text":"psst"})");
        co_await check_heard(ada, "refused no_nick, refused not_in_room, refused no_nick");
        co_await ada.name("<b>");
        co_await ada.name("aaaaaaaaaaaaaaaaaaaaa");
        co_await ada.name("aaaaaaaaaaaaaaaaaaaa");
        co_await ada.name("Ada");
        co_await check_heard(
            ada,
            "refused bad_nick, refused bad_nick, welcome aaaaaaaaaaaaaaaaaaaa, refused has_nick");
    });
}

TEST_CASE("a name is taken, in upper and in lower case, until its owner has left")
{
    run([]() -> awaitable<void> {
        const chat::limits allowed;
        chat::hall hall(allowed);
        visitor bob(hall);
        {
            visitor ada(hall);
            co_await ada.name("Ada");
            co_await bob.name("Ada");
            co_await bob.name("aDA");
            co_await check_heard(bob, "refused nick_taken, refused nick_taken");
        }
        co_await bob.name("aDA");
        co_await check_heard(bob, "welcome aDA");
    });
}

TEST_CASE("a private message goes to one only, and back to who sent it")
{
    run([]() -> awaitable<void> {
        const chat::limits allowed;
        chat::hall hall(allowed);
        visitor ada(hall);
        visitor bob(hall);
        visitor cleo(hall);
        co_await ada.enter("Ada", "tea");
        co_await bob.enter("Bob", "tea");
        co_await cleo.enter("Cleo", "tea");
        co_await ada.heard();
        co_await bob.heard();
        co_await ada.ask(R"({"do":"tell","nick":"bob","text":"psst"})");
        co_await check_heard(ada, "told: psst");
        co_await check_heard(bob, "told: psst");
        co_await check_heard(cleo, "");
        co_await ada.ask(R"({"do":"tell","nick":"Ada","text":"note"})");
        co_await ada.ask(R"({"do":"tell","nick":"Dan","text":"psst"})");
        co_await check_heard(ada, "told: note, refused nobody");
    });
}

TEST_CASE("who joins gets the last messages of the room, as many as it keeps")
{
    run([]() -> awaitable<void> {
        chat::limits allowed;
        allowed.history = 2;
        chat::hall hall(allowed);
        visitor ada(hall);
        co_await ada.enter("Ada", "tea");
        for (const auto* const text : {"one", "two", "three"}) {
            co_await ada.say("tea", text);
        }
        visitor bob(hall);
        co_await bob.name("Bob");
        co_await bob.join("tea");
        co_await check_heard(bob, "welcome Bob, joined 2, said Ada: two, said Ada: three");
    });
}

TEST_CASE("a room that is deserted keeps its history until another needs the place")
{
    run([]() -> awaitable<void> {
        chat::limits allowed;
        allowed.rooms = 2;
        chat::hall hall(allowed);
        visitor ada(hall);
        co_await ada.enter("Ada", "tea");
        co_await ada.say("tea", "hello");
        co_await ada.ask(R"({"do":"leave","room":"tea"})");
        co_await ada.heard();
        co_await ada.join("tea");
        co_await check_heard(ada, "joined 1, said Ada: hello");

        co_await ada.join("coffee");
        co_await ada.join("milk");
        co_await check_heard(ada, "joined 0, refused no_room_left");

        co_await ada.ask(R"({"do":"leave","room":"coffee"})");
        co_await common::sleep_for(1s);
        co_await ada.ask(R"({"do":"leave","room":"tea"})");
        co_await ada.join("milk");  // in the place of coffee, which was deserted first
        co_await ada.join("tea");
        co_await check_heard(ada, "left Ada, left Ada, joined 0, joined 1, said Ada: hello");
    });
}

TEST_CASE("a guest can be in so many rooms, and in each of them once")
{
    run([]() -> awaitable<void> {
        chat::limits allowed;
        allowed.rooms_per_client = 2;
        chat::hall hall(allowed);
        visitor ada(hall);
        co_await ada.enter("Ada", "one");
        co_await ada.join("one");
        co_await ada.join("two");
        co_await ada.join("three");
        co_await ada.join("<b>");
        co_await ada.ask(R"({"do":"leave","room":"one"})");
        co_await ada.join("<b>");
        co_await ada.join("three");
        co_await check_heard(
            ada,
            "refused in_room, joined 0, refused too_many_rooms, refused too_many_rooms, left Ada, "
            "refused bad_room, joined 0");
    });
}

TEST_CASE("in a crowd nobody is told who comes and goes")
{
    run([]() -> awaitable<void> {
        chat::limits allowed;
        allowed.crowd = 2;
        chat::hall hall(allowed);
        visitor ada(hall);
        visitor bob(hall);
        visitor cleo(hall);
        visitor dan(hall);
        co_await ada.enter("Ada", "tea");
        co_await bob.enter("Bob", "tea");
        co_await cleo.enter("Cleo", "tea");
        co_await check_heard(ada, "entered Bob, entered Cleo");
        co_await dan.enter("Dan", "tea");
        co_await dan.leave();
        co_await check_heard(ada, "");
        co_await cleo.leave();
        co_await check_heard(ada, "left Cleo");
    });
}

TEST_CASE("a guest whose outbox is full is dropped, and hears nothing more; the others do")
{
    run([]() -> awaitable<void> {
        chat::limits allowed;
        chat::hall hall(allowed);
        visitor ada(hall);
        visitor deaf(hall, 4);
        co_await ada.enter("Ada", "tea");
        co_await deaf.enter("Deaf", "tea");
        co_await ada.heard();
        for (int message = 0; message < 4; ++message) {
            co_await ada.say("tea", "hello");
        }
        CHECK_FALSE(deaf.out().is_dropped());
        co_await ada.say("tea", "hello");
        CHECK(deaf.out().is_dropped());
        const auto heard = co_await ada.heard();
        CHECK(heard == std::vector<std::string>(5, "said Ada: hello"));
    });
}

TEST_CASE("a guest who joins all its rooms at once, each with a full history, is not dropped")
{
    run([]() -> awaitable<void> {
        const chat::limits allowed;
        chat::hall hall(allowed);
        visitor ada(hall);
        co_await ada.name("Ada");
        for (std::size_t room = 0; room < allowed.rooms_per_client; ++room) {
            co_await ada.join(fmt::format("room-{}", room));
            for (std::size_t number = 0; number < allowed.history; ++number) {
                co_await ada.say(fmt::format("room-{}", room), fmt::format("{}", number));
                co_await ada.heard();
            }
        }

        visitor late(hall, allowed.outgoing);
        co_await late.name("Late");
        std::vector<std::string> expected{"welcome Late"};
        for (std::size_t room = 0; room < allowed.rooms_per_client; ++room) {
            co_await late.join(fmt::format("room-{}", room));
            expected.push_back(fmt::format("joined {}", allowed.history));
            for (std::size_t number = 0; number < allowed.history; ++number) {
                expected.push_back(fmt::format("said Ada: {}", number));
            }
        }
        CHECK_FALSE(late.out().is_dropped());
        const auto heard = co_await late.heard();
        CHECK((heard == expected));  // 409 lines
    });
}

TEST_CASE("what is more than the outbox has room for is taken in parts, and each part counts")
{
    run([]() -> awaitable<void> {
        chat::outbox out(10);
        out.post(std::vector<chat::message>(25, chat::welcome("Ada")));
        out.post(chat::welcome("end"));
        for (const auto size : {10U, 10U, 6U}) {
            const auto part = co_await out.next();
            CHECK(part.size() == size);
            CHECK(out.look_while_busy() == 1);
        }
        out.finish(chat::goodbye());
        const auto rest = co_await out.next();
        CHECK(rest.empty());
    });
}

TEST_CASE("a guest who has not taken a message for as long as the patience lasts is dropped")
{
    run([]() -> awaitable<void> {
        chat::limits allowed;
        allowed.patience = 4s;
        chat::hall hall(allowed);
        visitor ada(hall);
        visitor stuck(hall);
        visitor idle(hall);
        co_await ada.enter("Ada", "tea");
        co_await stuck.enter("Stuck", "tea");
        co_await idle.enter("Idle", "tea");

        const auto watch = [&]() -> awaitable<void> {
            // All of them have something that they are sending from now on, and one gets it done.
            co_await common::sleep_for(500ms);
            co_await ada.out().next();
            co_await ada.say("tea", "hello");
            co_await stuck.out().next();
            co_await common::sleep_for(3900ms);
            co_await ada.out().next();
            CHECK_FALSE(stuck.out().is_dropped());
            co_await common::sleep_for(1100ms);
            CHECK(stuck.out().is_dropped());
            CHECK_FALSE(ada.out().is_dropped());
        };
        co_await (hall.drop_the_stuck() || watch());
    });
}

TEST_CASE("a thousand people who speak at once fill no outbox of somebody who reads")
{
    run([]() -> awaitable<void> {
        const chat::limits allowed;
        chat::hall hall(allowed);
        std::deque<visitor> people;
        std::size_t most = 0;
        std::size_t heard = 0;

        // Writes what is in the outbox, and needs some turns of the loop for it, as a socket does.
        const auto write = [&](visitor& who) -> awaitable<void> {
            while (true) {
                const auto batch = co_await who.out().next();
                most = std::max(most, batch.size());
                heard += batch.size();
                for (int turn = 0; turn < 10; ++turn) {
                    co_await common::yield();
                }
            }
        };
        for (int number = 0; number < 1000; ++number) {
            co_await people.emplace_back(hall).enter(fmt::format("guest-{}", number), "tea");
        }
        for (auto& each : people) {
            co_await each.heard();  // the comings
        }
        co_await common::with_task_group([&](common::task_group& writers) -> awaitable<void> {
            for (auto& each : people) {
                writers.spawn(write(each));
            }
            std::vector<awaitable<void>> all;
            for (auto& each : people) {
                all.push_back(each.say("tea", "hello"));
            }
            co_await common::gather(std::move(all));
            co_await common::sleep_for(1s);  // what is ready runs before virtual time moves
            writers.cancel();
        });
        CHECK(heard == 1000 * 1000);
        CHECK(most < allowed.outgoing / 2);
        CHECK(std::none_of(
            people.begin(), people.end(), [](auto& each) { return each.out().is_dropped(); }));
    });
}
