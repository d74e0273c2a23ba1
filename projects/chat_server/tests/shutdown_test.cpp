// How the server ends, and what it says about a command line that makes no sense.

#include "peer.hpp"
#include "server.hpp"

#include "tests/support/client.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <csignal>
#include <string>
#include <utility>
#include <vector>

using tests::peer;
using tests::server;

TEST_CASE("told to stop, the server says goodbye to all, and ends with status 0")
{
    const int signal = GENERATE(SIGINT, SIGTERM);
    // Whoever answers the goodbye is not waited for: a grace of an hour changes nothing.
    server chat({"--grace", "3600", "--patience", "3600"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    peer nameless(chat.port());
    support::client page(chat.port());  // has asked for nothing yet
    CHECK(ada.all_so_far().empty());
    CHECK(nameless.all_so_far().empty());

    chat.signal(signal);
    CHECK(ada.close_code() == 1001);
    CHECK(nameless.close_code() == 1001);
    CHECK(page.rest() == "");
    page.end_sending();
    const auto run = chat.wait();
    CHECK(run.status == 0);
    CHECK(run.err == "");
    CHECK(support::is_refused(chat.port()));
}

TEST_CASE("told to stop, it sends what is waiting before the goodbye")
{
    server chat({"--grace", "3600", "--patience", "3600", "--rate", "1000", "--burst", "1000"});
    auto ada = peer::in_room(chat.port(), "Ada", "tea");
    peer bob(chat.port(), {.receive_buffer = 4096});
    bob.ask({{"do", "name"}, {"nick", "Bob"}});
    bob.ask({{"do", "join"}, {"room", "tea"}});
    ada.next("entered");
    // Fewer than an outbox holds, and much more than goes into the system's buffers.
    const std::string much(2000 - 3, 'x');
    for (int message = 100; message < 300; ++message) {
        ada.say("tea", std::to_string(message) + much);
        ada.next("said");
    }
    chat.signal(SIGTERM);
    chat.wait_for_line("takes no more clients");  // it has heard of it
    for (int message = 100; message < 300; ++message) {
        CHECK(bob.next("said").at("text").as_string() == std::to_string(message) + much);
    }
    CHECK(bob.close_code() == 1001);
    CHECK(ada.close_code() == 1001);
    CHECK(chat.wait().status == 0);
}

TEST_CASE("told to stop, it does not wait for ever for a client that does not answer")
{
    server chat({"--grace", "0.5"});
    auto silent = peer::in_room(chat.port(), "Silent", "tea");
    const auto start = std::chrono::steady_clock::now();
    chat.signal(SIGTERM);
    CHECK(chat.wait().status == 0);
    CHECK(std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(500));
}

TEST_CASE("a port that is taken is an error with status 1")
{
    server chat;
    const auto second =
        support::run_program(PROGRAM, {.arguments = {"--port", std::to_string(chat.port())}});
    CHECK(second.status == 1);
    CHECK(second.out == "");
    CHECK(second.err == "chat_server: Address already in use\n");
}

TEST_CASE("a command line that makes no sense is an error with status 2")
{
    using arguments = std::vector<std::string>;
    for (const auto& wrong :
         {arguments{"--port", "70000"}, arguments{"--port", "tea"}, arguments{"--tea"},
          arguments{"tea"}, arguments{"--clients", "0"}, arguments{"--history", "-1"},
          arguments{"load", "--messages", "-1"}, arguments{"--rate", "0"},
          arguments{"--patience", "-1"}, arguments{"--outgoing", "17"},
          arguments{"--origin", "chat.example"}, arguments{"--origin", "https://chat.example/"},
          arguments{"load", "--speakers", "2000"}}) {
        INFO(wrong.front());
        const auto run = support::run_program(PROGRAM, {.arguments = wrong});
        CHECK(run.status == 2);
        CHECK(run.out == "");
        CHECK(run.err != "");
    }

    // Too small for the answers to somebody who joins all the rooms that one may be in.
    const auto small =
        support::run_program(PROGRAM, {.arguments = {"--outgoing", "17", "--history", "0"}});
    CHECK(small.status == 2);
    CHECK(small.err.starts_with("--outgoing: Value 17 not in range "));
    CHECK(small.err.find("18") != std::string::npos);

    const auto help = support::run_program(PROGRAM, {.arguments = {"--help"}});
    CHECK(help.status == 0);
    CHECK(help.out.find("--port") != std::string::npos);
}
