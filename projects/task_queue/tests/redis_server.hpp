// A real Redis for a test: its own process, directory and socket, gone when the test ends.

#pragma once

#include "task_queue/tests/helpers.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

namespace task_queue::tests {

// The path of redis-server, or "".
inline std::string find_redis_server()
{
    const char* const path = std::getenv("PATH");
    std::istringstream directories(path != nullptr ? path : "");
    for (std::string each; std::getline(directories, each, ':');) {
        const auto program = each + "/redis-server";
        if (::access(program.c_str(), X_OK) == 0) {
            return program;
        }
    }
    return "";
}

class redis_server {
public:
    // Skips the test where no Redis is installed. The server is not started. Without a port it
    // listens on a socket in its directory.
    explicit redis_server(int port = 0, std::vector<std::string> options = {})
        : program_(find_redis_server()), port_(port), options_(std::move(options))
    {
        if (program_.empty()) {
            SKIP("redis-server is not installed");
        }
    }

    // Starts it, with the data that it had, and waits until it has been loaded. What it has
    // confirmed survives it.
    void start()
    {
        support::program_options options;
        options.deadline = std::chrono::seconds(110);
        options.arguments = {"--port",        std::to_string(port_),
                             "--bind",        "127.0.0.1",
                             "--unixsocket",  socket(),
                             "--dir",         directory_.path(),
                             "--save",        "",
                             "--appendonly",  "yes",
                             "--appendfsync", "always",
                             "--daemonize",   "no"};
        options.arguments.insert(options.arguments.end(), options_.begin(), options_.end());
        process_.emplace(program_, options);
        process_->wait_for_line("eady to accept connections");
    }

    // As a crash would end it.
    void kill()
    {
        process_->signal(SIGKILL);
        process_->wait();
        process_.reset();
    }

    void signal(int number) { process_->signal(number); }

    std::string address() const
    {
        return port_ != 0 ? fmt::format("127.0.0.1:{}", port_) : "unix:" + socket();
    }

private:
    std::string socket() const { return directory_ / "socket"; }

    std::string program_;
    int port_;
    std::vector<std::string> options_;
    temporary_directory directory_;
    std::optional<support::background_program> process_;
};

}  // namespace task_queue::tests
