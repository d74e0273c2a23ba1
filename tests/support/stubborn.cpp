// A program that behaves badly on request, for the tests of run_program.

#include "tests/support/program.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace {

// Waits for ever, and only SIGKILL ends it. Its process number is the last that is heard of it.
[[noreturn]] void hang()
{
    std::signal(SIGTERM, SIG_IGN);
    std::signal(SIGINT, SIG_IGN);
    fmt::print("{}\n", getpid());
    std::fflush(stdout);
    while (true) {
        pause();
    }
}

// Ends, and leaves a process behind that holds its stdout open.
int leave_a_child_behind()
{
    if (fork() == 0) {
        hang();
    }
    return 0;
}

// Fills both pipes by more than they hold.
int flood()
{
    const std::string line(1023, 'x');
    for (int i = 0; i < 4096; ++i) {
        std::puts(line.c_str());
        std::fprintf(stderr, "%s\n", line.c_str());
    }
    return 0;
}

// Answers each line on stdin, until there is none.
int converse()
{
    fmt::print("ready\n");
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
        fmt::print("heard {}\n", line);
        std::fflush(stdout);
    }
    return 4;
}

// Opens files for as long as it may, and says how many it has open.
int count_descriptors()
{
    int last = 2;
    for (int next = 0; next >= 0; next = ::open("/dev/null", O_RDONLY)) {
        last = std::max(last, next);
    }
    fmt::print("{}\n", last + 1);
    for (; last > 2; --last) {
        ::close(last);  // a sanitizer opens files when the program ends
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv)
{
    const std::string_view mode = argc > 1 ? argv[1] : "";
    if (mode == "hang") {
        hang();
    }
    if (mode == "orphan") {
        return leave_a_child_behind();
    }
    if (mode == "nest") {
        support::program_options options;
        options.arguments = {"hang-in-file", argv[2]};
        support::run_program(argv[0], options);
    }
    if (mode == "hang-in-file") {
        if (std::freopen(argv[2], "w", stdout) != nullptr) {
            hang();
        }
    }
    if (mode == "flood") {
        return flood();
    }
    if (mode == "converse") {
        return converse();
    }
    if (mode == "descriptors") {
        return count_descriptors();
    }
    if (mode == "spin") {
        fmt::print("spins\n");
        std::fflush(stdout);
        volatile unsigned turns = 0;  // without it, the compiler may assume that the loop ends
        while (true) {
            turns = turns + 1;
        }
    }
    if (mode == "crash") {
        std::raise(SIGKILL);
    }
    if (mode == "echo") {
        fmt::print("{}\n", std::getenv("STUBBORN"));
        fmt::print(stderr, "to stderr\n");
        return 3;
    }
    return 2;
}
