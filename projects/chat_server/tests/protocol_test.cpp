// The server as a process of its own, and clients who keep to the rules.

#include "peer.hpp"
#include "server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <string>

namespace json = boost::json;
using tests::peer;
using tests::server;

TEST_CASE("people in a room hear who comes, what is said, and who leaves")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    peer bob(chat.port());
    bob.ask({{"do", "name"}, {"nick", "Bob"}});
    CHECK(bob.next() == json::object{{"event", "welcome"}, {"nick", "Bob"}});
    bob.ask({{"do", "join"}, {"room", "tea"}});
    CHECK(
        bob.next() ==
        json::object{
            {"event", "joined"}, {"room", "tea"}, {"people", {"Ada", "Bob"}}, {"history", 0}});
    CHECK(ada.next() == json::object{{"event", "entered"}, {"room", "tea"}, {"nick", "Bob"}});

    bob.say("tea", "hello, \"Ada\" \xf0\x9f\x8d\xb5\n<b>");
    for (auto* const each : {&ada, &bob}) {
        const auto said = each->next();
        CHECK(said.at("event") == "said");
        CHECK(said.at("nick") == "Bob");
        CHECK(said.at("text") == "hello, \"Ada\" \xf0\x9f\x8d\xb5\n<b>");
    }
    bob.ask({{"do", "leave"}, {"room", "tea"}});
    CHECK(bob.next().at("event") == "left");
    CHECK(ada.next() == json::object{{"event", "left"}, {"room", "tea"}, {"nick", "Bob"}});
}

TEST_CASE("who ends the connection, with a goodbye or without, has left")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    auto cleo = peer::in_room(chat.port(), "Cleo", "tea");
    bob.close();
    CHECK(ada.next("left").at("nick") == "Bob");
    cleo.vanish();
    CHECK(ada.next("left").at("nick") == "Cleo");

    auto again = peer::in_room(chat.port(), "Bob", "tea");
    CHECK(ada.next("entered").at("nick") == "Bob");
}

TEST_CASE("a private message reaches one client only")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    auto cleo = peer::in_room(chat.port(), "Cleo", "tea");
    ada.ask({{"do", "tell"}, {"nick", "Bob"}, {"text", "psst"}});
    for (auto* const each : {&ada, &bob}) {
        const auto told = each->next("told");
        CHECK(told.at("from") == "Ada");
        CHECK(told.at("to") == "Bob");
        CHECK(told.at("text") == "psst");
    }
    // Bob speaks after he has heard it; so whatever Cleo had been told would come before.
    bob.say("tea", "aha");
    CHECK(cleo.next().at("event") == "said");
    CHECK(cleo.all_so_far().empty());
}

TEST_CASE("a nickname belongs to one client at a time")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    peer other(chat.port());
    other.ask({{"do", "name"}, {"nick", "ADA"}});
    CHECK(other.next().at("reason") == "nick_taken");
    other.ask({{"do", "name"}, {"nick", "Bob"}});
    CHECK(other.next().at("event") == "welcome");
}

TEST_CASE("who joins gets the history first, in order, and then what is new")
{
    server chat({"--history", "3"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    for (const auto* const text : {"one", "two", "three", "four"}) {
        ada.say("tea", text);
        ada.next("said");
    }
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    ada.say("tea", "five");
    for (const auto* const text : {"two", "three", "four", "five"}) {
        CHECK(bob.next("said").at("text").as_string() == text);
    }
}

TEST_CASE("somebody can be in several rooms, and each is apart from the others")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    auto cleo = peer::in_room(chat.port(), "Cleo", "coffee");
    ada.ask({{"do", "join"}, {"room", "coffee"}});
    CHECK(cleo.next().at("event") == "entered");
    ada.next("joined");
    ada.say("coffee", "black");
    CHECK(cleo.next().at("text") == "black");
    ada.say("tea", "green");
    CHECK(bob.next("said").at("text") == "green");
    CHECK(bob.all_so_far().empty());
    CHECK(cleo.all_so_far().empty());
}
