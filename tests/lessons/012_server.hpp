// The server of lesson 012 as a process of its own, on a port that the system picks.

#pragma once

#include "tests/support/program.hpp"

#include <string>
#include <utility>

namespace tests {

class server : public support::background_program {
public:
    explicit server(support::program_options options = {})
        : background_program(
              support::lesson_program("012_streams"), with_command(std::move(options)))
    {
        const auto line = wait_for_line("listens on 127.0.0.1:");
        port_ = static_cast<unsigned short>(std::stoi(line.substr(line.rfind(':') + 1)));
    }

    unsigned short port() const { return port_; }

private:
    static support::program_options with_command(support::program_options options)
    {
        options.arguments = {"serve", "0"};
        return options;
    }

    unsigned short port_ = 0;
};

}  // namespace tests
