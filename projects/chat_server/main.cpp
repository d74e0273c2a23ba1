// chat_server · A chat in the browser
//
// Idea     A server speaks to a thousand clients, and none of them can make the others wait.
// Lessons  008_queue, 009_event, 012_streams, 014_timeouts
// Run      ./learn run chat_server --port 8080
// Read     projects/chat_server/README.md, and docs/progression.md, Part V

#include "chat_server/load.hpp"
#include "chat_server/origin.hpp"
#include "chat_server/server.hpp"

#include "common/command_line.hpp"
#include "common/run.hpp"

#include <boost/system/system_error.hpp>

#include <CLI/CLI.hpp>

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

namespace {

constexpr auto real = common::clock_mode::steady;  // clients from outside live in real time

common::duration seconds(double count)
{
    return std::chrono::duration_cast<common::duration>(std::chrono::duration<double>(count));
}

struct settings {
    unsigned short port = 8080;
    std::vector<std::string> origins;
    chat::limits allowed;
    chat::load load;
};

// Has the option set the member, given in seconds.
CLI::Option* add_seconds(
    CLI::App& app, const std::string& name, common::duration& value, const std::string& help)
{
    const auto set = [&value](const double& given) { value = seconds(given); };
    const auto usual = std::chrono::duration<double>(value).count();
    return app.add_option_function<double>(name, set, help)
        ->check(CLI::Range(0.001, 86'400.0))
        ->type_name("SECONDS")
        ->default_str(fmt::format("{}", usual));
}

void add_options(CLI::App& app, settings& given)
{
    const CLI::Range at_least_one(std::size_t(1), std::size_t(1'000'000));
    const CLI::Range some(0.001, 1'000'000.0);
    auto& allowed = given.allowed;
    app.add_option("--port", given.port, "where to listen; 0 for a free one")
        ->capture_default_str();
    app.add_option("--origin", given.origins, "a site whose pages may chat, too: https://a.example")
        ->check([](const std::string& text) {
            return chat::is_origin(text) ? ""
                                         : "'" + text + "' is no origin like https://a.example";
        });
    app.add_option("--clients", allowed.clients, "in the chat at once")
        ->check(at_least_one)
        ->capture_default_str();
    app.add_option("--rooms", allowed.rooms, "rooms at once")
        ->check(at_least_one)
        ->capture_default_str();
    app.add_option("--history", allowed.history, "messages that a room keeps")
        ->check(CLI::Range(std::size_t(0), std::size_t(1'000'000)))
        ->capture_default_str();
    app.add_option("--rate", allowed.rate, "messages a second that a client may send")
        ->check(some)
        ->capture_default_str();
    app.add_option("--burst", allowed.burst, "messages that it may send at once")
        ->check(CLI::Range(1.0, 1'000'000.0))
        ->capture_default_str();
    // Who enters all its rooms at once has an answer for each of them, and for its name, and news.
    const auto fewest = allowed.rooms_per_client + 10;
    app.add_option(
           "--outgoing", allowed.outgoing,
           "messages that may wait for a client; a room's history counts as one")
        ->check(CLI::Range(fewest, std::size_t(1'000'000)))
        ->capture_default_str();
    add_seconds(
        app, "--patience", allowed.patience,
        "with a client that does not take a message, or says no name");
    add_seconds(app, "--idle", allowed.idle, "until a silent client counts as gone");
    add_seconds(app, "--grace", allowed.grace, "for goodbyes, when the server stops");
}

void add_load_options(CLI::App& app, settings& given)
{
    const CLI::Range at_least_one(std::size_t(1), std::size_t(1'000'000));
    auto& load = given.load;
    app.add_option("--port", given.port, "where the server is")->capture_default_str();
    app.add_option("--clients", load.clients, "how many")
        ->check(at_least_one)
        ->capture_default_str();
    app.add_option("--rooms", load.rooms, "into which they are divided")
        ->check(at_least_one)
        ->capture_default_str();
    app.add_option("--speakers", load.speakers, "how many of them speak")
        ->check(at_least_one)
        ->capture_default_str();
    app.add_option("--messages", load.messages, "that each speaker says")
        ->check(at_least_one)
        ->capture_default_str();
    app.add_option("--rate", load.rate, "messages a second from each speaker")
        ->check(CLI::Range(0.001, 1'000'000.0))
        ->capture_default_str();
    add_seconds(app, "--deadline", load.deadline, "for all of it");
}

// Throws CLI::ValidationError for what makes no sense together.
void check(const settings& given)
{
    if (given.load.speakers > given.load.clients) {
        throw CLI::ValidationError("--speakers cannot be more than --clients");
    }
}

}  // namespace

int main(int argc, char** argv)
{
    common::open_standard_streams();
    CLI::App app("A chat in the browser: serves until SIGINT or SIGTERM", "chat_server");
    settings given;
    add_options(app, given);
    auto& load = *app.add_subcommand("load", "puts load on a server that runs, and measures");
    add_load_options(load, given);
    try {
        app.parse(argc, argv);
        check(given);
    } catch (const CLI::ParseError& refusal) {
        return app.exit(refusal, std::cout, std::cerr) == 0 ? 0 : 2;
    }

    try {
        if (load) {
            return common::run(chat::run_load(given.port, given.load), real) ? 0 : 1;
        }
        common::run(chat::serve_port(given.port, given.allowed, given.origins), real);
        return 0;
    } catch (const boost::system::system_error& failure) {
        common::complain("chat_server", failure.code().message());
    } catch (const std::exception& failure) {
        common::complain("chat_server", failure.what());
    }
    return 1;
}
