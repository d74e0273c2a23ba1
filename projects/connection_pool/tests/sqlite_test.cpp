// SQLite itself, on its threads.

#include "connection_pool/sqlite.hpp"
#include "common/clock.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"
#include "common/temporary_folder.hpp"
#include "common/timeout.hpp"
#include "connection_pool/bank.hpp"
#include "connection_pool/transaction.hpp"
#include "tests/common/started.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace {

// A database in a folder of its own, and threads for it.
struct house {
    common::temporary_folder folder;
    asio::thread_pool threads{4};

    std::string file() const { return folder.path() / "test.sqlite"; }

    awaitable<std::unique_ptr<db::connection>> open()
    {
        return db::open_sqlite(threads.get_executor(), file());
    }
};

// Runs the body, an awaitable<void>(house&), on the steady clock.
template <class Body>
void in_a_house(Body body)
{
    ::alarm(100);
    const auto main = [&]() -> awaitable<void> {
        house here;
        co_await body(here);
    };
    common::run(main(), common::clock_mode::steady);
    ::alarm(0);
}

// Never ends by itself.
const std::string endless =
    "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n";

awaitable<std::int64_t> count_rows(db::connection& there)
{
    const auto found = co_await there.query("select count(*) from t");
    co_return found.integer(0, 0);
}

awaitable<void> run_endless(db::connection& there)
{
    co_await there.query(endless);
}

template <class Failure>
awaitable<bool> fails_with(awaitable<db::rows> query)
{
    try {
        co_await std::move(query);
    } catch (const Failure&) {
        co_return true;
    }
    co_return false;
}

}  // namespace

TEST_CASE("sqlite: values of every type go in and come out as they were")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const auto most = std::numeric_limits<std::int64_t>::max();
        const auto least = std::numeric_limits<std::int64_t>::min();
        const auto found = co_await there->query(
            "select $1, $2, $3, $4, $5, $6, $3", most, least, 0.1, "Grüße", nullptr, "");
        CHECK(found.integer(0, 0) == most);
        CHECK(found.integer(0, 1) == least);
        CHECK(found.real(0, 2) == 0.1);
        CHECK(found.text(0, 3) == "Grüße");
        CHECK(found.is_null(0, 4));
        CHECK(found.text(0, 5) == "");
        CHECK(found.real(0, 6) == 0.1);
        CHECK_THROWS_AS(found.integer(0, 3), std::bad_variant_access);
        CHECK_THROWS_AS(found.integer(1, 0), std::out_of_range);
    });
}

TEST_CASE("sqlite: a statement says how many rows it has changed")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        co_await there->query("create table t (id integer)");
        const auto put = co_await there->query("insert into t values (1), (2), (3)");
        CHECK(put.affected == 3);
        const auto changed = co_await there->query("update t set id = id + 1 where id > $1", 1);
        CHECK(changed.affected == 2);
        const auto read = co_await there->query("select * from t");
        CHECK(read.size() == 3);
        CHECK(read.affected == 0);
        const auto none = co_await there->query("delete from t where id = $1", 99);
        CHECK(none.affected == 0);
    });
}

TEST_CASE("sqlite: SQL in a parameter is text, and nothing else")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const std::string attack = "x'); drop table t; --";
        co_await there->query("create table t (name text)");
        co_await there->query("insert into t values ($1)", attack);
        const auto found = co_await there->query("select name from t");
        CHECK(found.text(0, 0) == attack);
        const auto all = co_await there->query("select * from t where name = $1", "' or '1'='1");
        CHECK(all.empty());
    });
}

