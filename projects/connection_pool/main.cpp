// connection_pool · A pool of database connections
//
// Idea     Many tasks share few connections, which break, and no answer is wrong, lost or given twice.
// Lessons  007_semaphore, 014_timeouts, 018_executors, 019_transports_and_protocols
// Run      ./learn run connection_pool --help
// Read     projects/connection_pool/README.md, and docs/progression.md, Part V

#include "common/clock.hpp"
#include "common/command_line.hpp"
#include "common/log.hpp"
#include "common/run.hpp"
#include "common/serving.hpp"
#include "common/task_group.hpp"
#include "common/temporary_folder.hpp"
#include "connection_pool/bank.hpp"
#include "connection_pool/pool.hpp"
#include "connection_pool/postgres.hpp"
#include "connection_pool/sqlite.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace {

struct settings {
    std::string sqlite;    // a file; empty for a temporary one
    std::string postgres;  // a connection string; empty for SQLite
    std::size_t connections = 4;
    std::size_t tasks = 50;
    std::size_t transfers = 1000;
    std::int64_t accounts = 10;
    unsigned seed = 1;
    double patience = 30;  // seconds
};

void log_pool(const db::pool_statistics& seen)
{
    common::log("pool", "{} leases, {} at a time at the most", seen.leases, seen.peak);
    common::log(
        "pool", "{} of them waited, the longest for {:.2f} s", seen.waited,
        std::chrono::duration<double>(seen.longest_wait).count());
    common::log(
        "pool", "{} connections opened, {} were broken; {} calls got none in time", seen.opened,
        seen.broken, seen.timed_out);
}

// Ctrl-C ends the work; what is under way is rolled back. `stop` is used up then.
awaitable<void> cancel_at_signal(std::optional<common::stop_signal>& stop, common::task_group& work)
{
    co_await stop->wait();
    stop.reset();
    common::log("bank", "is asked to stop");
    work.cancel();
}

// Gives whether there was no signal. One that comes in the instant in which the work ends counts.
awaitable<bool> unless_stopped(std::optional<common::stop_signal>& stop, awaitable<void> work)
{
    co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
        both.spawn(cancel_at_signal(stop, both));
        co_await std::move(work);
        both.cancel();
    });
    co_return stop.has_value();
}

// How many transfers somebody was told of, and the database knows nothing of.
std::size_t missing_from(const std::vector<std::int64_t>& noted, std::vector<std::int64_t> booked)
{
    std::sort(booked.begin(), booked.end());
    std::vector<std::int64_t> lost;
    std::set_difference(
        booked.begin(), booked.end(), noted.begin(), noted.end(), std::back_inserter(lost));
    return lost.size();
}

// Gives whether the books are right.
awaitable<bool> examine_books(
    bank::connections& pool, const std::vector<bank::transfer>& orders, const settings& given,
    const bank::tally& count)
{
    const auto lease = co_await pool.acquire();
    const auto books = co_await bank::examine(*lease, orders, given.accounts);
    common::log(
        "auditor", "{} of {} transfers are in the books", books.noted.size(), orders.size());
    common::log("auditor", "{} accounts have {} together", given.accounts, books.total);
    if (!books.fault.empty()) {
        common::log("auditor", "{}", books.fault);
    } else if (const auto lost = missing_from(books.noted, count.booked); lost > 0) {
        common::log("auditor", "but {} that were said to be are not", lost);
    } else {
        common::log("auditor", "each account has what the transfers make it");
        co_return true;
    }
    co_return false;
}

