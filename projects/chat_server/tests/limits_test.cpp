// The server as a process of its own, and clients whom it has to defend itself and the others from.

#include "peer.hpp"
#include "server.hpp"

#include "chat_server/limits.hpp"

#include "tests/support/client.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <boost/json/object.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using tests::peer;
using tests::peer_options;
using tests::server;
using namespace std::chrono_literals;

namespace {

// What must work whatever else is going on: somebody who is in the room is heard by another.
void check_serves(peer& ada, peer& bob)
{
    ada.say("tea", "still here");
    CHECK(ada.next("said").at("text") == "still here");
    CHECK(bob.next("said").at("text") == "still here");
}

// Reads up to the next thing that is said. Gives who has left meanwhile, or "".
std::string gone_before_said(peer& reader)
{
    std::string gone;
    while (true) {
        const auto event = reader.next();
        if (event.at("event") == "said") {
            return gone;
        }
        if (event.at("event") == "left") {
            gone = event.at("nick").as_string();
        }
    }
}

// A frame as a client sends it. With a mask of zeros the bytes stay as they are.
std::string frame(unsigned char first_byte, std::string_view payload)
{
    std::string bytes{static_cast<char>(first_byte), static_cast<char>(0x80 | payload.size())};
    return bytes.append(4, '\0').append(payload);
}

std::string upgrade_request(unsigned short port)
{
    return fmt::format(
        "GET /chat HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        port);
}

// A client that has opened a WebSocket by hand, and then does nothing that one should.
support::client dumb_client(unsigned short port)
{
    support::client made(port);
    made.send(upgrade_request(port));
    while (made.line() != "\r") {
    }
    return made;
}

}  // namespace

TEST_CASE("a message that is too long ends its sender's connection, with the code for that")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    peer big(chat.port());
    big.send(std::string(4096, ' '));
    CHECK(big.next().at("reason") == "bad_message");
    big.send(std::string(4097, ' '));
    CHECK(big.close_code() == 1009);
    check_serves(ada, bob);

    // Also in small pieces: the first has not the flag for the last.
    peer pieces(chat.port());
    pieces.send_raw(frame(0x01, std::string(100, ' ')));
    for (int piece = 0; piece < 41; ++piece) {
        pieces.send_raw(frame(0x00, std::string(100, ' ')));
    }
    CHECK(pieces.close_code() == 1009);
    check_serves(ada, bob);
}

TEST_CASE("a text that is too long is refused, and no more than that")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    ada.say("tea", std::string(2001, 'x'));
    CHECK(ada.next().at("reason") == "bad_text");
    ada.say("tea", std::string(2000, 'x'));
    CHECK(ada.next().at("event") == "said");
}

TEST_CASE("bytes that are not UTF-8 end the connection, with the code for that")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    for (const std::string_view bytes : {"\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf"}) {
        peer bad(chat.port());
        bad.send_raw(frame(0x81, std::string("{\"do\":\"") + std::string(bytes) + "\"}"));
        CHECK(bad.close_code() == 1007);
    }
    check_serves(ada, bob);
}

TEST_CASE("a message that is not text ends the connection, with the code for that")
{
    server chat;
    peer binary(chat.port());
    binary.send_binary(R"({"do":"name","nick":"Ada"})");
    CHECK(binary.close_code() == 1003);
}

TEST_CASE("frames that break the protocol end the connection, with the code for that")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    const std::string unmasked{"\x81\x01x", 3};
    const std::vector<std::string> bad = {
        unmasked, frame(0x83, "x"), frame(0xf1, "x"), frame(0x80, "x"), frame(0x09, "x")};
    for (const auto& bytes : bad) {
        peer breaker(chat.port());
        breaker.send_raw(bytes);
        CHECK(breaker.close_code() == 1002);
    }
    check_serves(ada, bob);
}

TEST_CASE("a message that is no JSON, or makes no sense, is refused, and the client may go on")
{
    server chat;
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    for (const std::string_view text : {"", "hello", "{}", R"({"do":"dance"})"}) {
        ada.send(text);
        CHECK(ada.next().at("reason") == "bad_message");
    }
    ada.say("tea", "hello");
    CHECK(ada.next().at("event") == "said");
}

