#include "web_scraper/report.hpp"
#include "web_scraper/files.hpp"
#include "web_scraper/graph.hpp"

#include "folder.hpp"

#include <boost/json/parse.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <new>
#include <string>
#include <string_view>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

using web_scraper::site;
using web_scraper::state;
using web_scraper::url;

namespace {

// A start with a link to a page that is gone, and to one that redirects there.
void fill(site& whole)
{
    const auto start = whole.add(*url::parse("http://a.org/?a=1&b='2'"));
    const auto gone = whole.add(*url::parse("http://a.org/gone"));
    const auto moved = whole.add(*url::parse("http://a.org/moved"));
    whole[start].is = state::fetched;
    whole[start].depth = 0;
    whole[gone].is = state::failed;
    whole[gone].status = 404;
    whole[gone].detail = "404 <Not> \"Found\"";
    whole[moved].is = state::redirected;
    whole.add_link(start, gone);
    whole.add_link(start, moved);
    whole.add_redirect(moved, gone);
}

std::string dot_of(const site& whole)
{
    std::string text;
    web_scraper::to_dot(whole, 10, [&text](std::string_view part) { text += part; });
    return text;
}

std::string html_of(const site& whole, const web_scraper::crawl_facts& facts)
{
    std::string text;
    web_scraper::to_html(whole, facts, [&text](std::string_view part) { text += part; });
    return text;
}

boost::json::value json_of(const site& whole, const web_scraper::crawl_facts& facts)
{
    std::string text;
    web_scraper::to_json(whole, facts, [&text](std::string_view part) { text += part; });
    return boost::json::parse(text);
}

void write(const std::filesystem::path& file, std::string_view text)
{
    web_scraper::write_file(file, [&](const web_scraper::text_sink& out) { out(text); });
}

std::ptrdiff_t entries_in(const std::filesystem::path& folder)
{
    return std::distance(std::filesystem::directory_iterator(folder), {});
}

}  // namespace

TEST_CASE("graph: pages, links and redirects in GraphViz's language")
{
    site whole;
    fill(whole);
    CHECK(
        dot_of(whole) ==
        "digraph site {\n"
        "    node [shape=box];\n"
        "    n0 [label=\"http://a.org/?a=1&b='2'\", color=black];\n"
        "    n1 [label=\"http://a.org/gone\", color=red];\n"
        "    n2 [label=\"http://a.org/moved\", color=red];\n"
        "    n0 -> n1;\n"
        "    n0 -> n2;\n"
        "    n2 -> n1 [style=dashed];\n"
        "}\n");
    CHECK(dot_of(site()) == "digraph site {\n    node [shape=box];\n}\n");
}

