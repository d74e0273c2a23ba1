// web_scraper · A crawler that keeps to limits
//
// Idea     A queue and a pace for each host, one semaphore for all, and no page twice.
// Lessons  005_creating_tasks, 007_semaphore, 008_queue, 014_timeouts, 018_executors
// Run      ./learn run web_scraper --help
// Read     projects/web_scraper/README.md, and docs/progression.md, Part V

#include "web_scraper/crawl.hpp"
#include "web_scraper/files.hpp"
#include "web_scraper/graph.hpp"
#include "web_scraper/http_fetch.hpp"
#include "web_scraper/report.hpp"
#include "web_scraper/site.hpp"
#include "web_scraper/url.hpp"

#include "api_client/http_pool.hpp"

#include "common/clock.hpp"
#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/run.hpp"
#include "common/serving.hpp"
#include "common/task_group.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using asio::awaitable;
using namespace std::chrono_literals;
using namespace web_scraper;

namespace {

struct options {
    std::string start;
    std::filesystem::path folder = "crawl";
    double rate = 10;     // requests a second to each host
    double timeout = 30;  // seconds for each page
    limits bounds;
};

common::duration from_seconds(double seconds)
{
    return std::chrono::duration_cast<common::duration>(std::chrono::duration<double>(seconds));
}

void say_how_far(const progress& now)
{
    common::log(
        "crawler", "{} pages asked for, {} under way, {} waiting, {:.1f} MiB", now.asked,
        now.under_way, now.waiting, static_cast<double>(now.bytes) / (1024 * 1024));
}

awaitable<void> say_how_far_each_second(const crawler& crawl)
{
    while (true) {
        co_await common::sleep_for(1s);
        say_how_far(crawl.so_far());
    }
}

awaitable<void> stop_at_signal(
    common::stop_signal& signal, common::task_group& everything, ending& ended)
{
    co_await signal.wait();
    common::log("crawler", "stops, and writes what it has");
    ended = ending::interrupted;
    everything.cancel();
}

// Crawls until the end, a limit, or Ctrl-C. What is known then is in `whole`, in each case.
awaitable<crawl_facts> explore(url start, limits bounds, common::stop_signal& signal, site& whole)
{
    http::pool_limits connections;
    connections.connections_per_host = bounds.concurrency;
    connections.kept = bounds.concurrency;
    http::pool pool(connections);
    crawler crawl(bounds, http_fetch(pool), whole);
    auto ended = ending::finished;

    const auto began = common::now();
    const auto all = [&](common::task_group& everything) -> awaitable<void> {
        everything.spawn(stop_at_signal(signal, everything, ended));
        everything.spawn(say_how_far_each_second(crawl));
        co_await crawl.run(start);
        ended = crawl.ended();
        everything.cancel();
    };
    co_await common::with_task_group(all);

    crawl_facts facts;
    facts.ended = ended;
    facts.seconds = common::seconds_since(began);
    facts.bytes = crawl.so_far().bytes;
    facts.left_out = crawl.so_far().left_out;
    facts.most_redirects = bounds.redirects;
    co_return facts;
}

// The folder was there when the crawl began. Meanwhile somebody may have removed it.
void write_reports(const std::filesystem::path& folder, const site& whole, const crawl_facts& facts)
{
    std::filesystem::create_directories(folder);
    const auto dot = [&](const text_sink& out) { to_dot(whole, facts.most_redirects, out); };
    const auto html = [&](const text_sink& out) { to_html(whole, facts, out); };
    const auto json = [&](const text_sink& out) { to_json(whole, facts, out); };
    write_file(folder / "links.dot", dot);
    write_file(folder / "report.html", html);
    write_file(folder / "report.json", json);
}

void print_summary(const options& given, const site& whole, const crawl_facts& facts)
{
    common::log("crawler", "{}; of {} pages known:", name_of(facts.ended), whole.size());
    for (const auto each : all_states()) {
        if (const auto count = whole.count(each); count > 0) {
            fmt::print("{:>7} {}\n", count, name_of(each));
        }
    }
    if (facts.left_out > 0) {
        fmt::print("links left out, since too much is known: {}\n", facts.left_out);
    }
    constexpr std::size_t most_shown = 10;
    const auto broken = broken_links(whole, facts.most_redirects);
    fmt::print("broken links: {}\n", broken.size());
    for (std::size_t at = 0; at < std::min(broken.size(), most_shown); ++at) {
        const auto& [number, reason, found_on] = broken[at];
        fmt::print("    {}\n        {}\n", whole[number].address.text(), reason);
        if (!found_on.empty()) {
            const auto others = found_on.size() - 1;
            fmt::print(
                "        on {}{}\n", whole[found_on.front()].address.text(),
                others > 0 ? fmt::format(" and {} more", others) : "");
        }
    }
    if (broken.size() > most_shown) {
        fmt::print("    and {} more\n", broken.size() - most_shown);
    }
    fmt::print("report.html, report.json and links.dot are in {}\n", given.folder.string());
    std::fflush(stdout);  // while no Ctrl-C can come between
}

// Why there is not a single page, where that is so.
std::string what_is_wrong_with_the_start(const site& whole, int most_redirects)
{
    if (const auto trouble = whole.trouble_with(0, most_redirects)) {
        return *trouble;
    }
    page_number last = 0;
    while (const auto next = whole[last].redirect_to) {
        last = *next;
    }
    const auto& end = whole[last];
    const auto where = last == 0 ? "" : fmt::format("redirects to {}: ", end.address.text());
    return fmt::format(
        "{}{}{}", where, name_of(end.is), end.detail.empty() ? "" : ": " + end.detail);
}

// What is known may be more than what is asked for, by so much: the other ends of links belong into
// the report. Few sites have as many.
void limit_what_is_known(limits& bounds)
{
    const auto pages = std::max<std::size_t>(bounds.pages, 1000);
    bounds.known = 20 * pages;
    bounds.links = 300 * pages;
    bounds.link_bytes = 200 * bounds.links;
}

// The loop stands still while the files are written; nobody else is left on it. It may be turned
// for a while after this, for a name that is being looked up, so the files come first.
awaitable<crawl_facts> crawl_and_report(options given, url start, site& whole)
{
    const auto executor = co_await asio::this_coro::executor;
    common::stop_signal signal(executor);
    const auto facts = co_await explore(start, given.bounds, signal, whole);
    // A second Ctrl-C ends a crawl that takes too long over stopping. From here on none does: these
    // take the signals, and nobody asks for them.
    const asio::signal_set ignored(executor, SIGINT, SIGTERM);
    write_reports(given.folder, whole, facts);
    print_summary(given, whole, facts);
    co_return facts;
}

// Gives the exit status: 1 if no page at all was fetched, and nobody has interrupted it. What is
// wrong with some of them is what one wants to know.
int run(const options& given, const url& start)
{
    make_folder(given.folder);  // where that fails, no server has been bothered
    common::raise_descriptor_limit();
    site whole;
    const auto facts =
        common::run(crawl_and_report(given, start, whole), common::clock_mode::steady);
    if (whole.count(state::fetched) > 0 || facts.ended == ending::interrupted) {
        return 0;
    }
    common::complain(
        "web_scraper",
        fmt::format(
            "{}: {}", start.text(), what_is_wrong_with_the_start(whole, facts.most_redirects)));
    return 1;
}

void describe(CLI::App& app, options& given)
{
    auto& bounds = given.bounds;
    app.add_option("URL", given.start, "Where to start: http://...")->required();
    app.add_option("-o,--out", given.folder, "Folder for report.html, report.json and links.dot")
        ->capture_default_str();
    app.add_option("-c,--concurrency", bounds.concurrency, "Requests under way at a time")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option("-r,--rate", given.rate, "Requests a second to each host")
        ->check(CLI::Range(0.001, 100'000.0))
        ->capture_default_str();
    app.add_option("-d,--depth", bounds.depth, "Links away from the start")
        ->check(CLI::Range(0, 1'000'000))
        ->capture_default_str();
    app.add_option(
           "-p,--pages", bounds.pages,
           "Pages that are asked for; 20 times as many may be known, and at least 20000")
        ->check(CLI::Range(1, 10'000'000))
        ->capture_default_str();
    app.add_option("--page-bytes", bounds.page_bytes, "Bytes of one page; suffixes KiB, MiB")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40))
        ->capture_default_str();
    app.add_option("--bytes", bounds.bytes, "Bytes of all pages; suffixes KiB, MiB, GiB")
        ->transform(CLI::AsSizeValue(false))
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40))
        ->capture_default_str();
    app.add_option("--redirects", bounds.redirects, "Redirects in a row")
        ->check(CLI::Range(0, 100))
        ->capture_default_str();
    app.add_option("--timeout", given.timeout, "Seconds for one page, from request to its end")
        ->check(CLI::Range(0.001, 86'400.0))
        ->capture_default_str();
    const CLI::Validator is_host(
        [](std::string& text) {
            const auto named = host_named(text);
            if (!named) {
                return fmt::format("'{}' is neither NAME nor NAME:PORT", text);
            }
            text = *named;
            return std::string();
        },
        "");
    app.add_option("--host", bounds.hosts, "Go to this host, too: NAME or NAME:PORT; repeatable")
        ->transform(is_host)
        ->type_name("HOST")
        ->allow_extra_args(false);
}

}  // namespace

int main(int argc, char** argv)
{
    common::open_standard_streams();
    options given;
    CLI::App app(
        "Goes through a web site from link to link, within limits, and reports broken links.",
        "web_scraper");
    describe(app, given);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error, std::cout, std::cerr) == 0 ? 0 : 2;
    }
    const auto start = url::parse(given.start);
    if (!start || start->scheme() != "http") {
        common::complain("web_scraper", fmt::format("'{}' is no http:// address", given.start));
        return 2;
    }
    limit_what_is_known(given.bounds);
    given.bounds.interval = from_seconds(1 / given.rate);
    given.bounds.timeout = from_seconds(given.timeout);
    try {
        return run(given, *start);
    } catch (const std::exception& error) {
        common::complain("web_scraper", error.what());
        return 1;
    }
}
