// Holds the documents to the programs, and the lessons to their common shape.

#include "tests/support/document.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;
using support::document;

namespace {

const fs::path progression_file = support::source_dir() / "docs/progression.md";

const document& progression()
{
    static const document whole(support::read_file(progression_file));
    return whole;
}

std::string number_of(const std::string& lesson)
{
    return lesson.substr(0, 3);
}

// The program, and the headers of the same number that stand beside it.
std::string source_of(const std::string& lesson)
{
    const auto folder = support::source_dir() / "lessons";
    auto source = support::read_file(folder / (lesson + ".cpp"));
    for (const auto& entry : fs::directory_iterator(folder)) {
        const auto name = entry.path().filename().string();
        if (name.starts_with(number_of(lesson)) && name.ends_with(".hpp")) {
            source += support::read_file(entry.path());
        }
    }
    return source;
}

std::vector<fs::path> markdown_files()
{
    std::vector<fs::path> files{support::source_dir() / "README.md"};
    for (const auto& entry : fs::directory_iterator(support::source_dir() / "docs")) {
        if (entry.path().extension() == ".md") {
            files.push_back(entry.path());
        }
    }
    for (const auto& project : support::project_names()) {
        files.push_back(support::source_dir() / "projects" / project / "README.md");
    }
    return files;
}

// The sources of an application, without its tests.
std::string project_source_of(const std::string& project)
{
    std::string source;
    for (const auto& entry : fs::directory_iterator(support::source_dir() / "projects" / project)) {
        const auto ending = entry.path().extension();
        if (ending == ".cpp" || ending == ".hpp") {
            source += support::read_file(entry.path());
        }
    }
    return source;
}

std::vector<std::string> lines_of(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::vector<std::string> matches(const std::string& text, const std::regex& pattern)
{
    std::vector<std::string> found;
    for (std::sregex_iterator each(text.begin(), text.end(), pattern), end; each != end; ++each) {
        found.push_back((*each)[1]);
    }
    return found;
}

std::set<std::string> anchors_in(const fs::path& file)
{
    std::set<std::string> anchors;
    for (const auto& heading : document(support::read_file(file)).headings()) {
        anchors.insert(support::anchor_of(heading.text));
    }
    return anchors;
}

}  // namespace

TEST_CASE("every output in the documents is what the program prints")
{
    std::size_t outputs = 0;
    for (const auto& file : markdown_files()) {
        for (const auto& block : document(support::read_file(file)).code_blocks()) {
            if (!block.language.starts_with("text ")) {
                continue;
            }
            const auto lesson = block.language.substr(5);
            INFO(file.string() << ": " << lesson);
            CHECK(block.text == support::simulated_lesson(lesson).out);
            ++outputs;
        }
    }
    CHECK(outputs >= support::lesson_names().size());
}

TEST_CASE("every lesson on virtual time ends well and prints the same bytes each time")
{
    for (const auto& lesson : support::lesson_names()) {
        INFO(lesson);
        const auto again = support::run_lesson(lesson, support::lesson_clock::simulated);
        CHECK(again.status == 0);
        CHECK(again.err == "");
        CHECK(again.out == support::simulated_lesson(lesson).out);
    }
}

TEST_CASE("every lesson refuses a clock that does not exist, and says which do")
{
    for (const auto& lesson : support::lesson_names()) {
        if (lesson == "001_simple_coroutine") {
            continue;  // bare Asio, which knows one clock
        }
        INFO(lesson);
        support::program_options options;
        options.environment.emplace_back("LESSON_CLOCK", "tomorrow");
        const auto run = support::run_program(support::lesson_program(lesson), options);
        CHECK(run.status == 2);
        CHECK(run.out == "");
        CHECK(
            run.err ==
            "LESSON_CLOCK: 'tomorrow' is no clock mode; there are 'steady' and 'virtual'\n");
    }
}

TEST_CASE("every lesson has a section in progression.md, with the same parts in the same order")
{
    const std::vector<std::string> parts = {"The idea",    "Python and C++", "A tour of the source",
                                            "The output",  "The timeline",   "What to notice",
                                            "The pitfall", "Try it",         "What comes next"};
    for (const auto& lesson : support::lesson_names()) {
        INFO(lesson);
        std::vector<std::string> found;
        for (const auto& heading : progression().section(2, number_of(lesson)).headings()) {
            if (heading.level == 3) {
                found.push_back(heading.text);
            }
        }
        auto expected = parts;
        if (std::find(found.begin(), found.end(), "The timeline") == found.end()) {
            std::erase(expected, "The timeline");  // only where time matters
        }
        CHECK(found == expected);
    }
}

TEST_CASE("every section shows its program's output, and links to its source")
{
    for (const auto& lesson : support::lesson_names()) {
        INFO(lesson);
        const auto section = progression().section(2, number_of(lesson));
        const auto blocks = section.code_blocks();
        CHECK(std::any_of(blocks.begin(), blocks.end(), [&](const auto& block) {
            return block.language == "text " + lesson;
        }));
        const auto links = section.links();
        CHECK(std::count(links.begin(), links.end(), "../lessons/" + lesson + ".cpp") == 1);
    }
}

TEST_CASE("every name() that a section mentions stands in that lesson")
{
    static const std::regex mention(R"(`(?:\w+(?:::|\.))*(\w+)\(\)`)");
    for (const auto& lesson : support::lesson_names()) {
        const auto source = source_of(lesson);
        const auto names = matches(progression().section(2, number_of(lesson)).prose(), mention);
        CHECK_FALSE(names.empty());
        for (const auto& name : names) {
            INFO(lesson << ": " << name << "()");
            CHECK(std::regex_search(source, std::regex("\\b" + name + "\\(")));
        }
    }
}

TEST_CASE("every function of a lesson is in the tour of its source")
{
    static const std::regex definition(R"((?:^|\n)[\w:<>]+(?: [\w:<>]+)* \*?(\w+)\([^;{]*\)\n\{)");
    for (const auto& lesson : support::lesson_names()) {
        const auto tour = progression().section(2, number_of(lesson)).section(3, "A tour").text();
        for (const auto& name : matches(source_of(lesson), definition)) {
            INFO(lesson << ": " << name << "()");
            CHECK((name == "main" || tour.find("`" + name + "()`") != std::string::npos));
        }
    }
}

TEST_CASE("every link in the documents resolves")
{
    for (const auto& file : markdown_files()) {
        for (const auto& target : document(support::read_file(file)).links()) {
            INFO(file.string() << ": " << target);
            if (target.starts_with("https://")) {
                continue;  // tests reach no network
            }
            const auto hash = target.find('#');
            const auto path = target.substr(0, hash);
            const auto linked = path.empty() ? file : file.parent_path() / path;
            REQUIRE(fs::exists(linked));
            if (hash != std::string::npos) {
                CHECK(anchors_in(linked).count(target.substr(hash + 1)) == 1);
            }
        }
    }
}

TEST_CASE("the plan has twenty lessons, and marks as to come those that are")
{
    static const std::regex row(R"(\n\| (\d{3}_\w+) \|)");
    const auto plan = progression().section(2, "The plan").text();
    const auto planned = matches(plan, row);
    CHECK(planned.size() == 20);

    const auto there = support::lesson_names();
    for (const auto& lesson : planned) {
        INFO(lesson);
        const auto at = plan.find("| " + lesson + " |");
        const auto line = plan.substr(at, plan.find('\n', at) - at);
        const bool exists = std::count(there.begin(), there.end(), lesson) == 1;
        CHECK(line.ends_with("| to come |") != exists);
    }
    for (const auto& lesson : there) {
        INFO(lesson);
        CHECK(std::count(planned.begin(), planned.end(), lesson) == 1);
    }
}

TEST_CASE("every lesson opens with the same header")
{
    const auto lessons = support::lesson_names();
    for (std::size_t i = 0; i < lessons.size(); ++i) {
        INFO(lessons[i]);
        const auto number = number_of(lessons[i]);
        const auto lines = lines_of(source_of(lessons[i]));
        REQUIRE(lines.size() > 7);
        CHECK(lines[0].starts_with("// " + number + " · "));
        CHECK(lines[1] == "//");
        CHECK(lines[2].starts_with("// Idea     "));
        CHECK(lines[2].ends_with("."));
        CHECK(lines[3].starts_with("// asyncio  "));
        CHECK(
            lines[4] == (i == 0 ? "// Before   nothing: start here"
                                : "// Before   " + lessons[i - 1] + ".cpp"));
        CHECK(lines[5] == "// Run      ./learn run " + std::to_string(std::stoi(number)));
        CHECK(
            lines[6] == "// Read     docs/progression.md, lesson " + number + ", beside this file");
    }
}

TEST_CASE("the title of a lesson is the title of its section")
{
    for (const auto& lesson : support::lesson_names()) {
        const auto title = lines_of(source_of(lesson)).front().substr(3);
        INFO(title);
        CHECK_NOTHROW(progression().section(2, title));
    }
}

TEST_CASE("README.md lists every lesson")
{
    const document readme(support::read_file(support::source_dir() / "README.md"));
    const auto links = readme.links();
    for (const auto& lesson : support::lesson_names()) {
        INFO(lesson);
        CHECK(std::count(links.begin(), links.end(), "lessons/" + lesson + ".cpp") >= 1);
    }
}

TEST_CASE("every project opens with the same header, and its title is that of its section")
{
    for (const auto& project : support::project_names()) {
        INFO(project);
        const auto main = support::source_dir() / "projects" / project / "main.cpp";
        const auto lines = lines_of(support::read_file(main));
        REQUIRE(lines.size() > 6);
        CHECK(lines[0].starts_with("// " + project + " · "));
        CHECK(lines[1] == "//");
        CHECK(lines[2].starts_with("// Idea     "));
        CHECK(lines[2].ends_with("."));
        CHECK(lines[3].starts_with("// Lessons  "));
        CHECK(lines[4].starts_with("// Run      ./learn run " + project));
        CHECK(
            lines[5] ==
            "// Read     projects/" + project + "/README.md, and docs/progression.md, Part V");
        CHECK_NOTHROW(progression().section(2, lines[0].substr(3)));
    }
}

TEST_CASE("every project has a section in progression.md, with the same parts in the same order")
{
    const std::vector<std::string> parts = {"The idea",       "A tour of the source", "A run",
                                            "What to notice", "How it is tested",     "Try it"};
    for (const auto& project : support::project_names()) {
        INFO(project);
        const auto section = progression().section(2, project + " · ");
        std::vector<std::string> found;
        for (const auto& heading : section.headings()) {
            if (heading.level == 3) {
                found.push_back(heading.text);
            }
        }
        CHECK(found == parts);
        const auto links = section.links();
        CHECK(std::count(links.begin(), links.end(), "../projects/" + project) == 1);
    }
}

TEST_CASE("every name() that a project's section mentions stands in its sources")
{
    static const std::regex mention(R"(`(?:\w+(?:::|\.))*(\w+)\(\)`)");
    for (const auto& project : support::project_names()) {
        const auto source = project_source_of(project);
        const auto section = progression().section(2, project + " · ");
        for (const auto& name : matches(section.prose(), mention)) {
            INFO(project << ": " << name << "()");
            CHECK(std::regex_search(source, std::regex("\\b" + name + "(?:<[^(]*>)?\\(")));
        }
    }
}

TEST_CASE("README.md and the plan list every project")
{
    const document readme(support::read_file(support::source_dir() / "README.md"));
    const auto links = readme.links();
    const auto plan = progression().section(2, "The plan").text();
    for (const auto& project : support::project_names()) {
        INFO(project);
        CHECK(std::count(links.begin(), links.end(), "projects/" + project) == 1);
        CHECK(plan.find("| " + project + " |") != std::string::npos);
    }
}
