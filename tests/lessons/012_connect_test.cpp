// Both sides of lesson 012 as processes, each with the other and with nc.

#include "common/temporary_folder.hpp"
#include "tests/lessons/012_server.hpp"
#include "tests/support/client.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

namespace {

using tests::server;

const std::string program = support::lesson_program("012_streams");

support::program_run in_shell(const std::string& line)
{
    return support::run_program("/bin/sh", {.arguments = {"-c", line}});
}

// nc of OpenBSD, which most systems have, or "".
std::string netcat()
{
    const char* const path = std::getenv("PATH");
    std::istringstream folders(path == nullptr ? "" : path);
    for (std::string folder; std::getline(folders, folder, ':');) {
        const auto file = folder + "/nc.openbsd";
        if (std::filesystem::exists(file)) {
            return file;
        }
    }
    return "";
}

}  // namespace

TEST_CASE("012 connect: sends what it reads as it comes, and prints the answers as they come")
{
    server kitchen;
    support::background_program guest(
        program, {.arguments = {"connect", std::to_string(kitchen.port())}});
    guest.write("soup\n");
    CHECK(guest.wait_for_line("soup") == "here is soup");
    guest.write("bread\ntea");
    CHECK(guest.wait_for_line("bread") == "here is bread");
    guest.close_input();
    const auto run = guest.wait();
    CHECK(run.out == "here is soup\nhere is bread\nhere is tea\n");
    CHECK(run.err == "");
    CHECK(run.status == 0);
}

TEST_CASE("012 connect: stdin and stdout may be pipes, files or nothing")
{
    server kitchen;
    const auto connect = program + " connect " + std::to_string(kitchen.port());
    const common::temporary_folder folder;
    const auto file = (folder / "file").string();

    CHECK(
        in_shell("printf 'soup\\ntea' | " + connect + " | cat").out ==
        "here is soup\nhere is tea\n");
    const auto files = in_shell(
        "printf 'soup\\ntea' >" + file + ".in; " + connect + " <" + file + ".in >" + file +
        ".out; echo $?; cat " + file + ".out");
    CHECK(files.out == "0\nhere is soup\nhere is tea\n");
    CHECK(in_shell(connect + " </dev/null").status == 0);
    CHECK(in_shell(connect + " <&-").status == 0);
    CHECK(in_shell("echo soup | " + connect + " >&-").status == 0);
    CHECK(
        in_shell("echo soup | " + connect + " >/dev/full").err ==
        "012_streams: No space left on device\n");
}

TEST_CASE("012 connect: ten mebibytes go through both ways")
{
    server kitchen;
    const auto run = in_shell(
        "yes 123456789012345678901234567890123456789 | head -c 10485760 | " + program +
        " connect " + std::to_string(kitchen.port()) + " | md5sum; " +
        "yes 'here is 123456789012345678901234567890123456789' | head -n 262144 | md5sum");
    const auto end = run.out.find('\n') + 1;
    CHECK(run.out.substr(0, end) == run.out.substr(end));
}

TEST_CASE("012 connect: ends when the server does, whatever stdin is still to say")
{
    server kitchen;
    support::background_program guest(
        program, {.arguments = {"connect", std::to_string(kitchen.port())}});
    guest.write("soup\n");
    guest.wait_for_line("here is soup");
    kitchen.signal(SIGTERM);
    CHECK(guest.wait().status == 0);
    CHECK(kitchen.wait().status == 0);
}

TEST_CASE("012 connect: says so when nobody listens, and when the connection breaks")
{
    unsigned short free_port = 0;
    {
        server kitchen;
        free_port = kitchen.port();
    }
    const auto port = std::to_string(free_port);
    const auto refused = support::run_program(program, {.arguments = {"connect", port}});
    CHECK(refused.status == 1);
    CHECK(refused.err == "012_streams: Connection refused\n");
}

TEST_CASE("012 connect: leaves the streams that it shares with others as they were")
{
    server kitchen;
    const auto run = in_shell(
        "{ " + program + " connect " + std::to_string(kitchen.port()) +
        " <&3 >/dev/null & wait; cat <&3; } 3</dev/null; echo ok");
    CHECK(run.err == "");
    CHECK(run.out == "ok\n");
}

TEST_CASE("012: nc is a client of serve, and a server to connect")
{
    const auto nc = netcat();
    if (nc.empty()) {
        SKIP("nc.openbsd is not installed");
    }
    server kitchen;
    const auto as_client =
        in_shell("printf 'soup\\ntea' | " + nc + " -N 127.0.0.1 " + std::to_string(kitchen.port()));
    CHECK(as_client.out == "here is soup\nhere is tea\n");

    // nc says on stderr which port it was given.
    support::background_program as_server(
        "/bin/sh", {.arguments = {"-c", nc + " -v -l 127.0.0.1 0 2>&1"}});
    const auto said = as_server.wait_for_line("Listening on");
    INFO(said);
    const auto port = said.substr(said.rfind(' ') + 1);
    support::background_program guest(program, {.arguments = {"connect", port}});
    guest.write("a cake, please\n");
    as_server.wait_for_line("a cake, please");
    as_server.write("no cake today\n");
    guest.wait_for_line("no cake today");
    guest.close_input();
    CHECK(guest.wait().status == 0);
}
