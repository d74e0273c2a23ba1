// The program against a real nginx. What it has asked for, and when, is read from nginx's own log.

#include "nginx.hpp"
#include "folder.hpp"

#include "tests/support/document.hpp"
#include "tests/support/program.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace json = boost::json;
using tests::folder;
using tests::nginx;
using tests::times_asked;
using namespace std::chrono_literals;

namespace {

using strings = std::vector<std::string>;

constexpr auto full_speed = "--rate=100000";

support::program_options options_for(const folder& out, const std::string& start, strings more)
{
    support::program_options options;
    options.arguments = {start, "--out", out.path().string()};
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    options.deadline = 100s;
    return options;
}

// The number in a line of progress that stands before `what`, such as " under way".
int number_before(std::string_view what, const std::string& line)
{
    const auto end = line.find(what);
    return std::stoi(line.substr(line.rfind(' ', end - 1) + 1));
}

// Waits until the program, which is in the middle of its crawl, has some page.
void wait_for_a_page(support::background_program& program)
{
    std::string line;
    do {
        line = program.wait_for_line("pages asked for");
    } while (number_before(" pages asked for", line) <= number_before(" under way", line));
}

bool has_begun_to_write(const folder& out)
{
    for (const auto& file : std::filesystem::directory_iterator(out.path())) {
        if (file.path().filename().string().starts_with("links.dot")) {
            return true;
        }
    }
    return false;
}

// A run of the program to its end, and the report that it has written.
struct crawl {
    crawl(const std::string& start, strings more = {full_speed})
        : run(support::run_program(PROGRAM, options_for(out, start, std::move(more))))
    {
        INFO(run.out << run.err);
        REQUIRE_FALSE(run.timed_out);
        report = json::parse(out.read("report.json"));
    }

    folder out;
    support::program_run run;
    json::value report;
};

std::string text(const json::value& value)
{
    return std::string(value.as_string());
}

// The entry of a page, or of a broken link, by its address.
const json::object& entry(
    const json::value& report, const std::string& list, const std::string& url)
{
    for (const auto& each : report.at(list).as_array()) {
        if (text(each.at("url")) == url) {
            return each.as_object();
        }
    }
    throw std::runtime_error(url + " is not among the " + list + " of " + json::serialize(report));
}

std::string state_of(const crawl& done, const std::string& url)
{
    return text(entry(done.report, "pages", url).at("state"));
}

std::string reason_of(const crawl& done, const std::string& url)
{
    return text(entry(done.report, "broken", url).at("reason"));
}

std::size_t broken_in(const crawl& done)
{
    return done.report.at("broken").as_array().size();
}

std::size_t counted(const crawl& done, const std::string& state)
{
    const auto* const count = done.report.at("summary").as_object().if_contains(state);
    return count == nullptr ? 0 : count->to_number<std::size_t>();
}

std::string page_with(const strings& links, std::size_t size = 0)
{
    std::string page = "<!DOCTYPE html>\n";
    for (const auto& link : links) {
        page += "<a href=\"" + link + "\">link</a>\n";
    }
    page.resize(std::max(page.size(), size), ' ');
    return page;
}

std::string name_of_page(int number)
{
    return fmt::format("{}/{}.html", number % 10, number);
}

// Pages 0 to count - 1, each of `size` bytes. Page n links to 2n + 1 and 2n + 2, which makes a
// tree, to the page before it, and to page 0. Gives the number of links.
int generate_site(const folder& site, int count, std::size_t size)
{
    int links_in_all = 0;
    for (int number = 0; number < count; ++number) {
        std::set<int> links{0};
        for (const int to : {2 * number + 1, 2 * number + 2, number - 1}) {
            if (to >= 0 && to < count) {
                links.insert(to);
            }
        }
        strings references;
        for (const int to : links) {
            references.push_back("../" + name_of_page(to));
        }
        site.write(name_of_page(number), page_with(references, size));
        links_in_all += static_cast<int>(links.size());
    }
    return links_in_all;
}

std::size_t occurrences(const std::string& text, const std::string& part)
{
    std::size_t count = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + part.size())) {
        ++count;
    }
    return count;
}

// In place of the port and the folder that this time has, those that the document has.
std::string as_documented(std::string text, const nginx& server, const folder& out)
{
    const std::pair<std::string, std::string> replacements[] = {
        {std::to_string(server.port()), "8000"}, {out.path().string(), "/tmp/crawl"}};
    for (const auto& [here, there] : replacements) {
        for (auto at = text.find(here); at != text.npos; at = text.find(here, at)) {
            text.replace(at, here.size(), there);
        }
    }
    return text;
}

}  // namespace

