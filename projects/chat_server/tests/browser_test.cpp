// The page in a real browser: two people who talk.

#include "browser.hpp"
#include "peer.hpp"
#include "server.hpp"

#include "chat_server/limits.hpp"

#include <catch2/catch_test_macros.hpp>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <csignal>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

using tests::browser;
using tests::peer;
using tests::server;
using tests::web_driver;

namespace {

void need_browser()
{
    if (!web_driver::is_installed()) {
        SKIP("chromium and chromedriver are not installed");
    }
}

std::string url_of(const server& chat)
{
    return "http://127.0.0.1:" + std::to_string(chat.port()) + "/";
}

// As a person does it: with the keyboard and the mouse.
void enter(browser& page, const server& chat, const std::string& nick)
{
    page.open(url_of(chat));
    page.type("#nick", nick);
    page.click("#entrance button");
    page.wait_until("!document.getElementById('chat').hidden");
}

void say(browser& page, const std::string& text)
{
    page.type("#text", text);
    page.click("#speaking button");
}

// Keeps what the page says of its connection in `said`, however short it says it.
void note_status(browser& page)
{
    page.run(
        "const status = document.getElementById('status'); window.said = []; "
        "new MutationObserver(() => said.push(status.textContent))"
        ".observe(status, { childList: true })");
}

// The texts of the messages that the page shows, from the top to the bottom.
std::string texts(browser& page)
{
    const auto all = page.run(
        "return Array.from(document.querySelectorAll('#messages .text'), "
        "(each) => each.textContent).join(', ')");
    return std::string(all.as_string());
}

}  // namespace

TEST_CASE("two people with a browser each talk to each other")
{
    need_browser();
    server chat;
    const web_driver driver;
    browser ada(driver);
    browser bob(driver);
    enter(ada, chat, "Ada");
    say(ada, "is anybody there?");
    ada.wait_for_message("Ada", "is anybody there?");

    // Who comes later sees what was said, and who is there.
    enter(bob, chat, "Bob");
    bob.wait_for_message("Ada", "is anybody there?");
    bob.wait_until("document.getElementById('people').innerText.includes('Ada')");
    ada.wait_until("document.getElementById('people').innerText.includes('Bob')");

    say(bob, "I am \xe2\x98\x95");
    ada.wait_for_message("Bob", "I am \xe2\x98\x95");
    say(ada, "hello, Bob");
    bob.wait_for_message("Ada", "hello, Bob");

    // In private: a third one, in the same room, is not told.
    auto cleo = peer::in_room(chat.port(), "Cleo", "lobby");
    ada.run("document.getElementById('to').value = 'Bob'");
    say(ada, "psst");
    bob.wait_for_message("Ada, to you", "psst");
    ada.wait_for_message("to Bob", "psst");
    say(bob, "the end");
    CHECK(cleo.next("said").at("text") == "is anybody there?");
    CHECK(cleo.next("said").at("text") == "I am \xe2\x98\x95");
    CHECK(cleo.next("said").at("text") == "hello, Bob");
    CHECK(cleo.next().at("text") == "the end");

    // Nothing was kept from loading, and no script has failed.
    CHECK(ada.console() == "[]");
    CHECK(bob.console() == "[]");
}

TEST_CASE("markup in a message is shown as text, and runs nothing")
{
    need_browser();
    server chat({"--rate", "1000", "--burst", "1000"});
    const web_driver driver;
    browser page(driver);
    enter(page, chat, "Ada");
    page.run("window.ran = []; window.hit = (what) => window.ran.push(what)");
    auto mallory = peer::in_room(chat.port(), "Mallory", "lobby");
    page.wait_until("document.getElementById('people').innerText.includes('Mallory')");

    const auto before = page.run("return document.querySelectorAll('*').length");
    const std::string attacks[] = {
        "<img src=x onerror=hit('img')>",
        "<script>hit('script')</script>",
        "</span></li></ol><script src=/chat.js></script>",
        "<svg onload=hit('svg')>",
        "<a href=\"javascript:hit('a')\">x</a>",
        "<iframe srcdoc=\"<script>parent.hit('frame')</script>\"></iframe>",
        "{{constructor.constructor('hit(1)')()}} ${hit('template')} &lt;b&gt;",
    };
    for (const auto& text : attacks) {
        mallory.say("lobby", text);
        page.wait_for_message("Mallory", text);
    }
    // Each message is a line with three parts, and that is all that the page has gained.
    const auto after = page.run("return document.querySelectorAll('*').length");
    CHECK(after.as_int64() == before.as_int64() + 4 * static_cast<long>(std::size(attacks)));
    CHECK(
        page.run("return document.querySelectorAll('#messages "
                 ":is(img,script,svg,a,iframe,b)').length") == 0);
    CHECK(page.run("return window.ran.length") == 0);

    // What the page sends is taken as text, too.
    say(page, attacks[0]);
    page.wait_for_message("Ada", attacks[0]);
    CHECK(page.run("return window.ran.length") == 0);

    // And if something did get into the page as markup, the policy would not let it run.
    page.run(
        "document.getElementById('people').innerHTML = \"<img src=x onerror=hit('policy')>\"; "
        "const made = document.createElement('script'); made.textContent = \"hit('policy')\"; "
        "document.body.append(made)");
    page.wait_until(
        "!document.querySelector('#people img') || "
        "document.querySelector('#people img').complete");
    CHECK(page.run("return window.ran.length") == 0);
    CHECK(page.console().find("Content Security Policy") != std::string::npos);
}

