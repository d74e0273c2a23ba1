#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

const std::string lesson = "020_performance_tuning";

struct figures {
    double calls = 0;
    double handlers = 0;
    double allocations = 0;
    std::string time;
};

using table = std::map<std::string, figures>;  // by the name of the row

const support::transcript& said()
{
    static const auto transcript = support::simulated_lesson(lesson).said();
    return transcript;
}

// The table of a section. A row is a name, and after two spaces or more, four figures.
table table_of(const std::string& title, const support::transcript& transcript = said())
{
    static const std::regex row(
        R"((\S.*?)\s{2,}([\d.]+|inf)\s+([\d.]+|inf)\s+([\d.]+|inf)\s+(\S+))");
    const auto lines = transcript.section(title).lines();
    table rows;
    for (auto line = lines.begin() + 1; line != lines.end(); ++line) {
        std::smatch parts;
        INFO(line->event);
        REQUIRE(std::regex_match(line->event, parts, row));
        rows[parts[1]] = {std::stod(parts[2]), std::stod(parts[3]), std::stod(parts[4]), parts[5]};
    }
    return rows;
}

bool same_counts(const figures& one, const figures& other)
{
    return one.calls == other.calls && one.handlers == other.handlers &&
           one.allocations == other.allocations;
}

const std::vector<std::string> titles = {
    "Many orders to a write",
    "Room for all that has come",
    "Two writes, and a wait",
    "A frame less",
    "An executor whose type is known",
    "A promise to use one thread",
    "Four allocations fewer, and who feels it",
    "Ten waiters and ten cooks"};

}  // namespace

TEST_CASE("020: an order takes eight system calls and four trips through the loop")
{
    const auto one = table_of("Many orders to a write").at("one to a write");
    CHECK(one.calls == 8.0);
    CHECK(one.handlers == 4.0);
    CHECK(one.allocations == 0.0);
}

TEST_CASE("020: with ten orders to a write, there is a tenth of everything")
{
    const auto rows = table_of("Many orders to a write");
    CHECK(rows.at("ten to a write").calls == 0.8);
    CHECK(rows.at("ten to a write").handlers == 0.4);
    CHECK(rows.at("ratio").calls == 10.0);
    CHECK(rows.at("ratio").handlers == 10.0);
}

TEST_CASE("020: who reads one order at a time writes one at a time, too")
{
    const auto rows = table_of("Room for all that has come");
    const auto& small = rows.at("room for one");
    const auto& large = rows.at("room for a hundred");

    // Of ten orders: ten reads and ten writes in place of one of each, and what the waiter does.
    CHECK(small.calls > 6);
    CHECK(small.calls < 7);
    CHECK(small.handlers > 3);
    CHECK(same_counts(large, table_of("Many orders to a write").at("ten to a write")));
    CHECK(rows.at("ratio").calls > 7);
}

TEST_CASE("020: no_delay changes no count, and one write in place of two is one call less")
{
    const auto rows = table_of("Two writes, and a wait");
    CHECK(rows.at("two writes").calls == 5.0);
    CHECK(same_counts(rows.at("two writes"), rows.at("two writes, no_delay")));
    CHECK(rows.at("one write").calls == 4.0);
}

TEST_CASE("020: use_awaitable needs a frame for each operation, and deferred none")
{
    const auto rows = table_of("A frame less");
    CHECK(rows.at("use_awaitable").allocations == 1.0);
    CHECK(rows.at("deferred").allocations == 0.0);
    CHECK(rows.at("use_awaitable").handlers == rows.at("deferred").handlers);
    CHECK(std::isinf(rows.at("ratio").allocations));
}

TEST_CASE("020: of a known executor and of the hint, the counters know nothing")
{
    const auto executors = table_of("An executor whose type is known");
    const auto& any = executors.at("any_io_executor");
    CHECK(any.handlers == 1.0);
    CHECK(any.calls == 0.0);
    CHECK(any.allocations == 0.0);
    CHECK(same_counts(any, executors.at("io_context::executor_type")));

    const auto hints = table_of("A promise to use one thread");
    CHECK(same_counts(any, hints.at("no promise")));
    CHECK(same_counts(any, hints.at("1")));
    CHECK(same_counts(any, hints.at("UNSAFE")));
}