TEST_CASE("the peak of a log is the number of requests at the busiest moment")
{
    CHECK(tests::peak_of({}) == 0);
    const tests::logged_request first{"/a", 200, 1, 2, 1};
    CHECK(tests::peak_of({first, {"/b", 200, 2, 3, 1}}) == 1);
    CHECK(tests::peak_of({first, {"/b", 200, 1.999, 3, 2}, {"/c", 200, 1.5, 1.9, 3}}) == 2);
    CHECK(tests::peak_of({first, {"/b", 200, 1.2, 4, 2}, {"/c", 200, 1.9, 3.5, 3}}) == 3);
}

TEST_CASE("nginx: a site of 1000 pages, each once, and never more than 8 at a time")
{
    nginx server(tests::slow_pages(20));
    const int links = generate_site(server.site(), 1000, 1500);
    crawl done(server.address("/0/0.html"), {full_speed, "--concurrency=8"});
    CHECK(done.run.status == 0);
    CHECK(done.run.err == "");

    CHECK(counted(done, "fetched") == 1000);
    CHECK(done.report.at("pages").as_array().size() == 1000);
    CHECK(broken_in(done) == 0);
    CHECK(done.report.at("bytes").to_number<int>() >= 1000 * 1500);
    CHECK(entry(done.report, "pages", server.address("/9/999.html")).at("depth") == 9);

    const auto graph = done.out.read("links.dot");
    CHECK(occurrences(graph, " -> ") == static_cast<std::size_t>(links));
    CHECK(occurrences(graph, "label=") == 1000);

    const auto requests = server.stop();
    CHECK(requests.size() == 1001);  // with robots.txt
    for (const auto& [target, times] : times_asked(requests)) {
        INFO(target);
        CHECK(times == 1);
    }
    CHECK(tests::peak_of(requests) > 1);
    CHECK(tests::peak_of(requests) <= 8);
}

TEST_CASE("nginx: the number of requests at a time is what one asks for")
{
    const int concurrency = GENERATE(1, 3, 20);
    nginx server(tests::slow_pages(15 * concurrency));  // so that all three take as long
    generate_site(server.site(), 100, 1500);
    crawl done(
        server.address("/0/0.html"), {full_speed, fmt::format("--concurrency={}", concurrency)});
    CHECK(counted(done, "fetched") == 100);
    const auto peak = static_cast<int>(tests::peak_of(server.stop()));
    CHECK(peak <= concurrency);
    CHECK(peak > concurrency / 2);  // a busy machine may not get all out in time
}

TEST_CASE("nginx: requests a second are what one asks for")
{
    // Slow, so that several are under way.
    nginx server(fmt::format("location /slow/ {{ {} }}", tests::slow_pages(100)));
    strings names;
    for (int page = 0; page < 60; ++page) {
        names.push_back(fmt::format("slow/{}.html", page));
        server.site().write(names.back(), page_with({}, 1500));
    }
    server.site().write("index.html", page_with(names));
    crawl done(server.address(), {"--rate=40", "--concurrency=50"});
    CHECK(counted(done, "fetched") == 61);

    const auto requests = server.stop();
    REQUIRE(requests.size() == 62);
    CHECK(tests::peak_of(requests) > 1);
    // The first is robots.txt, and the answer to the second names all the others. Each of these is
    // sent so long after the one before. A machine that stalls can only make them arrive later.
    for (std::size_t each = 2; each < requests.size(); ++each) {
        const auto after = requests[each].began - requests[1].began;
        CHECK(after >= 0.9 * static_cast<double>(each - 2) / 40);
    }
}

TEST_CASE("nginx: Crawl-delay is kept to")
{
    nginx server;
    generate_site(server.site(), 6, 100);
    server.site().write("robots.txt", "User-agent: *\nCrawl-delay: 0.2\n");
    crawl done(server.address("/0/0.html"));
    CHECK(counted(done, "fetched") == 6);
    const auto requests = server.stop();
    CHECK(requests.back().began - requests.front().began >= 0.9 * 6 * 0.2);
}

