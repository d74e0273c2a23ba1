#include "tests/support/program.hpp"

#include "common/temporary_folder.hpp"
#include "tests/support/document.hpp"

#include <boost/system/system_error.hpp>
#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>

#include <unistd.h>

using namespace std::chrono_literals;

namespace {

// A process that has ended and waits to be collected (state Z) is not alive.
bool is_alive(const std::string& process)
{
    const char state = support::process_state(std::stoi(process));
    return state != '\0' && state != 'Z';
}

// A signal takes a moment.
bool dies(const std::string& process)
{
    for (int i = 0; i < 3000 && is_alive(process); ++i) {
        std::this_thread::sleep_for(10ms);
    }
    return !is_alive(process);
}

}  // namespace

TEST_CASE("stdout, stderr and the status are told apart")
{
    const auto run = support::run_program(
        STUBBORN, {.arguments = {"echo"}, .environment = {{"STUBBORN", "as a mule"}}});
    CHECK(run.out == "as a mule\n");
    CHECK(run.err == "to stderr\n");
    CHECK(run.status == 3);
    CHECK_FALSE(run.timed_out);
}

TEST_CASE("death by signal is a status above 128")
{
    CHECK(support::run_program(STUBBORN, {.arguments = {"crash"}}).status == 128 + SIGKILL);
}

TEST_CASE("a program that does not exist is an error")
{
    CHECK_THROWS_AS(support::run_program("/nowhere/to/be/found"), boost::system::system_error);
}

TEST_CASE("more output than two pipes hold is read")
{
    const auto run = support::run_program(STUBBORN, {.arguments = {"flood"}});
    CHECK(run.out.size() == 4096 * 1024);
    CHECK(run.err.size() == 4096 * 1024);
}

TEST_CASE("a program that hangs is killed at its deadline, and gone")
{
    std::string process;
    for (auto deadline = 300ms; process.empty() && deadline < 1min; deadline *= 2) {
        const auto run =
            support::run_program(STUBBORN, {.arguments = {"hang"}, .deadline = deadline});
        CHECK(run.timed_out);
        CHECK(run.status == 128 + SIGKILL);
        CHECK(run.took >= deadline);
        process = run.out;  // nothing, when it was killed before it could say its number
    }
    REQUIRE_FALSE(process.empty());
    CHECK_FALSE(is_alive(process));
}

TEST_CASE("what a program leaves behind goes with it")
{
    const auto run = support::run_program(STUBBORN, {.arguments = {"orphan"}});
    CHECK(run.status == 0);
    CHECK_FALSE(run.timed_out);
    if (!run.out.empty()) {  // it was killed before it could say its number
        CHECK(dies(run.out));
    }
}

// As when ctest kills a test that hangs in a lesson that hangs.
TEST_CASE("a program does not outlive the test that started it")
{
    const common::temporary_folder folder;
    const auto file = folder / "number";
    std::string inner;
    for (std::chrono::milliseconds deadline = 1s; inner.empty() && deadline < 1min; deadline *= 2) {
        const auto run = support::run_program(
            STUBBORN, {.arguments = {"nest", file.string()}, .deadline = deadline});
        CHECK(run.timed_out);
        if (std::filesystem::exists(file)) {
            inner = support::read_file(file);
        }
    }
    REQUIRE_FALSE(inner.empty());
    CHECK(dies(inner));
}

TEST_CASE("a program beside the test is talked to, line by line")
{
    support::background_program program(STUBBORN, {.arguments = {"converse"}});
    CHECK(program.wait_for_line("ready") == "ready");
    program.write("one\ntwo\n");
    CHECK(program.wait_for_line("two") == "heard two");
    CHECK(program.out() == "ready\nheard one\nheard two\n");
    CHECK(program.running());
    program.close_input();

    const auto run = program.wait();
    CHECK(run.status == 4);
    CHECK_FALSE(run.timed_out);
    CHECK_FALSE(program.running());
}

TEST_CASE("waiting for a line that never comes ends when the program does")
{
    support::background_program program(STUBBORN, {.arguments = {"converse"}});
    program.wait_for_line("ready");
    program.signal(SIGTERM);
    CHECK_THROWS_AS(program.wait_for_line("ready"), std::runtime_error);
    program.write("is anybody there?\n");
    CHECK(program.wait().status == 128 + SIGTERM);
    program.signal(SIGTERM);
}

TEST_CASE("a program beside the test that hangs is killed at its deadline")
{
    std::string process;
    for (auto deadline = 300ms; process.empty() && deadline < 1min; deadline *= 2) {
        support::background_program program(
            STUBBORN, {.arguments = {"hang"}, .deadline = deadline});
        try {
            process = program.wait_for_line("");
        } catch (const std::runtime_error&) {
            // It was killed before it could say its number.
        }
        CHECK(program.wait().timed_out);
    }
    REQUIRE_FALSE(process.empty());
    CHECK_FALSE(is_alive(process));
}

TEST_CASE("a program beside the test ends with the object, and takes along what it has started")
{
    std::string process;
    std::string orphan;
    {
        support::background_program program(STUBBORN, {.arguments = {"hang"}});
        process = program.wait_for_line("");
        support::background_program parent(STUBBORN, {.arguments = {"orphan"}});
        try {
            orphan = parent.wait_for_line("");
        } catch (const std::runtime_error&) {
            // It was killed before it could say its number.
        }
    }
    CHECK_FALSE(is_alive(process));
    if (!orphan.empty()) {
        CHECK(dies(orphan));
    }
}

TEST_CASE("a program has as many descriptors as it is given")
{
    const auto run =
        support::run_program(STUBBORN, {.arguments = {"descriptors"}, .descriptor_limit = 40});
    CHECK(run.out == "40\n");
}

TEST_CASE("the processor time, memory and descriptors of a running program are known")
{
    support::background_program idle(STUBBORN, {.arguments = {"converse"}});
    idle.wait_for_line("ready");
    support::background_program busy(STUBBORN, {.arguments = {"spin"}});
    busy.wait_for_line("spins");
    while (support::processor_time(busy.id()) < 100ms) {
        std::this_thread::sleep_for(10ms);
    }
    CHECK(support::processor_time(idle.id()) < 100ms);
    CHECK(support::resident_memory(idle.id()) > 100'000);
    CHECK(support::peak_resident_memory(idle.id()) >= support::resident_memory(idle.id()));
    CHECK(support::open_descriptors(idle.id()) == 3);
}

TEST_CASE("a transcript answers questions about what was printed")
{
    const support::transcript said(
        "== Toast ==\n"
        "[0.00s] toast: in\n"
        "[0.10s] toast: done\n"
        "== Coffee ==\n"
        "[0.30s] brew: done\n"
        "no time here\n");
    CHECK(said.lines().size() == 6);
    CHECK(said.time_of("toast: done") == 0.10);
    CHECK(said.before("toast: in", "brew: done"));
    CHECK_FALSE(said.before("brew: done", "toast: in"));
    CHECK(said.count_containing("done") == 2);
    CHECK(said.has("no time here"));
    CHECK(said.section("Toast").lines().size() == 2);
    CHECK(said.section("Coffee").time_of("brew: done") == 0.30);
    CHECK_FALSE(said.section("Coffee").has("toast: done"));
    CHECK_THROWS_AS(said.time_of("tea: done"), std::runtime_error);
    CHECK_THROWS_AS(said.time_of("no time here"), std::runtime_error);
    CHECK_THROWS_AS(said.section("Tea"), std::runtime_error);
}
