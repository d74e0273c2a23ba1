// The web page: three files, which are in the program itself.
//
// CMake makes page.cpp of page.cpp.in and of what is in page/. So there is no folder to find at run
// time, no path that a request could escape from, and nothing to install beside the program.

#pragma once

#include <string_view>

namespace chat {

struct page_file {
    std::string_view path;  // as a request names it: "/chat.css"
    std::string_view type;  // for Content-Type
    std::string_view content;
};

// The file that is served under this path, or null.
const page_file* find_page_file(std::string_view path);

}  // namespace chat