TEST_CASE("a name that is taken is said so, and another one can be chosen")
{
    need_browser();
    server chat;
    const web_driver driver;
    browser page(driver);
    auto ada = peer::in_room(chat.port(), "Ada", "lobby");
    page.open(url_of(chat));
    page.type("#nick", "ada");
    page.click("#entrance button");
    page.wait_until("document.getElementById('refusal').textContent === 'ada is here already'");
    page.type("#nick", "2");
    page.click("#entrance button");
    page.wait_until("!document.getElementById('chat').hidden");
    CHECK(ada.next("entered").at("nick") == "ada2");
}

TEST_CASE("when the server stops, the page says so, and it comes back when the server does")
{
    need_browser();
    auto chat = std::make_unique<server>();
    const auto port = std::to_string(chat->port());
    const web_driver driver;
    browser page(driver);
    enter(page, *chat, "Ada");
    note_status(page);
    auto bob = std::make_unique<peer>(peer::in_room(chat->port(), "Bob", "lobby"));
    bob->say("lobby", "hello");
    bob->ask({{"do", "tell"}, {"nick", "Ada"}, {"text", "psst"}});
    page.wait_for_message("Bob, to you", "psst");
    bob.reset();
    chat->signal(SIGTERM);
    page.wait_until("said.some((text) => text.startsWith('the server stops'))");
    CHECK(chat->wait().status == 0);

    // What is typed while there is no connection is not lost.
    page.type("#text", "still here");
    page.click("#speaking button");
    CHECK(page.run("return document.getElementById('text').value") == "still here");

    // The page says as well that nobody answers, and that it goes on trying.
    page.wait_until(
        "document.getElementById('status').textContent.startsWith('the connection is lost; "
        "tries')");
    chat = std::make_unique<server>(std::vector<std::string>(), port);
    page.wait_until("document.getElementById('status').textContent === 'connected as Ada'");
    // The room has lost its history with the old server. What was private is only here.
    CHECK(texts(page) == "psst");
    page.click("#speaking button");
    page.wait_for_message("Ada", "still here");
    CHECK(texts(page) == "psst, still here");
}

TEST_CASE("after a new connection, private messages stand between those of the room, as before")
{
    need_browser();
    server chat;
    const web_driver driver;
    browser page(driver);
    enter(page, chat, "Ada");
    auto bob = peer::in_room(chat.port(), "Bob", "lobby");
    const auto tell = [&](const std::string& text) {
        bob.ask({{"do", "tell"}, {"nick", "Ada"}, {"text", text}});
        page.wait_for_message("Bob, to you", text);
    };
    const auto say_as_bob = [&](const std::string& text) {
        bob.say("lobby", text);
        page.wait_for_message("Bob", text);
    };
    say_as_bob("one");
    tell("two");
    tell("three");
    say_as_bob("four");
    tell("five");
    CHECK(texts(page) == "one, two, three, four, five");

    note_status(page);
    page.run("socket.close()");
    page.wait_until("said.includes('connected as Ada')");
    page.wait_for_message("Bob", "four");
    CHECK(texts(page) == "one, two, three, four, five");
    CHECK(page.run("return document.querySelectorAll('#messages .private').length") == 3);
    say_as_bob("six");
    CHECK(texts(page) == "one, two, three, four, five, six");

    // They were for Ada. Whoever enters under another name does not see them.
    page.run("leave('goodbye')");
    page.type("#nick", "2");
    page.click("#entrance button");
    page.wait_until("document.getElementById('status').textContent === 'connected as Ada2'");
    page.wait_for_message("Bob", "six");
    CHECK(texts(page) == "one, four, six");
}

TEST_CASE("who has left a crowd, unannounced, and comes back, is in the page's list once")
{
    need_browser();
    server chat;
    const web_driver driver;
    browser page(driver);
    enter(page, chat, "Ada");
    auto bob = peer::in_room(chat.port(), "Bob", "lobby");
    std::vector<peer> guests;
    for (std::size_t guest = 0; guest < chat::limits().crowd; ++guest) {
        guests.push_back(peer::in_room(chat.port(), fmt::format("guest-{}", guest), "lobby"));
    }
    bob.ask({{"do", "leave"}, {"room", "lobby"}});
    bob.next("left");
    for (auto& each : guests) {
        each.ask({{"do", "leave"}, {"room", "lobby"}});
        each.next("left");
    }
    bob.ask({{"do", "join"}, {"room", "lobby"}});
    bob.next("joined");
    bob.say("lobby", "I am back");
    page.wait_for_message("Bob", "I am back");
    CHECK(page.run("return people.filter((nick) => nick === 'Bob').length") == 1);
}