TEST_CASE("sqlite: what makes no sense is refused, and the connection stays good")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const auto refused = [&](awaitable<db::rows> query) -> awaitable<void> {
            const bool thrown = co_await fails_with<db::query_error>(std::move(query));
            CHECK(thrown);
            CHECK(there->usable());
        };
        co_await refused(there->query("selct 1"));
        co_await refused(there->query(""));
        co_await refused(there->query("select 1; select 2"));
        co_await refused(there->query("select $1"));
        co_await refused(there->query("select $1", 1, 2));
        co_await refused(there->query("select $1, $3", 1, 2));
        co_await refused(there->query("select $1", std::string("a\0b", 3)));
        co_await refused(there->query(std::string("select 1\0, 2", 12)));
        co_await there->query("create table t (id integer primary key)");
        co_await there->query("insert into t values (1)");
        co_await refused(there->query("insert into t values ($1)", 1));
        tests::check_equal(co_await there->check(), true);
    });
}

TEST_CASE("sqlite: a long statement does not keep the loop from its other work")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        int beats = 0;
        co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
            group.spawn(run_endless(*there));
            for (; beats < 10; ++beats) {
                co_await common::sleep_for(5ms);
            }
            CHECK_FALSE(there->usable());
            group.cancel();
        });
        CHECK(beats == 10);
    });
}

TEST_CASE("sqlite: a deadline stops a statement that would never end, and the connection goes on")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        for (int i = 0; i < 20; ++i) {
            bool stopped = false;
            try {
                co_await common::with_timeout(
                    std::chrono::milliseconds(i / 4), there->query(endless));
            } catch (const common::timeout_error&) {
                stopped = true;
            }
            CHECK(stopped);
            CHECK(there->usable());
            const auto found = co_await there->query("select $1", i);
            CHECK(found.integer(0, 0) == i);
        }
    });
}

TEST_CASE("sqlite: a statement in the line for a thread is stopped, too")
{
    in_a_house([](house& here) -> awaitable<void> {
        asio::thread_pool one(1);
        const auto first = co_await db::open_sqlite(one.get_executor(), here.file());
        const auto second = co_await db::open_sqlite(one.get_executor(), here.file());
        const auto executor = co_await asio::this_coro::executor;
        co_await first->query("create table t (id integer)");
        tests::started running(executor, first->query(endless));
        tests::started behind(executor, second->query("insert into t values (1)"));
        co_await common::sleep_for(5ms);
        behind.cancel();  // SQLite has not heard of it
        co_await common::sleep_for(5ms);
        CHECK(behind.running());
        running.cancel();
        while (running.running() || behind.running()) {
            co_await common::sleep_for(1ms);
        }
        CHECK(running.aborted());
        CHECK(behind.aborted());
        tests::check_equal(co_await count_rows(*second), 0);
    });
}

TEST_CASE("sqlite: two statements at a time on one connection are a mistake, and called one")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const auto executor = co_await asio::this_coro::executor;
        tests::started running(executor, there->query(endless));
        const bool refused = co_await fails_with<std::logic_error>(there->query("select 1"));
        CHECK(refused);
        running.cancel();
        while (running.running()) {
            co_await common::sleep_for(1ms);
        }
        CHECK(running.aborted());
    });
}

TEST_CASE("sqlite: a transaction is committed as a whole or not at all")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        co_await there->query("create table t (id integer)");

        co_await db::with_transaction(*there, [&](db::transaction& work) -> awaitable<void> {
            co_await work.query("insert into t values (1)");
            co_await work.query("insert into t values (2)");
            co_await work.commit();
        });
        tests::check_equal(co_await count_rows(*there), 2);

        co_await db::with_transaction(*there, [&](db::transaction& work) -> awaitable<void> {
            co_await work.query("insert into t values (3)");
        });
        tests::check_equal(co_await count_rows(*there), 2);

        std::string message;
        try {
            co_await db::with_transaction(*there, [&](db::transaction& work) -> awaitable<void> {
                co_await work.query("insert into t values (3)");
                throw std::runtime_error("no");
            });
        } catch (const std::runtime_error& error) {
            message = error.what();
        }
        CHECK(message == "no");
        tests::check_equal(co_await count_rows(*there), 2);
        CHECK(there->usable());
    });
}

