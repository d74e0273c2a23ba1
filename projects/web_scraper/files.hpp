// Files that are there whole, or not at all.
//
// Whoever writes into a file in place leaves half of it behind when the disk is full, or when it is
// killed. So the text goes into a new file beside it, under another name, and when everything is on
// the disk, that is renamed. A rename within a folder happens at once: before it, everybody sees
// the old file, after it the new one.

#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace web_scraper {

// Makes a folder, with those that it is to be in, unless it is there. Then it writes a file into it
// and removes that again: whoever works for hours before there is something to write learns first
// whether it can be. Throws std::system_error, with the folder's name. What is in the folder stays
// as it is.
void make_folder(const std::filesystem::path& folder);

// Takes the next part of a text.
using text_sink = std::function<void(std::string_view)>;

// Calls `text` with a sink for the file's text, so that it need not be in memory as a whole. Throws
// std::system_error, with the file's name, and what `text` throws; then the file is as it was, and
// nothing else is left.
void write_file(
    const std::filesystem::path& file, const std::function<void(const text_sink&)>& text);

}  // namespace web_scraper
