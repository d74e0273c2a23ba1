// What goes wrong with a file, told as every Unix program tells it: the name, then the reason.

#pragma once

#include <boost/system/error_code.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace file_streaming {

class file_error : public std::runtime_error {
public:
    // "NAME: REASON", in which the control characters of a name are replaced.
    file_error(std::string_view name, std::string_view reason);

    // The reason is the system's text for `number`, which is an errno.
    file_error(std::string_view name, int number);
};

// Throws a file_error; but a cancellation stays what it is everywhere, a
// boost::system::system_error with operation_aborted.
[[noreturn]] void throw_error(std::string_view name, boost::system::error_code error);

// For a terminal or a log: a control character, which could move the cursor or start a new line,
// becomes a question mark.
std::string printable(std::string_view name);

}  // namespace file_streaming