awaitable<bool> day_at_the_bank(
    bank::connections& pool, const settings& given, std::optional<common::stop_signal>& stop)
{
    const auto orders = bank::draw_transfers(given.transfers, given.accounts, given.seed);
    const auto patience =
        std::chrono::duration_cast<common::duration>(std::chrono::duration<double>(given.patience));
    bank::tally count;
    const auto open = [&]() -> awaitable<void> {
        const auto lease = co_await pool.acquire();
        co_await bank::open_accounts(*lease, given.accounts);
    };
    const bool goes_on = co_await unless_stopped(stop, open());
    if (!goes_on) {
        co_return false;
    }
    common::log("bank", "{} accounts with {} each", given.accounts, bank::opening_balance);
    common::log(
        "bank", "{} transfers, {} tasks, {} connections", given.transfers, given.tasks,
        given.connections);

    co_await common::with_task_group([&](common::task_group& work) -> awaitable<void> {
        work.spawn(pool.maintain());
        work.spawn(cancel_at_signal(stop, work));
        co_await bank::book_all(pool, orders, given.tasks, patience, count);
        work.cancel();
    });

    // The audit is made after a Ctrl-C, too. Another one ends it.
    if (!stop) {
        stop.emplace(co_await asio::this_coro::executor);
    }
    common::log(
        "bank", "{} transfers booked; {} tries failed; {} commits not answered, {} of them done",
        count.booked.size(), count.retries, count.unknown, count.found);

    bool right = false;
    const auto audit = [&]() -> awaitable<void> {
        right = co_await examine_books(pool, orders, given, count);
    };
    co_await unless_stopped(stop, audit());
    log_pool(pool.statistics());
    co_return right;
}

// `stop` goes last: a Ctrl-C that comes when all is done must not leave the folder behind. It has
// nothing to wait for then but SQLite's threads, which close their files.
awaitable<bool> open_bank(settings given)
{
    std::optional<common::stop_signal> stop(co_await asio::this_coro::executor);
    std::optional<common::temporary_folder> folder;
    std::optional<asio::thread_pool> threads;
    db::pool_limits limits;
    limits.minimum = 1;
    limits.maximum = given.connections;
    if (!given.postgres.empty()) {
        common::log("bank", "keeps its books in PostgreSQL");
        bank::connections pool(limits, [&] { return db::open_postgres(given.postgres); });
        co_return co_await day_at_the_bank(pool, given, stop);
    }
    if (given.sqlite.empty()) {
        given.sqlite = folder.emplace().path() / "bank.sqlite";
    }
    common::log("bank", "keeps its books in SQLite {}", db::sqlite_version());
    // One for each connection: a statement keeps a thread for as long as it takes.
    threads.emplace(given.connections);
    bank::connections pool(
        limits, [&] { return db::open_sqlite(threads->get_executor(), given.sqlite); });
    co_return co_await day_at_the_bank(pool, given, stop);
}

}  // namespace

int main(int argc, char** argv)
{
    common::open_standard_streams();
    settings given;
    CLI::App app("Books transfers between accounts by many tasks through few connections.");
    app.add_option("--sqlite", given.sqlite, "keep the books in this file, not a temporary one")
        ->check([](const std::string& file) {
            // There each connection would have books of its own.
            return file == ":memory:" ? "the connections have no memory in common" : "";
        });
    app.add_option("--postgres", given.postgres, "keep them in PostgreSQL: 'host=... dbname=...'")
        ->check([](const std::string& text) { return text.empty() ? "says no database" : ""; })
        ->excludes("--sqlite");
    app.add_option("--connections", given.connections, "how many at the most")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    app.add_option("--tasks", given.tasks, "how many book at the same time")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    app.add_option("--transfers", given.transfers, "how many are booked")
        ->check(CLI::Range(0, 10'000'000))
        ->capture_default_str();
    app.add_option("--accounts", given.accounts, "between how many accounts")
        ->check(CLI::Range(2, 1'000'000))
        ->capture_default_str();
    app.add_option("--seed", given.seed, "decides which transfers are drawn")
        ->capture_default_str();
    app.add_option("--patience", given.patience, "seconds to go on trying when something fails")
        ->check(CLI::Range(0.0, 86'400.0))
        ->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
        return app.exit(help);
    } catch (const CLI::ParseError& error) {
        common::complain("connection_pool", error.what());
        return 2;
    }
    try {
        try {
            // Threads and servers keep real time.
            return common::run(open_bank(given), common::clock_mode::steady) ? 0 : 1;
        } catch (const common::exception_group& failures) {
            failures.throw_first();  // when several tasks fail, it is mostly for the same reason
        }
    } catch (const std::exception& error) {
        common::complain("connection_pool", error.what());
        return 1;
    }
}
