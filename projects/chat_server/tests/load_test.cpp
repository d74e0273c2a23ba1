// A thousand clients, and every message to each of them. How fast that goes is printed, and not
// judged: the README has figures.

#include "peer.hpp"
#include "server.hpp"

#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <csignal>
#include <cstddef>
#include <regex>
#include <string>
#include <vector>

using tests::server;

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr int slower = 5;  // about
#else
constexpr int slower = 1;
#endif

support::program_options load_options(const server& chat, std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), {"load", "--port", std::to_string(chat.port())});
    support::program_options options;
    options.arguments = std::move(arguments);
    options.deadline = std::chrono::seconds(110);
    return options;
}

support::program_run put_load(const server& chat, std::vector<std::string> arguments)
{
    return support::run_program(PROGRAM, load_options(chat, std::move(arguments)));
}

void check_stops(server& chat)
{
    chat.signal(SIGTERM);
    const auto run = chat.wait();
    CHECK(run.status == 0);
    CHECK(run.out.find("drops") == std::string::npos);
}

// How many messages came in a second, and after how long: printed, and more than nothing.
void check_figures(const std::string& printed)
{
    const std::regex line(
        R"((\d+) messages a second; latency in ms: (\S+) median, (\S+) 90 %, (\S+) 99 %, (\S+) at most\n)");
    std::smatch figures;
    REQUIRE(std::regex_search(printed, figures, line));
    CHECK(std::stoi(figures[1]) > 0);
    CHECK(std::stod(figures[2]) > 0);
    for (std::size_t slower_part = 3; slower_part < figures.size(); ++slower_part) {
        CHECK(std::stod(figures[slower_part]) >= std::stod(figures[slower_part - 1]));
    }
}

}  // namespace

TEST_CASE("a thousand clients in one room get every message, in each sender's order")
{
    server chat;
    constexpr int messages = 10 / slower;
    const auto run = put_load(
        chat, {"--clients", "1000", "--speakers", "10", "--messages", std::to_string(messages)});
    INFO(run.out << run.err);
    CHECK(run.status == 0);
    const auto all = messages * 10 * 1000;
    CHECK(
        run.said().count(fmt::format(
            "{} of {} messages arrived, 0 out of order; 0 clients were cut off", all, all)) == 1);
    check_figures(run.out);
    check_stops(chat);
}

TEST_CASE("a thousand clients in ten rooms who all speak get every message")
{
    server chat;
    constexpr int clients = 1000 / slower;
    const auto run = put_load(
        chat, {"--clients", std::to_string(clients), "--rooms", "10", "--speakers",
               std::to_string(clients), "--messages", "1"});
    INFO(run.out << run.err);
    CHECK(run.status == 0);
    const auto all = clients * clients / 10;
    CHECK(
        run.said().count(fmt::format(
            "{} of {} messages arrived, 0 out of order; 0 clients were cut off", all, all)) == 1);
    check_stops(chat);
}

TEST_CASE("what was said before a load is no part of it")
{
    server chat({"--rate", "1000", "--burst", "100"});
    auto ear = tests::peer::in_room(chat.port(), "Ear", "load-0");
    for (int round = 0; round < 2; ++round) {
        const auto run = put_load(
            chat, {"--clients", "3", "--speakers", "2", "--messages", "30", "--rate", "1000"});
        INFO(run.out << run.err);
        CHECK(run.status == 0);
        CHECK(
            run.said().count(
                "180 of 180 messages arrived, 0 out of order; 0 clients were cut off") == 1);
        for (int client = 0; client < 3; ++client) {
            ear.next("left");  // and its name is free again
        }
    }
}

TEST_CASE("a load that is not served is told from one that is")
{
    server chat({"--clients", "3"});
    const auto run = put_load(chat, {"--clients", "4", "--speakers", "1", "--deadline", "20"});
    CHECK(run.status == 1);
    CHECK(run.err.find("The WebSocket handshake was declined") != std::string::npos);
}

TEST_CASE("a load that takes too long says how far it came, and one without a server, where it is")
{
    server chat;
    const auto late = put_load(
        chat, {"--clients", "2", "--speakers", "1", "--messages", "9999", "--rate", "4",
               "--deadline", "3"});
    INFO(late.out << late.err);
    CHECK(late.status == 1);
    std::smatch seconds;
    REQUIRE(std::regex_search(late.out, seconds, std::regex(R"(^not done after (\d+) s\n)")));
    CHECK(std::stoi(seconds[1]) >= 3);
    CHECK(late.out.find(" of 19998 messages arrived") != std::string::npos);
    check_figures(late.out);

    chat.signal(SIGTERM);
    chat.wait();
    const auto alone = put_load(chat, {"--clients", "1", "--speakers", "1"});
    CHECK(alone.status == 1);
    CHECK(
        alone.err ==
        fmt::format(
            "chat_server: no connection to 127.0.0.1:{}: Connection refused\n", chat.port()));
}

TEST_CASE("a load whose server stops in the middle says how much is missing")
{
    server chat;
    auto ear = tests::peer::in_room(chat.port(), "Ear", "load-0");
    support::background_program load(
        PROGRAM,
        load_options(
            chat, {"--clients", "3", "--speakers", "2", "--messages", "9999", "--rate", "4"}));
    ear.next("said");
    chat.signal(SIGTERM);
    const auto run = load.wait();
    INFO(run.out << run.err);
    CHECK(run.status == 1);
    CHECK(run.err == "");
    CHECK(
        run.out.find(" of 59994 messages arrived, 0 out of order; 3 clients were cut off") !=
        std::string::npos);
    chat.wait();
}