TEST_CASE("sqlite: after the commit, a transaction takes no more statements")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        co_await there->query("create table t (id integer)");
        bool refused = false;
        try {
            co_await db::with_transaction(*there, [&](db::transaction& work) -> awaitable<void> {
                co_await work.commit();
                co_await work.query("insert into t values (1)");
            });
        } catch (const db::query_error&) {
            refused = true;
        }
        CHECK(refused);
        tests::check_equal(co_await count_rows(*there), 0);
    });
}

TEST_CASE(
    "sqlite: an interrupted insert ends the transaction, and what follows is not let out of it")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        co_await there->query("create table t (id integer)");
        bool refused = false;
        try {
            co_await db::with_transaction(*there, [&](db::transaction& work) -> awaitable<void> {
                co_await work.query("insert into t values (1)");
                // It may also be stopped before it has begun, and then the transaction goes on.
                for (auto limit = 20ms; there->state() == db::transaction_state::open; limit *= 2) {
                    try {
                        co_await common::with_timeout(
                            limit,
                            work.query("insert into t with recursive n(i) as (select 1 union all "
                                       "select i + 1 from n) select i from n"));
                    } catch (const common::timeout_error&) {
                        // as it should be
                    }
                }
                co_await work.query("insert into t values (2)");
                co_await work.commit();
            });
        } catch (const db::query_error&) {
            refused = true;
        }
        CHECK(refused);
        tests::check_equal(co_await count_rows(*there), 0);
        CHECK(there->usable());
    });
}

TEST_CASE("sqlite: a transaction cancelled at any moment is done as a whole or not at all")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const auto executor = co_await asio::this_coro::executor;
        co_await there->query("create table t (id integer)");
        std::int64_t done = 0;
        int aborted = 0;
        const auto has_both = [&] { return done > 0 && aborted > 0; };
        for (int round = 0; round < 300 || (round < 3000 && !has_both()); ++round) {
            const auto work = [&]() -> awaitable<void> {
                co_await db::with_transaction(
                    *there, [&](db::transaction& books) -> awaitable<void> {
                        co_await books.query("insert into t values ($1)", round);
                        co_await books.query("insert into t values ($1)", round);
                        co_await books.commit();
                    });
            };
            tests::started working(executor, work());
            // Where the machine is slow, the pauses get longer until some of it is done.
            co_await common::sleep_for(std::chrono::microseconds(round % 60 * (10 + round / 30)));
            working.cancel();
            while (working.running()) {
                co_await common::sleep_for(10us);
            }
            CHECK((working.finished() || working.aborted()));
            done += working.finished() ? 1 : 0;
            aborted += working.aborted() ? 1 : 0;
            CHECK(there->usable());
            tests::check_equal(co_await count_rows(*there), 2 * done);
        }
        CHECK(done > 0);
        CHECK(aborted > 0);
    });
}

TEST_CASE("sqlite: who finds the database locked waits, and can be cancelled meanwhile")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto first = co_await here.open();
        const auto second = co_await here.open();
        const auto executor = co_await asio::this_coro::executor;
        co_await first->query("create table t (id integer)");
        co_await first->query("begin immediate");
        tests::started impatient(executor, second->query("insert into t values (1)"));
        co_await common::sleep_for(50ms);
        CHECK(impatient.running());
        impatient.cancel();
        while (impatient.running()) {
            co_await common::sleep_for(1ms);
        }
        CHECK(impatient.aborted());

        const tests::started patient(executor, second->query("insert into t values (2)"));
        co_await common::sleep_for(50ms);
        CHECK(patient.running());
        co_await first->query("commit");
        while (patient.running()) {
            co_await common::sleep_for(1ms);
        }
        CHECK(patient.finished());
        tests::check_equal(co_await count_rows(*first), 1);
    });
}

TEST_CASE("sqlite: a database that stays locked is a conflict, after ten seconds")
{
    // On virtual time, since nothing but sleeping happens in these ten seconds.
    const auto main = []() -> awaitable<void> {
        house here;
        const auto first = co_await here.open();
        const auto second = co_await here.open();
        co_await first->query("create table t (id integer)");
        co_await first->query("begin immediate");
        const auto before = common::elapsed();
        const bool lost =
            co_await fails_with<db::conflict>(second->query("insert into t values (1)"));
        CHECK(lost);
        CHECK(common::elapsed() - before >= 10s);
        CHECK(common::elapsed() - before <= 11s);
        co_await first->query("rollback");
        co_await second->query("insert into t values (1)");
    };
    common::run(main(), common::clock_mode::virtual_time);
}