TEST_CASE("nginx: what robots.txt forbids is not asked for, and said in the report")
{
    nginx server;
    server.site().write(
        "robots.txt",
        "User-agent: web_scraper\nDisallow: /private/\nAllow: /private/welcome\nDisallow: "
        "/*.pdf$\n\n"
        "User-agent: *\nDisallow: /\n");
    server.site().write(
        "index.html", page_with({"private/a.html", "private/welcome.html", "b.pdf", "b.pdf?x"}));
    server.site().write("private/a.html", "");
    server.site().write("private/welcome.html", "");
    server.site().write("b.pdf", "");
    crawl done(server.address());
    CHECK(state_of(done, server.address("/private/a.html")) == "disallowed");
    CHECK(state_of(done, server.address("/private/welcome.html")) == "fetched");
    CHECK(state_of(done, server.address("/b.pdf")) == "disallowed");
    CHECK(state_of(done, server.address("/b.pdf?x")) == "fetched");
    CHECK(broken_in(done) == 0);
    auto asked = times_asked(server.stop());
    CHECK(asked["/robots.txt"] == 1);
    CHECK(asked["/private/a.html"] == 0);
    CHECK(asked["/b.pdf"] == 0);
}

TEST_CASE(
    "nginx: a robots.txt that the server cannot give forbids everything, one that is not there "
    "nothing")
{
    const int status = GENERATE(404, 403, 500, 503);
    nginx server(fmt::format("location = /robots.txt {{ return {}; }}", status));
    server.site().write("index.html", page_with({"a.html"}));
    server.site().write("a.html", "");
    crawl done(server.address());
    const auto requests = server.stop();
    if (status < 500) {
        CHECK(done.run.status == 0);
        CHECK(requests.size() == 3);
    } else {
        CHECK(done.run.status == 1);
        CHECK(
            done.run.err.find(fmt::format("robots.txt cannot be read: {}", status)) !=
            std::string::npos);
        CHECK(requests.size() == 1);
    }
}

TEST_CASE("nginx: broken links are reported, with where they were found")
{
    nginx server(
        "location = /teapot { return 418; }\n"
        "location = /failing { return 500; }\n"
        "location = /gone { return 410; }\n");
    server.site().write(
        "index.html", page_with({"a.html", "missing", "teapot", "failing", "gone"}));
    server.site().write("a.html", page_with({"missing", "missing#twice", "/"}));
    crawl done(server.address());
    CHECK(done.run.status == 0);
    CHECK(broken_in(done) == 4);
    CHECK(reason_of(done, server.address("/missing")) == "404 Not Found");
    CHECK(reason_of(done, server.address("/teapot")).starts_with("418"));
    CHECK(reason_of(done, server.address("/failing")) == "500 Internal Server Error");
    CHECK(reason_of(done, server.address("/gone")) == "410 Gone");
    const json::array both = {server.address("/"), server.address("/a.html")};
    CHECK(entry(done.report, "broken", server.address("/missing")).at("found_on") == both);

    const auto html = done.out.read("report.html");
    CHECK(html.find("<h2>Broken links: 4</h2>") != html.npos);
    CHECK(html.find("404 Not Found") != html.npos);
    CHECK(done.run.out.find("broken links: 4") != std::string::npos);
    CHECK(
        done.out.read("links.dot")
            .find("label=\"" + server.address("/missing") + "\", color=red") != std::string::npos);
}

