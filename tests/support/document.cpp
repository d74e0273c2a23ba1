#include "tests/support/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <sstream>
#include <stdexcept>

namespace support {

namespace {

// Walks a document line by line, and knows whether a line is inside a block. A fence is neither.
template <class OnProse, class OnFence, class OnBlockLine>
void walk(const std::string& text, OnProse on_prose, OnFence on_fence, OnBlockLine on_block_line)
{
    std::istringstream lines(text);
    bool inside = false;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("```")) {
            inside = !inside;
            on_fence(inside, line.substr(3));
        } else if (inside) {
            on_block_line(line);
        } else {
            on_prose(line);
        }
    }
}

constexpr auto ignore = [](auto&&...) {};

std::optional<heading> parse_heading(const std::string& line)
{
    const auto hashes = line.find_first_not_of('#');
    if (hashes == 0 || hashes == std::string::npos || line[hashes] != ' ') {
        return std::nullopt;
    }
    return heading{static_cast<int>(hashes), line.substr(hashes + 1)};
}

}  // namespace

std::filesystem::path source_dir()
{
    return SOURCE_DIR;
}

std::string read_file(const std::filesystem::path& file)
{
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
        throw std::runtime_error(fmt::format("cannot read {}", file.string()));
    }
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> lesson_names()
{
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "lessons")) {
        const auto name = entry.path().stem().string();
        if (entry.path().extension() == ".cpp" &&
            std::isdigit(static_cast<unsigned char>(name[0]))) {
            names.push_back(name);
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<std::string> project_names()
{
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "projects")) {
        if (entry.is_directory()) {
            names.push_back(entry.path().filename().string());
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

document document::section(int level, std::string_view title) const
{
    std::string section;
    bool inside = false;
    const auto keep = [&](const std::string& line) {
        if (inside) {
            section += line + '\n';
        }
    };
    walk(
        text_,
        [&](const std::string& line) {
            if (const auto found = parse_heading(line); found && found->level <= level) {
                inside = section.empty() && found->level == level && found->text.starts_with(title);
            }
            keep(line);
        },
        [&](bool, const std::string& info) { keep("```" + info); }, keep);
    if (section.empty()) {
        throw std::runtime_error(fmt::format("no section '{}' of level {}", title, level));
    }
    return document(section);
}

std::vector<heading> document::headings() const
{
    std::vector<heading> headings;
    walk(
        text_,
        [&](const std::string& line) {
            if (auto found = parse_heading(line)) {
                headings.push_back(std::move(*found));
            }
        },
        ignore, ignore);
    return headings;
}

std::vector<code_block> document::code_blocks() const
{
    std::vector<code_block> blocks;
    walk(
        text_, ignore,
        [&](bool opens, const std::string& info) {
            if (opens) {
                blocks.push_back({info, ""});
            }
        },
        [&](const std::string& line) { blocks.back().text += line + '\n'; });
    return blocks;
}

std::string document::prose() const
{
    std::string prose;
    walk(text_, [&](const std::string& line) { prose += line + '\n'; }, ignore, ignore);
    return prose;
}

std::vector<std::string> document::links() const
{
    static const std::regex link(R"(\]\(([^)\s]+)\))");
    static const std::regex inline_code("`[^`]*`");
    const std::string text = std::regex_replace(prose(), inline_code, "");
    std::vector<std::string> targets;
    for (std::sregex_iterator each(text.begin(), text.end(), link), end; each != end; ++each) {
        targets.push_back((*each)[1]);
    }
    return targets;
}

std::string shown_output(const std::filesystem::path& file, const std::string& name)
{
    for (const auto& block : document(read_file(file)).code_blocks()) {
        if (block.language == "text " + name) {
            return block.text;
        }
    }
    throw std::runtime_error(fmt::format("{} has no block 'text {}'", file.string(), name));
}

std::string anchor_of(std::string_view heading)
{
    std::string anchor;
    for (const char character : heading) {
        const auto code = static_cast<unsigned char>(character);
        if (std::isalnum(code) || character == '-' || character == '_') {
            anchor += static_cast<char>(std::tolower(code));
        } else if (character == ' ') {
            anchor += '-';
        }
    }
    return anchor;
}

}  // namespace support
