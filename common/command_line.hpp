// The command line of a program that has several commands.
//
// `run_command` finds the command that the first argument names, checks that it gets as many more
// as it takes, and runs its coroutine. What goes wrong is told in the same way everywhere: a line
// on stderr, and exit status 2 for a command line that makes no sense, 1 for a command that failed.
// `--help` prints what there is.

#pragma once

#include "common/clock.hpp"

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace common {

using arguments = std::vector<std::string>;

struct subcommand {
    std::string_view usage;  // its name, then what it takes: "serve PORT"; "" without a name
    std::string_view help;   // what it does, in a line
    std::function<boost::asio::awaitable<void>(arguments)> coroutine;

    // The clock that it runs on. Without one it is what LESSON_CLOCK names.
    std::optional<clock_mode> clock = std::nullopt;
};

// For an argument that makes no sense. A command may throw it.
class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// Gives the exit status for main to return. Opens the standard streams first.
int run_command(int argc, char** argv, const std::vector<subcommand>& commands);

// Opens /dev/null for each standard stream that is closed. A program that was started so would open
// something else in its place, such as a file, and print into that. For the beginning of main.
void open_standard_streams();

// Writes `program: message` on stderr, in a line. If that fails there is nobody left to be told, so
// it throws nothing, and changes nothing about how the program ends.
void complain(std::string_view program, std::string_view message);

// 0 to 65535, in decimal. Throws usage_error for anything else.
unsigned short parse_port(std::string_view text);

}  // namespace common