TEST_CASE("who sends too fast is refused and slowed down, and others are not")
{
    server chat({"--rate", "2", "--burst", "5"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    peer fast(chat.port());

    const auto start = std::chrono::steady_clock::now();
    std::string all = frame(0x81, R"({"do":"name","nick":"Fast"})");
    for (int message = 0; message < 14; ++message) {
        all += frame(0x81, fmt::format(R"({{"do":"tell","nick":"Fast","text":"{}"}})", message));
    }
    fast.send_raw(all);
    check_serves(ada, bob);

    int granted = 0;
    int refused = 0;
    while (granted + refused < 15) {
        const auto event = fast.next();
        if (event.at("event") == "refused") {
            CHECK(event.at("reason") == "too_fast");
            ++refused;
        } else {
            ++granted;
        }
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    CHECK(refused > 0);
    CHECK(granted > 5);
    CHECK(granted <= 5 + 2 * took.count());
}

TEST_CASE("a flood of pings gets its sender dropped")
{
    server chat({"--burst", "5"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    peer flood(chat.port());
    for (int ping = 0; ping < 5; ++ping) {
        flood.send_ping();
    }
    std::string pings;
    for (int ping = 0; ping < 1000; ++ping) {
        pings += frame(0x89, "");
    }
    flood.send_raw(pings);
    chat.wait_for_line("drops a client: it floods");
    CHECK(flood.close_code() == 0);
    check_serves(ada, bob);
}

TEST_CASE("a message in empty pieces without end is read no faster than messages can need")
{
    server chat({"--rate", "1", "--burst", "3", "--clients", "1"});
    peer flood(chat.port(), {.send_buffer = 4096});
    std::string pieces = frame(0x01, "");  // the first, and not the last
    while (pieces.size() < 2'000'000) {
        pieces += frame(0x00, "");
    }
    // At 24 KiB a second, this would take more than a minute.
    CHECK(flood.send_raw_for(2s, pieces) < pieces.size());
    CHECK(tests::upgrade_status(chat.port(), {}) == 503);  // it has its seat still
}

TEST_CASE("when all seats are taken, the next client is told so, until somebody leaves")
{
    server chat({"--clients", "2"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    CHECK(tests::upgrade_status(chat.port(), {}) == 503);
    check_serves(ada, bob);
    bob.close();
    ada.next("left");
    // The seat is free a moment after the others have been told.
    while (tests::upgrade_status(chat.port(), {}) != 101) {
        std::this_thread::sleep_for(10ms);
    }
}

TEST_CASE("when there are as many rooms as there can be, none is added")
{
    server chat({"--rooms", "2"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "coffee");
    bob.ask({{"do", "join"}, {"room", "milk"}});
    CHECK(bob.next().at("reason") == "no_room_left");
    bob.ask({{"do", "join"}, {"room", "tea"}});
    CHECK(bob.next().at("event") == "joined");
}

TEST_CASE("a nickname that is too long, or no name, is refused")
{
    server chat;
    peer ada(chat.port());
    for (const auto& nick : {std::string(21, 'a'), std::string("<b>"), std::string()}) {
        ada.ask({{"do", "name"}, {"nick", nick}});
        CHECK(ada.next().at("reason") == "bad_nick");
    }
}

TEST_CASE("pages of another site are refused, the server's own and trusted ones are not")
{
    server chat({"--origin", "https://chat.example"});
    const auto own = fmt::format("http://127.0.0.1:{}", chat.port());
    CHECK(tests::upgrade_status(chat.port(), {}) == 101);
    CHECK(tests::upgrade_status(chat.port(), {.origin = own}) == 101);
    CHECK(tests::upgrade_status(chat.port(), {.origin = "https://chat.example"}) == 101);
    CHECK(tests::upgrade_status(chat.port(), {.origin = "https://evil.example"}) == 403);
    CHECK(tests::upgrade_status(chat.port(), {.origin = "null"}) == 403);
    CHECK(tests::upgrade_status(chat.port(), {.origin = "http://localhost"}) == 403);

    // A name of somebody else's that leads here.
    peer_options rebound{.origin = "http://evil.example", .host = "evil.example"};
    CHECK(tests::upgrade_status(chat.port(), rebound) == 421);
}

TEST_CASE("a reader who does not read is dropped, and the others get every message meanwhile")
{
    server chat(
        {"--rate", "1000", "--burst", "1000", "--history", "0", "--outgoing", "32", "--patience",
         "3600"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    peer deaf(chat.port(), {.receive_buffer = 4096});
    deaf.ask({{"do", "name"}, {"nick", "Deaf"}});
    deaf.ask({{"do", "join"}, {"room", "tea"}});
    ada.next("entered");
    ada.next("entered");

    // The system's buffers take some of it first. Each message waits for its echo, so the server
    // has the time to write it to all who read.
    const std::string text(2000, 'x');
    std::string gone;
    int said = 0;
    while (gone.empty() && said < 20'000) {
        ada.say("tea", text);
        gone = gone_before_said(ada);
        ++said;
    }
    CHECK(gone == "Deaf");
    chat.wait_for_line("drops a client: its outbox is full");
    for (int heard = 0; heard < said; ++heard) {
        REQUIRE(bob.next("said").at("text").as_string() == text);
    }
    check_serves(ada, bob);

    // Its name is free again.
    auto again = peer::in_room(chat.port(), "Deaf", "tea");
}

TEST_CASE("who joins all rooms that it may, each with a full history, and then reads, has it all")
{
    // With the usual outbox, and with the smallest one.
    const auto outgoing = GENERATE(as<std::string>(), "256", "18");
    const chat::limits usual;
    server chat(
        {"--rate", "1000", "--burst", "1000", "--patience", "3600", "--outgoing", outgoing});
    const auto room = [](std::size_t number) { return fmt::format("room-{}", number); };
    const auto text = [](std::size_t number) {
        return fmt::format("{} {}", number, std::string(1990, 'x'));
    };
    peer ada(chat.port());
    ada.ask({{"do", "name"}, {"nick", "Ada"}});
    for (std::size_t which = 0; which < usual.rooms_per_client; ++which) {
        ada.ask({{"do", "join"}, {"room", room(which)}});
        for (std::size_t number = 0; number < usual.history; ++number) {
            ada.say(room(which), text(number));
            ada.next("said");
        }
    }

    // It does not read before it has an answer to every join, and that is more than the system's
    // buffers take.
    peer late(chat.port(), {.receive_buffer = 4096});
    late.ask({{"do", "name"}, {"nick", "Late"}});
    for (std::size_t which = 0; which < usual.rooms_per_client; ++which) {
        late.ask({{"do", "join"}, {"room", room(which)}});
        REQUIRE(ada.next().at("event") == "entered");
    }
    CHECK(late.next().at("event") == "welcome");
    for (std::size_t which = 0; which < usual.rooms_per_client; ++which) {
        const auto joined = late.next();
        REQUIRE(joined.at("event") == "joined");
        REQUIRE(joined.at("room").as_string() == room(which));
        REQUIRE(joined.at("history").to_number<std::size_t>() == usual.history);
        for (std::size_t number = 0; number < usual.history; ++number) {
            REQUIRE(late.next().at("text").as_string() == text(number));
        }
    }
    CHECK(late.all_so_far().empty());
}

TEST_CASE("a reader who takes no message for long is dropped before its outbox is full")
{
    server chat(
        {"--rate", "1000", "--burst", "1000", "--history", "0", "--outgoing", "20000", "--patience",
         "3"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    peer deaf(chat.port(), {.receive_buffer = 4096});
    deaf.ask({{"do", "name"}, {"nick", "Deaf"}});
    deaf.ask({{"do", "join"}, {"room", "tea"}});
    ada.next("entered");
    ada.next("entered");
    const std::string text(2000, 'x');
    std::string gone;
    for (int said = 0; said < 1000 && gone.empty(); ++said) {  // 2 MB, more than the system takes
        ada.say("tea", text);
        gone = gone_before_said(ada);
        bob.next("said");
    }
    if (gone.empty()) {
        gone = ada.next("left").at("nick").as_string();
    }
    CHECK(gone == "Deaf");
    chat.wait_for_line("drops a client: it does not take what it is sent");
    check_serves(ada, bob);
}

TEST_CASE("a client that is there no more is noticed by its silence")
{
    server chat({"--idle", "4"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto gone = dumb_client(chat.port());
    gone.send(frame(0x81, R"({"do":"name","nick":"Gone"})"));
    gone.send(frame(0x81, R"({"do":"join","room":"tea"})"));
    CHECK(ada.next("entered").at("nick") == "Gone");

    // It is pinged, and does not answer, and neither ends nor resets the connection. Ada answers.
    CHECK(ada.next("left").at("nick") == "Gone");
    CHECK(gone.rest().find('\x89') != std::string::npos);
    CHECK(ada.all_so_far().empty());
}

TEST_CASE("a client that is silent, but answers the pings, stays")
{
    // Four pings until then, and a rate that would not let it send the pongs.
    server chat({"--idle", "4", "--rate", "0.02", "--burst", "3"});
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    auto later = std::async(std::launch::async, [&] {
        std::this_thread::sleep_for(9s);
        auto ada = peer::in_room(chat.port(), "Ada", "tea");
        ada.say("tea", "still there?");
        ada.next("said");
    });
    std::string heard;
    CHECK_NOTHROW(heard = bob.next("said").at("text").as_string());  // Beast answers meanwhile
    CHECK(heard == "still there?");
    CHECK_NOTHROW(later.get());
}

TEST_CASE("who does not say who they are lose their seat")
{
    server chat({"--patience", "4", "--clients", "3"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    auto bob = peer::in_room(chat.port(), "Bob", "tea");
    peer nobody(chat.port());
    CHECK(nobody.close_code() == 1008);
    check_serves(ada, bob);  // they have been there for longer
    auto carol = peer::in_room(chat.port(), "Carol", "tea");
    check_serves(ada, carol);
}

TEST_CASE("a client that does not wait for the answer to its upgrade is refused")
{
    server chat;
    support::client hasty(chat.port());
    hasty.send(upgrade_request(chat.port()) + frame(0x81, "{}"));
    CHECK(hasty.line() == "HTTP/1.1 400 Bad Request\r");
}

TEST_CASE("who connects and says nothing, or half a request, is given up")
{
    server chat({"--patience", "0.5"});
    for (const std::string_view begun :
         {"", "GET / HT", "GET /chat HTTP/1.1\r\nHost: localhost\r\n"}) {
        support::client silent(chat.port());
        silent.send(begun);
        CHECK(silent.rest() == "");
    }
}