TEST_CASE("sqlite: a read that wants to become a write too late is a conflict at once")
{
    const auto main = []() -> awaitable<void> {
        house here;
        const auto first = co_await here.open();
        const auto second = co_await here.open();
        co_await first->query("create table t (id integer)");
        co_await first->query("begin");
        co_await first->query("select * from t");
        co_await second->query("insert into t values (1)");
        const bool lost =
            co_await fails_with<db::conflict>(first->query("insert into t values (2)"));
        CHECK(lost);
        CHECK(common::elapsed() < 5s);  // of virtual time, so nobody has waited for what cannot be
        CHECK_FALSE(first->usable());   // it is still in its transaction
        co_await first->query("rollback");
        CHECK(first->usable());
    };
    common::run(main(), common::clock_mode::virtual_time);
}

TEST_CASE("sqlite: fewer threads than connections do not lock each other out")
{
    in_a_house([](house& here) -> awaitable<void> {
        asio::thread_pool one(1);
        db::pool_limits limits;
        limits.maximum = 4;
        bank::connections pool(
            limits, [&] { return db::open_sqlite(one.get_executor(), here.file()); });
        const auto orders = bank::draw_transfers(100, 5, 1);
        bank::tally count;
        {
            const auto lease = co_await pool.acquire();
            co_await bank::open_accounts(*lease, 5);
        }
        co_await bank::book_all(pool, orders, 10, 1min, count);
        const auto lease = co_await pool.acquire();
        const auto books = co_await bank::examine(*lease, orders, 5);
        CHECK(books.noted.size() == 100);
        CHECK(books.fault == "");
    });
}

TEST_CASE("sqlite: a lease that goes back in a transaction is not lent again")
{
    in_a_house([](house& here) -> awaitable<void> {
        db::pool_limits limits;
        limits.maximum = 1;
        bank::connections pool(limits, [&] { return here.open(); });
        {
            const auto lease = co_await pool.acquire();
            co_await lease->query("create table t (id integer)");
            co_await lease->query("begin");
            co_await lease->query("insert into t values (1)");
        }
        CHECK(pool.statistics().broken == 1);
        const auto lease = co_await pool.acquire();
        tests::check_equal(co_await count_rows(*lease), 0);
        CHECK(pool.statistics().opened == 2);
    });
}

TEST_CASE("sqlite: a file that is no database, or cannot be opened, is a connection error")
{
    in_a_house([](house& here) -> awaitable<void> {
        const auto cannot_open = [&](std::string file) -> awaitable<bool> {
            try {
                co_await db::open_sqlite(here.threads.get_executor(), std::move(file));
            } catch (const db::connection_error&) {
                co_return true;
            }
            co_return false;
        };
        std::ofstream(here.file()) << std::string(5000, 'x');
        tests::check_equal(co_await cannot_open(here.file()), true);
        tests::check_equal(co_await cannot_open("/nowhere/at/all"), true);
    });
}

TEST_CASE("sqlite: an event loop destroyed in the middle of a statement is clean")
{
    struct given_up {};
    bool in_the_middle = false;
    const auto main = [&]() -> awaitable<void> {
        house here;  // the threads must end before the loop
        const auto there = co_await here.open();
        const auto executor = co_await asio::this_coro::executor;
        tests::started running(
            executor,
            there->query("with recursive n(i) as (select 1 union all select i + 1 from n where "
                         "i < 300000) select max(i) from n"));
        co_await common::sleep_for(2ms);
        in_the_middle = running.running();
        throw given_up();
    };
    while (!in_the_middle) {
        CHECK_THROWS_AS(common::run(main(), common::clock_mode::steady), given_up);
    }
}
