// Reads the project's own files, and takes Markdown apart as far as the tests of the documents
// need.

#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

// The root of the source tree.
std::filesystem::path source_dir();

// A whole file. Throws std::runtime_error if it cannot be read.
std::string read_file(const std::filesystem::path& file);

// The lessons by their file names without the ending, in order.
std::vector<std::string> lesson_names();

// The folders of the applications in projects/, in alphabetical order.
std::vector<std::string> project_names();

// A block between two fences, without them.
struct code_block {
    std::string
        language;  // what stands on the fence: "cpp", or "text 003_gather" for a program's output
    std::string text;
};

struct heading {
    int level;  // 1 for `#`
    std::string text;
};

// A Markdown file, or a section of it.
class document {
public:
    explicit document(std::string text) : text_(std::move(text)) {}

    // From the heading of that level that starts with `title` to the next of the same or a higher
    // level. Throws std::runtime_error if there is none.
    document section(int level, std::string_view title) const;

    std::vector<heading> headings() const;
    std::vector<code_block> code_blocks() const;

    // The text outside of the blocks.
    std::string prose() const;

    // The targets of [text](target) outside of code.
    std::vector<std::string> links() const;

    const std::string& text() const { return text_; }

private:
    std::string text_;
};

// The output that a document shows for a program, in its block `text NAME`.
std::string shown_output(const std::filesystem::path& file, const std::string& name);

// The name by which GitHub links to a heading, where its letters are ASCII.
std::string anchor_of(std::string_view heading);

}  // namespace support