TEST_CASE("nginx: redirects: chains, circles, one that is too long, one that leaves")
{
    nginx elsewhere;
    elsewhere.site().write("index.html", "");
    nginx server(
        "absolute_redirect off;\n"
        "location = /chain { return 301 /chain2; }\n"
        "location = /chain2 { return 302 http://127.0.0.1:{port}/end.html; }\n"
        "location = /circle { return 302 /circle2; }\n"
        "location = /circle2 { return 307 /circle; }\n"
        "location = /self { return 308 /self; }\n"
        "location = /to-nothing { return 301 /nothing; }\n"
        "location ~ ^/long/(a*)$ { return 302 /long/a$1; }\n" +
        fmt::format("location = /away {{ return 302 {}; }}\n", elsewhere.address()));
    server.site().write(
        "index.html",
        page_with({"chain", "circle", "self", "to-nothing", "long/", "away", "folder"}));
    server.site().write("end.html", page_with({"after.html"}));
    server.site().write("after.html", "");
    server.site().write("folder/index.html", "");
    crawl done(server.address(), {full_speed, "--redirects=5"});
    CHECK(done.run.status == 0);
    CHECK(state_of(done, server.address("/after.html")) == "fetched");
    CHECK(state_of(done, server.address("/folder/")) == "fetched");
    CHECK(
        text(entry(done.report, "pages", server.address("/chain")).at("redirects_to")) ==
        server.address("/chain2"));
    CHECK(
        reason_of(done, server.address("/circle")) ==
        "redirects in a circle, by " + server.address("/circle"));
    CHECK(
        reason_of(done, server.address("/self")) ==
        "redirects in a circle, by " + server.address("/self"));
    CHECK(
        reason_of(done, server.address("/to-nothing")) ==
        "redirects to " + server.address("/nothing") + ": 404 Not Found");
    CHECK(reason_of(done, server.address("/long/")) == "more than 5 redirects in a row");
    CHECK(state_of(done, elsewhere.address()) == "elsewhere");
    CHECK(broken_in(done) == 4);
    auto asked = times_asked(server.stop());
    CHECK(asked["/self"] == 1);
    CHECK(asked["/circle"] == 1);
    CHECK(asked["/long/aaaaa"] == 1);
    CHECK(asked["/long/aaaaaa"] == 0);
    CHECK(elsewhere.stop().empty());
}