TEST_CASE("graph: a text cannot end the string that it is in")
{
    CHECK(web_scraper::dot_string("") == R"("")");
    CHECK(web_scraper::dot_string("a b") == R"("a b")");
    CHECK(web_scraper::dot_string(R"(a"b)") == R"("a\"b")");
    CHECK(web_scraper::dot_string(R"(\N)") == R"("\\N")");
    CHECK(web_scraper::dot_string(R"(\")") == R"("\\\"")");
}

TEST_CASE("report: broken links with their reasons, as HTML and as JSON")
{
    site whole;
    fill(whole);
    web_scraper::crawl_facts facts;
    facts.most_redirects = 10;
    facts.seconds = 1.25;
    facts.bytes = 77;
    const auto report = json_of(whole, facts);
    CHECK(report.at("start") == "http://a.org/?a=1&b='2'");
    CHECK(report.at("crawl") == "finished");
    CHECK(report.at("bytes") == 77);
    CHECK(report.at("summary") == boost::json::parse(R"({"fetched":1,"redirected":1,"failed":1})"));
    CHECK(report.at("broken") == boost::json::parse(R"([
        {"url": "http://a.org/gone", "reason": "404 <Not> \"Found\"",
         "found_on": ["http://a.org/?a=1&b='2'"]},
        {"url": "http://a.org/moved",
         "reason": "redirects to http://a.org/gone: 404 <Not> \"Found\"",
         "found_on": ["http://a.org/?a=1&b='2'"]}])"));
    CHECK(report.at("pages").as_array().size() == 3);
    CHECK(report.at("pages").at(2).at("redirects_to") == "http://a.org/gone");

    const auto html = html_of(whole, facts);
    CHECK(html.find("<h2>Broken links: 2</h2>") != html.npos);
    CHECK(html.find("404 &lt;Not&gt; &quot;Found&quot;") != html.npos);
    CHECK(html.find("<Not>") == html.npos);
    CHECK(html.find("href=\"http://a.org/?a=1&amp;b=&#39;2&#39;\"") != html.npos);
    CHECK(html.find("b='2'") == html.npos);
}

TEST_CASE("report: of many pages with the same broken link some are named, the others counted")
{
    const std::size_t most = web_scraper::most_found_on;
    for (const std::size_t pages : {most, most + 7}) {
        site whole;
        fill(whole);
        for (std::size_t page = 1; page < pages; ++page) {  // beside the start
            whole.add_link(whole.add(*url::parse("http://a.org/" + std::to_string(page))), 1);
        }
        const web_scraper::crawl_facts facts;
        const auto report = json_of(whole, facts);
        const auto& gone = report.at("broken").at(0).as_object();
        CHECK(gone.at("found_on").as_array().size() == most);
        CHECK(gone.at("found_on").at(1) == "http://a.org/1");
        const auto html = html_of(whole, facts);
        if (pages > most) {
            CHECK(gone.at("found_on_more") == 7);
            CHECK(html.find("<br>\nand 7 more\n") != html.npos);
        } else {
            CHECK_FALSE(gone.contains("found_on_more"));
            CHECK(html.find(" more\n") == html.npos);
        }
    }
}

TEST_CASE("report: of a long address the beginning is shown, and the link has all of it")
{
    site whole;
    const auto address = "http://a.org/" + std::string(300, 'x');
    whole.add(*url::parse(address));
    const auto html = html_of(whole, web_scraper::crawl_facts());
    CHECK(
        html.find("<a href=\"" + address + "\">" + address.substr(0, 200) + "...</a>") !=
        html.npos);
}

TEST_CASE("report: it says how many links are left out")
{
    site whole;
    fill(whole);
    web_scraper::crawl_facts facts;
    CHECK(json_of(whole, facts).at("links_left_out") == 0);
    CHECK(html_of(whole, facts).find("left out") == std::string::npos);
    facts.left_out = 77;
    CHECK(json_of(whole, facts).at("links_left_out") == 77);
    CHECK(html_of(whole, facts).find("77 links are left out") != std::string::npos);
}

TEST_CASE("report: one of a crawl that knows nothing is whole, too")
{
    const web_scraper::crawl_facts facts;
    CHECK(json_of(site(), facts).at("start") == "");
    CHECK(html_of(site(), facts).find("Broken links: 0") != std::string::npos);
}

TEST_CASE("files: a file is written whole, in place of what was there")
{
    const tests::folder folder;
    const auto file = folder.path() / "a";
    write(file, "first");
    CHECK(folder.read("a") == "first");
    const std::string large(3'000'000, 'x');
    write(file, large);
    CHECK(folder.read("a") == large);
    write(file, "");
    CHECK(folder.read("a") == "");
    struct stat about{};
    REQUIRE(::stat(file.c_str(), &about) == 0);
    CHECK((about.st_mode & 0444) == (0444 & ~static_cast<unsigned>([] {
                                         const auto mask = ::umask(0);
                                         ::umask(mask);
                                         return mask;
                                     }())));
}

TEST_CASE("files: one that cannot be written leaves nothing behind")
{
    const tests::folder folder;
    std::filesystem::create_directory(folder.path() / "a");
    folder.write("a/inside", "");
    CHECK_THROWS_AS(write(folder.path() / "a", "text"), std::system_error);
    CHECK_THROWS_AS(write(folder.path() / "no/b", "text"), std::system_error);
    const auto ends_early = [](const web_scraper::text_sink& out) {
        out(std::string(100'000, 'x'));
        throw std::bad_alloc();
    };
    CHECK_THROWS_AS(web_scraper::write_file(folder.path() / "b", ends_early), std::bad_alloc);
    CHECK(entries_in(folder.path()) == 1);
    CHECK(folder.read("a/inside") == "");
}

TEST_CASE("files: a folder is made and tried, and stays as it was")
{
    const tests::folder folder;
    web_scraper::make_folder(folder.path() / "new/newer");
    CHECK(std::filesystem::is_directory(folder.path() / "new/newer"));
    CHECK(entries_in(folder.path() / "new/newer") == 0);

    folder.write("old/report.json", "an earlier one");
    web_scraper::make_folder(folder.path() / "old");
    CHECK(folder.read("old/report.json") == "an earlier one");
    CHECK(entries_in(folder.path() / "old") == 1);
}

TEST_CASE("files: a folder in which no file can be written is an error")
{
    const tests::folder folder;
    folder.write("file", "text");
    CHECK_THROWS_AS(web_scraper::make_folder(folder.path() / "file"), std::system_error);
    CHECK_THROWS_AS(web_scraper::make_folder(folder.path() / "file/inside"), std::system_error);
    CHECK_THROWS_AS(web_scraper::make_folder("/proc"), std::system_error);
    CHECK(folder.read("file") == "text");

    const auto read_only = folder.path() / "read_only";
    std::filesystem::create_directory(read_only);
    REQUIRE(::chmod(read_only.c_str(), 0555) == 0);
    if (::geteuid() != 0) {  // root may write anywhere
        CHECK_THROWS_AS(web_scraper::make_folder(read_only), std::system_error);
    }
}
