// api_client · A client that gives up neither too early nor too late
//
// Idea     A call has a deadline; what fails on the way decides whether it is worth another try.
// Lessons  004_exception_handling, 007_semaphore, 012_streams, 014_timeouts
// Run      ./learn run api_client --help
// Read     projects/api_client/README.md, and docs/progression.md, Part V

#include "api_client/commands.hpp"
#include "api_client/demo.hpp"

#include "common/clock.hpp"
#include "common/command_line.hpp"
#include "common/run.hpp"

#include <CLI/CLI.hpp>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>
#include <stdexcept>

namespace {

void add_common_options(CLI::App& command, api::settings& chosen)
{
    const CLI::Range a_while(0.001, 86400.0);
    command.add_option("URL", chosen.url, "http://...")->required();
    command.add_option("-H,--header", chosen.headers, "'Name: value', to be sent")
        ->allow_extra_args(false);
    command.add_option("--deadline", chosen.deadline, "seconds for a call, with all its tries")
        ->check(a_while)
        ->capture_default_str();
    command.add_option("--try-limit", chosen.try_limit, "seconds for one try")
        ->check(a_while)
        ->capture_default_str();
    command.add_option("--tries", chosen.tries, "how often to try")
        ->check(CLI::Range(1, 100))
        ->capture_default_str();
    command.add_option("--body-limit", chosen.body_limit, "bytes of an answer at most: 10k, 8m")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(std::uint64_t(0), std::uint64_t(1) << 40))
        ->capture_default_str();
    command.add_flag(
        "-v,--verbose", chosen.verbose, "tell on stderr of each try that another follows");
}

void add_paging_options(CLI::App& command, api::paging& pages)
{
    command.add_option("--items", pages.items, "the member with the items")->capture_default_str();
    command.add_option("--next", pages.next, "the member with the next page")
        ->capture_default_str();
    command.add_option("--pages", pages.most_pages, "pages at most; a list with more is an error")
        ->check(CLI::Range(std::size_t(1), std::size_t(1'000'000'000)))
        ->capture_default_str();
}

// What goes wrong here is the command line's fault, or the world's.
int run(const std::function<void()>& command)
{
    try {
        command();
        return 0;
    } catch (const http::bad_url& error) {
        common::complain("api_client", error.what());
        return 2;
    } catch (const std::invalid_argument& error) {
        common::complain("api_client", error.what());
        return 2;
    } catch (const std::exception& error) {
        common::complain("api_client", error.what());
        return 1;
    }
}

}  // namespace

int main(int argc, char** argv)
{
    common::open_standard_streams();
    CLI::App app(
        "Asks servers over HTTP, and gives up neither too early nor too late.", "api_client");
    app.require_subcommand(0, 1);
    api::settings chosen;

    // A server on the network has no virtual time.
    std::function<void()> command = [] { common::run(api::demonstrate()); };
    const auto on_steady_clock = [&](auto coroutine) {
        return [&, coroutine] {
            command = [&, coroutine] {
                common::run(coroutine(chosen), common::clock_mode::steady);
            };
        };
    };

    app.add_subcommand("demo", "show it all with a server in this program; the default");
    auto* const get = app.add_subcommand("get", "print what is at a URL");
    get->callback(on_steady_clock(api::get));
    add_common_options(*get, chosen);

    auto* const post = app.add_subcommand("post", "send data to a URL, and print the answer");
    post->callback(on_steady_clock(api::post));
    add_common_options(*post, chosen);
    post->add_option("--data", chosen.data, "what to send");
    post->add_option("--key", chosen.key, "an Idempotency-Key, with which it may be sent twice");

    auto* const list =
        app.add_subcommand("list", "print a list, an item to a line, page after page");
    list->callback(on_steady_clock(api::list));
    add_common_options(*list, chosen);
    add_paging_options(*list, chosen.pages);

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return run(command);
}