TEST_CASE("nginx: a page that is too large is given up, and the crawl goes on")
{
    nginx server;
    server.site().write("index.html", page_with({"large.html", "fits.html"}));
    server.site().write("large.html", page_with({"in-the-large-page.html"}, 3'000'000));
    server.site().write("fits.html", page_with({"last.html"}, 100'000));
    server.site().write("last.html", "");
    crawl done(server.address(), {full_speed, "--page-bytes=100kb"});
    CHECK(done.run.status == 0);
    CHECK(state_of(done, server.address("/large.html")) == "too large");
    CHECK(state_of(done, server.address("/fits.html")) == "fetched");
    CHECK(state_of(done, server.address("/last.html")) == "fetched");
    CHECK(times_asked(server.stop()).count("/in-the-large-page.html") == 0);
}

TEST_CASE("nginx: a page that never ends is given up, and the crawl goes on")
{
    nginx server("location = /endless.html { sendfile_max_chunk 1k; limit_rate 1k; }");
    server.site().write("index.html", page_with({"endless.html", "a.html"}));
    server.site().write("endless.html", page_with({"b.html"}, 1'000'000));
    server.site().write("a.html", "");
    crawl done(server.address(), {full_speed, "--timeout=5"});
    CHECK(done.run.status == 0);
    CHECK(reason_of(done, server.address("/endless.html")) == "no whole answer within 5 s");
    CHECK(state_of(done, server.address("/a.html")) == "fetched");
    CHECK(done.report.at("seconds").to_number<double>() >= 5);
}

TEST_CASE("nginx: nobody there")
{
    // A port that is taken, and where nobody listens.
    asio::io_context loop;
    asio::ip::tcp::acceptor deaf(loop, asio::ip::tcp::v4());
    deaf.bind(asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    const auto host = fmt::format("127.0.0.1:{}", deaf.local_endpoint().port());
    const auto nowhere = fmt::format("http://{}/a", host);

    SECTION("at the start")
    {
        crawl done(nowhere);
        CHECK(done.run.status == 1);
        CHECK(done.run.err.find("Connection refused") != std::string::npos);
    }
    SECTION("where a link goes: it is broken")
    {
        nginx server;
        server.site().write("index.html", page_with({nowhere, "a.html"}));
        server.site().write("a.html", "");
        crawl done(server.address(), {full_speed, "--host=" + host});
        CHECK(done.run.status == 0);
        CHECK(state_of(done, nowhere) == "unreachable");
        CHECK(reason_of(done, nowhere).find("Connection refused") != std::string::npos);
        CHECK(state_of(done, server.address("/a.html")) == "fetched");
    }
}

TEST_CASE("nginx: a server that dies in the middle leaves a report of what there was")
{
    nginx server(tests::slow_pages(300));
    generate_site(server.site(), 300, 1500);
    folder out;
    support::background_program program(
        PROGRAM, options_for(out, server.address("/0/0.html"), {full_speed, "--concurrency=4"}));
    wait_for_a_page(program);
    server.kill();
    const auto run = program.wait();
    CHECK(run.status == 0);
    const auto report = json::parse(out.read("report.json"));
    CHECK(report.at("summary").at("fetched").to_number<int>() >= 1);
    CHECK(report.at("broken").as_array().size() >= 1);
    const auto reason = text(report.at("broken").at(0).at("reason"));
    INFO(reason);
    CHECK_FALSE(reason.empty());
}

TEST_CASE("nginx: SIGINT and SIGTERM stop the crawl, and the report is whole")
{
    const int signal = GENERATE(SIGINT, SIGTERM);
    nginx server(tests::slow_pages(300));
    generate_site(server.site(), 300, 1500);
    folder out;
    support::background_program program(
        PROGRAM, options_for(out, server.address("/0/0.html"), {full_speed, "--concurrency=4"}));
    wait_for_a_page(program);
    program.signal(signal);
    const auto run = program.wait();
    CHECK(run.status == 0);
    CHECK(run.err == "");
    CHECK(run.out.find("was interrupted") != std::string::npos);

    const auto report = json::parse(out.read("report.json"));
    CHECK(text(report.at("crawl")) == "was interrupted");
    const auto fetched = report.at("summary").at("fetched").to_number<int>();
    CHECK(fetched >= 1);
    CHECK(fetched < 300);
    CHECK(out.read("report.html").ends_with("</table>\n"));
    CHECK(out.read("links.dot").ends_with("}\n"));
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(out.path())) {
        ++files;
    }
    CHECK(files == 3);
}

TEST_CASE("nginx: however often Ctrl-C comes while the report is written, it is whole")
{
    const bool stops_the_crawl = GENERATE(false, true);  // the first one does
    nginx server("location = /endless.html { sendfile_max_chunk 1k; limit_rate 1k; }");
    server.site().write("endless.html", page_with({}, 1'000'000));
    strings links;
    if (stops_the_crawl) {
        links.push_back("endless.html");
    }
    for (int number = 0; number < 9000; ++number) {
        links.push_back(fmt::format("http://example.org/{}", number));
    }
    server.site().write("index.html", page_with(links));
    // Until at least one came in time.
    for (int signals = 0; signals == 0;) {
        folder out;
        support::background_program program(
            PROGRAM, options_for(out, server.address(), {full_speed}));
        if (stops_the_crawl) {
            wait_for_a_page(program);
            program.signal(SIGINT);
        }
        // From the moment in which there is a file, or the beginning of one, to the program's end.
        while (!has_begun_to_write(out) && program.running()) {
            std::this_thread::sleep_for(1ms);
        }
        while (program.running()) {
            program.signal(SIGINT);
            program.signal(SIGTERM);
            ++signals;
            std::this_thread::sleep_for(1ms);
        }
        const auto run = program.wait();
        INFO(run.out << run.err);
        CHECK(run.out.find("report.html, report.json and links.dot are in") != std::string::npos);
        CHECK(json::parse(out.read("report.json")).at("pages").as_array().size() > 9000);
        CHECK(out.read("report.html").ends_with("</table>\n"));
        CHECK(out.read("links.dot").ends_with("}\n"));
        const auto files = std::filesystem::directory_iterator(out.path());
        CHECK(std::distance(files, std::filesystem::directory_iterator()) == 3);
    }
}

TEST_CASE("nginx: a page of many spellings is asked for once")
{
    nginx server;
    server.site().write(
        "index.html", page_with(
                          {"a.html", "./a.html", "b/../a.html", "a.html#part", "%61.html",
                           "/../a.html", fmt::format("HTTP://127.0.0.1:{}/a.html", server.port()),
                           " a.html ", "/", "index.html"}));
    server.site().write("a.html", page_with({"", "#", "?", "?x=1&amp;y=2"}));
    crawl done(server.address());
    auto asked = times_asked(server.stop());
    CHECK(asked["/a.html"] == 1);
    CHECK(asked["/a.html?"] == 1);
    CHECK(asked["/a.html?x=1&y=2"] == 1);
    CHECK(asked["/"] == 1);
    CHECK(asked["/index.html"] == 1);
    CHECK(asked.size() == 6);
}

TEST_CASE("nginx: what is no HTML is fetched, and not parsed")
{
    nginx server;
    server.site().write("index.html", page_with({"a.txt", "b.bin"}));
    server.site().write("a.txt", page_with({"c.html"}));
    server.site().write("b.bin", page_with({"d.html"}));
    crawl done(server.address());
    CHECK(counted(done, "fetched") == 3);
    CHECK(server.stop().size() == 4);
}

TEST_CASE("nginx: limits on depth, pages and bytes")
{
    nginx server;
    generate_site(server.site(), 127, 1000);  // a tree of depth 6
    const auto start = server.address("/0/0.html");

    SECTION("depth")
    {
        crawl done(start, {full_speed, "--depth=3"});
        CHECK(counted(done, "fetched") == 15);
        CHECK(counted(done, "too deep") == 16);
        CHECK(server.stop().size() == 16);
    }
    SECTION("pages")
    {
        crawl done(start, {full_speed, "--pages=20"});
        CHECK(counted(done, "fetched") == 20);
        CHECK(text(done.report.at("crawl")) == "stopped at the limit on pages");
        CHECK(server.stop().size() == 21);
    }
    SECTION("bytes")
    {
        crawl done(start, {full_speed, "--bytes=30000", "--concurrency=2"});
        CHECK(text(done.report.at("crawl")) == "stopped at the limit on bytes");
        const auto requests = server.stop().size();
        CHECK(requests >= 31);
        CHECK(requests <= 33);
    }
}

TEST_CASE("nginx: three pages that name 30 000 make no more known than there is room for")
{
    nginx server;
    const auto numbered = [](int from, strings links) {
        for (int number = from; links.size() < 10'000; ++number) {
            links.push_back(fmt::format("{}", number));
        }
        return page_with(links);
    };
    server.site().write("index.html", numbered(0, {"a.html", "b.html"}));
    server.site().write("a.html", numbered(100'000, {}));
    server.site().write("b.html", numbered(200'000, {}));
    crawl done(server.address(), {full_speed, "--pages=3", "--concurrency=1"});
    CHECK(done.report.at("pages").as_array().size() == 20'000);
    CHECK(done.report.at("links_left_out") == 10'001);
    CHECK(done.run.out.find("left out, since too much is known: 10001\n") != std::string::npos);
    CHECK(text(done.report.at("crawl")) == "stopped at the limit on pages");
    CHECK(server.stop().size() == 4);
}

TEST_CASE("nginx: another host is asked for nothing, unless it is named")
{
    nginx other;
    other.site().write("index.html", page_with({"a.html"}));
    other.site().write("a.html", "");
    nginx server;
    server.site().write("index.html", page_with({other.address(), "https://127.0.0.1/"}));

    SECTION("by default")
    {
        crawl done(server.address());
        CHECK(state_of(done, other.address()) == "elsewhere");
        CHECK(state_of(done, "https://127.0.0.1/") == "elsewhere");
        CHECK(other.stop().empty());
    }
    SECTION("named")
    {
        crawl done(
            server.address(), {full_speed, fmt::format("--host=127.0.0.1:{}", other.port())});
        CHECK(state_of(done, other.address("/a.html")) == "fetched");
        CHECK(times_asked(other.stop()).at("/robots.txt") == 1);
    }
    SECTION("named in another spelling")
    {
        const auto there = fmt::format("http://localhost:{}/", other.port());
        server.site().write("index.html", page_with({there}));
        crawl done(
            server.address(), {full_speed, fmt::format("--host=LocalHost:{}", other.port())});
        CHECK(state_of(done, there) != "elsewhere");
    }
}

TEST_CASE("nginx: what a server writes does no harm in the report")
{
    nginx server(
        "location = /odd { return 302 \"javascript:'<script>alert(1)</script>\"; }\n"
        "location = /amp { return 404; }\n");
    server.site().write(
        "index.html", page_with({"odd", "amp?a=1&amp;b='x'", "quote\\\"&quot;back\\slash"}));
    crawl done(server.address());
    const auto html = done.out.read("report.html");
    CHECK(html.find("<script>") == html.npos);
    CHECK(html.find("&lt;script&gt;") != html.npos);
    CHECK(html.find("amp?a=1&amp;b=&#39;x&#39;") != html.npos);
    CHECK(reason_of(done, server.address("/odd")).find("<script>") != std::string::npos);
}

TEST_CASE("nginx: connections are kept for the next request")
{
    nginx server;
    generate_site(server.site(), 100, 100);
    crawl done(server.address("/0/0.html"), {full_speed, "--concurrency=2"});
    CHECK(counted(done, "fetched") == 100);
    std::set<long> connections;
    for (const auto& each : server.stop()) {
        connections.insert(each.connection);
    }
    CHECK(connections.size() <= 2);
}

TEST_CASE("nginx: the run that progression.md shows")
{
    nginx server;
    server.site().write(
        "index.html", "<a href=\"menu.html\">Menu</a> <a href=\"news.html\">News</a>");
    server.site().write(
        "menu.html", "<a href=\".\">Back</a> <a href=\"http://example.org/\">Friends</a>");
    crawl done(server.address(), {});
    CHECK(done.report.at("seconds").to_number<double>() >= 0.3);  // robots.txt, and three after it

    const support::document whole(
        support::read_file(support::source_dir() / "docs/progression.md"));
    const auto blocks = whole.section(2, "web_scraper · ").section(3, "A run").code_blocks();
    REQUIRE(blocks.size() == 1);
    const auto& shown = blocks[0].text;
    // From run to run the time differs, and a slow one says before how far it is.
    const auto without_time = [](const std::string& text) {
        const auto at = text.find("s] crawler: finished");
        return at == text.npos ? text : text.substr(at);
    };
    const auto expected = without_time(as_documented(done.run.out, server, done.out)) +
                          "$ cat /tmp/crawl/links.dot\n" +
                          as_documented(done.out.read("links.dot"), server, done.out);
    CHECK(without_time(shown) == expected);
}

TEST_CASE("the program explains itself, and refuses what makes no sense")
{
    const auto help = support::run_program(PROGRAM, {.arguments = {"--help"}});
    CHECK(help.status == 0);
    CHECK(help.err == "");
    for (const auto* option :
         {"--concurrency", "--rate", "--depth", "--pages", "--bytes", "--page-bytes", "--redirects",
          "--timeout", "--host", "--out"}) {
        INFO(option);
        CHECK(help.out.find(option) != std::string::npos);
    }

    const std::vector<strings> wrong = {
        {},
        {"ftp://example.org/"},
        {"https://example.org/"},
        {"no address"},
        {"http://127.0.0.1/", "--concurrency=0"},
        {"http://127.0.0.1/", "--rate=0"},
        {"http://127.0.0.1/", "--rate=-1"},
        {"http://127.0.0.1/", "--depth=-1"},
        {"http://127.0.0.1/", "--pages=many"},
        {"http://127.0.0.1/", "--bytes=-5"},
        {"http://127.0.0.1/", "--timeout=0"},
        {"http://127.0.0.1/", "--host=http://127.0.0.1/"},
        {"http://127.0.0.1/", "--host=::1"},
        {"http://127.0.0.1/", "--colour"},
        {"http://127.0.0.1/", "http://127.0.0.1/"}};
    const folder out;
    for (const auto& arguments : wrong) {
        INFO(fmt::format("{}", arguments.empty() ? "no arguments" : arguments.back()));
        auto with_folder = arguments;
        with_folder.push_back("--out=" + out.path().string());
        const auto run = support::run_program(PROGRAM, {.arguments = with_folder});
        CHECK(run.status == 2);
        CHECK(run.out == "");
        CHECK_FALSE(run.err.empty());
    }
}

TEST_CASE("a report that cannot be written is an error, and known before the first request")
{
    nginx server;
    server.site().write("index.html", "");
    folder out;
    out.write("file", "");
    const auto file = (out.path() / "file").string();
    // The last one is a folder, in which nobody can make a file.
    for (const auto& place : {file, file + "/inside", std::string("/proc")}) {
        INFO(place);
        const auto run =
            support::run_program(PROGRAM, {.arguments = {server.address(), "--out", place}});
        CHECK(run.status == 1);
        CHECK(run.err.find(place) != std::string::npos);
    }
    CHECK(out.read("file") == "");
    CHECK(server.stop().empty());
}

TEST_CASE("nginx: a folder that is lost during the crawl is an error, too")
{
    nginx server(tests::slow_pages(300));
    generate_site(server.site(), 300, 1500);
    folder out;
    const auto place = out.path() / "report";
    auto options = options_for(out, server.address("/0/0.html"), {full_speed});
    options.arguments[2] = place.string();
    support::background_program program(PROGRAM, options);
    wait_for_a_page(program);
    CHECK(std::filesystem::is_empty(place));  // it is made, and nothing is left of the trial
    std::filesystem::remove(place);
    out.write("report", "no folder");
    program.signal(SIGTERM);
    const auto run = program.wait();
    CHECK(run.status == 1);
    CHECK(run.err.find(place.string()) != std::string::npos);
    CHECK(out.read("report") == "no folder");
}