TEST_CASE("020: Asio's allocator saves four allocations an order, and not one system call")
{
    const auto rows = table_of("Four allocations fewer, and who feels it");
    const auto& heap = rows.at("from the heap");
    const auto& own = rows.at("from Asio's own allocator");
    CHECK(heap.allocations == 4.0);
    CHECK(own.allocations == 0.0);
    CHECK(heap.calls == own.calls);
    CHECK(heap.handlers == own.handlers);
}

TEST_CASE("020: threads that block make four calls an order, coroutines six; alone they make eight")
{
    const auto rows = table_of("Ten waiters and ten cooks");
    CHECK(rows.at("one thread").calls == 4.0);
    CHECK(rows.at("a thread for each cook").calls == 4.0);
    CHECK(rows.at("one thread").handlers == 0.0);
    const auto& coroutines = rows.at("a coroutine for each");
    CHECK(coroutines.calls > 6);
    CHECK(coroutines.calls < 6.5);
    CHECK(coroutines.handlers == 4.0);
    CHECK(coroutines.calls < table_of("Many orders to a write").at("one to a write").calls);
}

TEST_CASE("020: in real time it prints the same counts, and times beside them")
{
    const auto run = support::run_lesson(lesson, support::lesson_clock::real);
    CHECK(run.status == 0);
    CHECK(run.err == "");
    const auto real = run.said();
    CHECK(real.lines().size() == said().lines().size());
    for (const auto& title : titles) {
        const auto planned = table_of(title);
        const auto measured = table_of(title, real);
        REQUIRE(measured.size() == planned.size());
        for (const auto& [name, row] : measured) {
            INFO(title << ": " << name);
            CHECK(same_counts(row, planned.at(name)));
            CHECK(planned.at(name).time == "-");
            CHECK(std::stod(row.time) > 0);
        }
    }
}

TEST_CASE("020: a cook who blocks makes all ten guests wait, which the 99th percentile shows")
{
    // Orders a second, average, median, 99th percentile, slowest and lag, by the name of the row.
    std::map<std::string, std::vector<double>> rows;
    const auto run = support::run_lesson(lesson, support::lesson_clock::real);
    const auto lines = run.said().section("What an average hides").lines();
    for (auto line = lines.begin() + 1; line != lines.end(); ++line) {
        const auto name_end = line->event.find("  ");
        std::istringstream rest(line->event.substr(name_end));
        auto& figures = rows[line->event.substr(0, name_end)];
        for (double figure = 0; rest >> figure;) {
            figures.push_back(figure);
        }
        REQUIRE(figures.size() == 6);
        CHECK(figures[0] > 0);
        CHECK(figures[2] <= figures[3]);
        CHECK(figures[3] <= figures[4]);
        CHECK(figures[1] <= figures[4]);
    }
    REQUIRE(rows.size() == 2);

    // Five thoughts of 5 ms: in the way of ten orders each, or of one.
    const auto& blocks = rows.at("one cook blocks");
    CHECK(blocks[3] >= 5000);
    CHECK(blocks[5] >= 4000);  // a timer is set for 1 ms later at the most
    CHECK(rows.at("one cook awaits")[4] >= 5000);
}

TEST_CASE("020: each ratio is that of the figures above it")
{
    for (const auto& title : titles) {
        INFO(title);
        auto lines = said().section(title).lines();
        REQUIRE(lines.size() >= 4);
        const auto rows = table_of(title);
        const auto name_of = [](const std::string& line) {
            return line.substr(0, line.find("  "));
        };
        const auto& first = rows.at(name_of(lines[1].event));
        const auto& last = rows.at(name_of(lines[lines.size() - 2].event));
        const auto check = [](double before, double after, double ratio) {
            if (before == after) {
                CHECK(ratio == 1.0);
            } else if (after == 0) {
                CHECK(std::isinf(ratio));
            } else {
                CHECK(std::abs(ratio - before / after) < 0.051);
            }
        };
        check(first.calls, last.calls, rows.at("ratio").calls);
        check(first.handlers, last.handlers, rows.at("ratio").handlers);
        check(first.allocations, last.allocations, rows.at("ratio").allocations);
    }
}
