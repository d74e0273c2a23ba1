// The program as a process of its own, on a port that the system picks.

#pragma once

#include "tests/support/program.hpp"

#include <string>
#include <utility>
#include <vector>

namespace tests {

class server : public support::background_program {
public:
    explicit server(std::vector<std::string> arguments = {}, const std::string& port = "0")
        : background_program(PROGRAM, with_port(std::move(arguments), port))
    {
        const auto line = wait_for_line("listens on http://127.0.0.1:");
        port_ = static_cast<unsigned short>(std::stoi(line.substr(line.rfind(':') + 1)));
    }

    unsigned short port() const { return port_; }

private:
    static support::program_options with_port(
        std::vector<std::string> arguments, const std::string& port)
    {
        arguments.insert(arguments.end(), {"--port", port});
        support::program_options options;
        options.arguments = std::move(arguments);
        options.deadline = std::chrono::seconds(115);
        return options;
    }

    unsigned short port_ = 0;
};

}  // namespace tests
