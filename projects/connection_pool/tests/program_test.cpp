// The program, as a user starts it.

#include "tests/support/program.hpp"
#include "common/temporary_folder.hpp"
#include "connection_pool/tests/postgres_server.hpp"
#include "tests/support/document.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace {

support::program_run run(std::vector<std::string> arguments)
{
    support::program_options options;
    options.arguments = std::move(arguments);
    return support::run_program(PROGRAM, options);
}

// What does not depend on who was how quick.
std::vector<std::string> sure(const support::transcript& said)
{
    std::vector<std::string> lines;
    for (const auto& line : said.lines()) {
        if (!line.event.starts_with("pool: ")) {
            lines.push_back(line.event);
        }
    }
    return lines;
}

// With a server that stands still, a program that sleeps has dealt with all that had been answered,
// and has a statement on its way.
void wait_until_asleep(const support::background_program& program)
{
    while (program.running() && support::process_state(program.id()) != 'S') {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace

TEST_CASE("connection_pool: with SQLite, all transfers are booked and the books are right")
{
    const auto first = run({"--transfers", "300"});
    CHECK(first.status == 0);
    CHECK(first.err == "");
    const auto said = first.said();
    CHECK(said.has(
        "bank: 300 transfers booked; 0 tries failed; 0 commits not answered, 0 of them done"));
    CHECK(said.has("auditor: 300 of 300 transfers are in the books"));
    CHECK(said.has("auditor: 10 accounts have 10000 together"));
    CHECK(said.has("auditor: each account has what the transfers make it"));
    CHECK(said.count_containing("pool: 302 leases, ") == 1);
    CHECK(sure(run({"--transfers", "300"}).said()) == sure(said));
}

TEST_CASE("connection_pool: what progression.md shows is what it prints, where that is sure")
{
    const support::document all(
        support::read_file(support::source_dir() / "docs" / "progression.md"));
    const auto blocks = all.section(2, "connection_pool").section(3, "A run").code_blocks();
    REQUIRE_FALSE(blocks.empty());
    auto shown = sure(support::transcript(blocks[0].text));
    shown.erase(shown.begin());  // the command
    auto printed = sure(run({}).said());
    REQUIRE_FALSE(printed.empty());
    CHECK(shown[0].starts_with("bank: keeps its books in SQLite 3."));
    CHECK(printed[0].starts_with("bank: keeps its books in SQLite 3."));
    shown.erase(shown.begin());
    printed.erase(printed.begin());
    CHECK(shown == printed);
}

TEST_CASE("connection_pool: one connection or more than there are tasks, it makes no difference")
{
    const auto one = run({"--transfers", "100", "--connections", "1"});
    CHECK(one.status == 0);
    CHECK(one.said().has("pool: 102 leases, 1 at a time at the most"));
    const auto many = run({"--transfers", "100", "--connections", "9", "--tasks", "3"});
    CHECK(many.status == 0);
    CHECK(many.said().count_containing("pool: 102 leases, ") == 1);
    CHECK(many.said().count_containing("pool: 0 of them waited") == 1);
}

TEST_CASE("connection_pool: --sqlite keeps the books in a file, which can be used again")
{
    const common::temporary_folder folder;
    const std::string file = folder.path() / "kept.sqlite";
    for (int i = 0; i < 2; ++i) {
        const auto once = run({"--sqlite", file, "--transfers", "50"});
        CHECK(once.status == 0);
        CHECK(once.said().has("auditor: 50 of 50 transfers are in the books"));
        CHECK(std::filesystem::exists(file));
    }
}

TEST_CASE("connection_pool: on Ctrl-C it rolls back what is under way, and the books are right")
{
    for (const int signal : {SIGINT, SIGTERM}) {
        support::program_options options;
        options.arguments = {"--transfers", "1000000", "--tasks", "20"};
        support::background_program program(PROGRAM, options);
        program.wait_for_line("tasks");
        program.signal(signal);
        program.wait_for_line("bank: is asked to stop");
        program.wait_for_line("transfers booked");
        program.wait_for_line("auditor: each account has what the transfers make it");
        const auto ended = program.wait();
        CHECK(ended.status == 0);
        CHECK(ended.err == "");
        CHECK(ended.said().count_containing("1000000 of 1000000") == 0);
    }
}

TEST_CASE("connection_pool: on Ctrl-C while it makes the accounts, it ends")
{
    support::program_options options;
    options.arguments = {"--accounts", "1000000"};
    support::background_program program(PROGRAM, options);
    program.wait_for_line("bank: keeps its books");
    program.signal(SIGINT);
    const auto ended = program.wait();
    CHECK(ended.status == 1);
    CHECK(ended.err == "");
    CHECK(ended.said().count_containing("is asked to stop") == 1);
    CHECK(ended.said().count_containing("transfers") == 0);
}

// A program that has given its verdict was quicker than the signal, also when it still heard it.
TEST_CASE("connection_pool: on Ctrl-C while it examines the books, it ends, and cleans up")
{
    bool was_stopped = false;
    for (int attempt = 0; attempt < 10 && !was_stopped; ++attempt) {
        const common::temporary_folder place;
        support::program_options options;
        options.arguments = {"--accounts", "20000", "--transfers", "100"};
        options.environment = {{"TMPDIR", place.path()}};
        support::background_program program(PROGRAM, options);
        program.wait_for_line("transfers booked");
        const bool has_folder = !std::filesystem::is_empty(place.path());
        program.signal(SIGINT);
        const auto ended = program.wait();
        was_stopped = !ended.said().has("auditor: each account has what the transfers make it");
        CHECK(ended.err == "");
        if (was_stopped) {
            CHECK(has_folder);
            CHECK(ended.status == 1);
            CHECK(ended.said().has("bank: is asked to stop"));
        } else {  // in its last moment it does not hear signals any more
            CHECK((ended.status == 0 || ended.status == 128 + SIGINT));
        }
        CHECK(std::filesystem::is_empty(place.path()));
    }
    CHECK(was_stopped);
}

TEST_CASE("connection_pool: what it cannot open it says in a line, with exit status 1")
{
    const auto nowhere = run({"--sqlite", "/nowhere/at/all"});
    CHECK(nowhere.status == 1);
    CHECK(nowhere.err == "connection_pool: /nowhere/at/all: unable to open database file\n");
    const auto nobody = run({"--postgres", "host=/nowhere"});
    CHECK(nobody.status == 1);
    CHECK(nobody.err.starts_with("connection_pool: connection to server on socket "));
}

TEST_CASE("connection_pool: a command line that makes no sense is refused, with exit status 2")
{
    const std::vector<std::vector<std::string>> wrong = {
        {"--no-such-option"},     {"surplus"},
        {"--connections", "0"},   {"--connections", "many"},
        {"--accounts", "1"},      {"--transfers", "-1"},
        {"--sqlite", ":memory:"}, {"--sqlite", "file", "--postgres", "host=x"},
        {"--postgres", ""}};
    for (const auto& arguments : wrong) {
        const auto refused = run(arguments);
        INFO(arguments[0]);
        CHECK(refused.status == 2);
        CHECK(refused.out == "");
        CHECK(refused.err.starts_with("connection_pool: "));
    }
    const auto help = run({"--help"});
    CHECK(help.status == 0);
    CHECK(help.out.find("--postgres") != std::string::npos);
}

TEST_CASE("connection_pool: with PostgreSQL it says the same")
{
    if (tests::postgres_server::programs().empty()) {
        SKIP("PostgreSQL is not installed");
    }
    const tests::postgres_server server;
    const auto there = run({"--postgres", server.conninfo(), "--transfers", "300"});
    CHECK(there.status == 0);
    CHECK(there.err == "");
    CHECK(there.said().has("bank: keeps its books in PostgreSQL"));
    auto lines = sure(there.said());
    auto here = sure(run({"--transfers", "300"}).said());
    lines.erase(lines.begin());
    here.erase(here.begin());
    CHECK(lines == here);
}

TEST_CASE("connection_pool: a server that goes for good is given up, with one reason in a line")
{
    if (tests::postgres_server::programs().empty()) {
        SKIP("PostgreSQL is not installed");
    }
    tests::postgres_server server;
    support::program_options options;
    options.arguments = {"--postgres", server.conninfo(), "--transfers",
                         "1000000",    "--patience",      "0.5"};
    support::background_program program(PROGRAM, options);
    program.wait_for_line("tasks");
    server.stop(SIGQUIT);
    const auto ended = program.wait();
    CHECK(ended.status == 1);
    CHECK(ended.err.starts_with("connection_pool: connection to server on socket "));
}

TEST_CASE("connection_pool: a server that answers nothing any more is given up, not waited for")
{
    if (tests::postgres_server::programs().empty()) {
        SKIP("PostgreSQL is not installed");
    }
    tests::postgres_server server;
    support::program_options options;
    options.arguments = {"--postgres", server.conninfo(), "--transfers",
                         "1000000",    "--patience",      "0.5"};
    support::background_program program(PROGRAM, options);
    program.wait_for_line("tasks");
    server.freeze();
    wait_until_asleep(program);

    SECTION("after a while")
    {
        const auto ended = program.wait();
        CHECK(ended.status == 1);
        CHECK(ended.err.starts_with("connection_pool: no connection within 5.00 s"));
    }
    SECTION("on Ctrl-C, and on another one in the audit")
    {
        program.signal(SIGINT);
        program.wait_for_line("transfers booked");
        program.signal(SIGINT);
        const auto ended = program.wait();
        CHECK(ended.status == 1);
        CHECK(ended.said().count_containing("is asked to stop") == 2);
    }
    SECTION("at once on a second Ctrl-C")
    {
        program.signal(SIGINT);
        program.wait_for_line("bank: is asked to stop");
        program.signal(SIGINT);
        CHECK(program.wait().status == 128 + SIGINT);
    }
}
