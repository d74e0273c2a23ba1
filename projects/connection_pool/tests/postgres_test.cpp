// PostgreSQL itself, started by the tests.

#include "connection_pool/postgres.hpp"
#include "common/barrier.hpp"
#include "common/clock.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"
#include "connection_pool/bank.hpp"
#include "connection_pool/tests/postgres_server.hpp"
#include "connection_pool/tests/proxy.hpp"
#include "connection_pool/transaction.hpp"
#include "tests/common/started.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using tests::started;
using namespace std::chrono_literals;

namespace {

// What a test has: a server, and connections to it.
class site {
public:
    explicit site(tests::postgres_server& running) : server(running) {}

    awaitable<std::unique_ptr<db::connection>> open() { return open_through(server.folder()); }

    awaitable<std::unique_ptr<db::connection>> open_through(const std::string& hosts)
    {
        return db::open_postgres(tests::postgres_server::conninfo_through(hosts));
    }

    tests::postgres_server& server;
};

// Runs the body, an awaitable<void>(site&), against a server with these settings.
template <class Body>
void with_postgres(Body body, std::vector<std::string> settings = {})
{
    if (tests::postgres_server::programs().empty()) {
        SKIP("PostgreSQL is not installed");
    }
    ::alarm(110);
    tests::postgres_server server(std::move(settings));
    const auto main = [&]() -> awaitable<void> {
        site here(server);
        co_await body(here);
    };
    common::run(main(), common::clock_mode::steady);
    ::alarm(0);
}

db::pool_limits at_most(std::size_t maximum)
{
    db::pool_limits limits;
    limits.maximum = maximum;
    limits.wait = 10s;
    return limits;
}

template <class Failure, class T>
awaitable<bool> fails_with(awaitable<T> work)
{
    try {
        (void)co_await std::move(work);
    } catch (const Failure&) {
        co_return true;
    }
    co_return false;
}

awaitable<std::int64_t> number(awaitable<db::rows> query)
{
    const auto found = co_await std::move(query);
    co_return found.integer(0, 0);
}

awaitable<std::int64_t> process_of(db::connection& there)
{
    return number(there.query("select pg_backend_pid()"));
}

// Statements with this text in them that the server is running, other than this one.
awaitable<std::int64_t> running(db::connection& there, const char* text)
{
    return number(there.query(
        "select count(*) from pg_stat_activity where state = 'active' and "
        "pid <> pg_backend_pid() and position($1 in query) > 0",
        text));
}

awaitable<void> until_running(db::connection& there, const char* text, std::int64_t least = 1)
{
    std::int64_t found = 0;
    while (found < least) {
        co_await common::sleep_for(1ms);
        found = co_await running(there, text);
    }
}

awaitable<void> until_ended(const started& task)
{
    while (task.running()) {
        co_await common::sleep_for(1ms);
    }
}

// Waits for the task's end. Gives whether the server was seen to run such a statement before that.
awaitable<bool> was_seen_running(db::connection& there, const char* text, const started& task)
{
    std::int64_t found = 0;
    while (task.running() && found == 0) {
        found = co_await running(there, text);
    }
    co_await until_ended(task);
    co_return found > 0;
}

// Waits until the task is in the middle of its commit. Gives false where that was over too soon.
awaitable<bool> caught_in_commit(db::connection& there, const started& task)
{
    std::int64_t found = 0;
    while (found == 0 && task.running()) {
        found = co_await running(there, "commit");
    }
    co_await common::sleep_for(20ms);
    co_return task.running();
}

// Books transfers, does something to the server meanwhile, and audits: every transfer is in the
// books once, and each account has what they make it. Gives what it took.
template <class Trouble>
awaitable<bank::tally> book_under(
    site& here, bank::connections& pool, std::size_t transfers, std::size_t tasks, Trouble trouble)
{
    const auto orders = bank::draw_transfers(transfers, 10, 3);
    auto auditor = co_await here.open();
    co_await bank::open_accounts(*auditor, 10);

    bank::tally count;
    co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
        group.spawn(pool.maintain());
        group.spawn(trouble(count));
        co_await bank::book_all(pool, orders, tasks, 60s, count);
        group.cancel();
    });

    const bool is_there = co_await auditor->check();
    if (!is_there) {
        auditor = co_await here.open();
    }
    const auto books = co_await bank::examine(*auditor, orders, 10);
    CHECK(books.fault == "");
    CHECK(books.total == 10 * bank::opening_balance);
    CHECK(books.noted.size() == transfers);
    std::sort(count.booked.begin(), count.booked.end());
    CHECK(count.booked == books.noted);  // each acknowledged, and once
    CHECK(count.found <= count.unknown);
    co_return count;
}

// Passes on what comes, until it ends.
template <class From, class To>
awaitable<void> relay(From& from, To& to)
{
    std::array<char, 4096> bytes;
    while (true) {
        const auto [end, size] =
            co_await from.async_read_some(asio::buffer(bytes), asio::as_tuple(asio::deferred));
        if (end) {
            break;
        }
        co_await asio::async_write(to, asio::buffer(bytes, size), asio::deferred);
    }
    to.shutdown(To::shutdown_send);
}

}  // namespace

TEST_CASE("postgres: values of every type go in and come out as they were")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const auto most = std::numeric_limits<std::int64_t>::max();
        const auto least = std::numeric_limits<std::int64_t>::min();
        const auto found = co_await there->query(
            "select $1::bigint, $2::bigint, $3::float8, $4::text, $5::text, $6::text, true, 3.14, "
            "$7::int",
            most, least, 0.1, "Grüße", nullptr, "", 7);
        CHECK(found.integer(0, 0) == most);
        CHECK(found.integer(0, 1) == least);
        CHECK(found.real(0, 2) == 0.1);
        CHECK(found.text(0, 3) == "Grüße");
        CHECK(found.is_null(0, 4));
        CHECK(found.text(0, 5) == "");
        CHECK(found.integer(0, 6) == 1);
        CHECK(found.text(0, 7) == "3.14");  // numeric has more digits than a double
        CHECK(found.integer(0, 8) == 7);

        // More than the socket takes at once, in both directions.
        const std::string large(30'000'000, 'x');
        const auto back = co_await there->query("select $1::text || 'y'", large);
        CHECK((back.text(0, 0) == large + 'y'));

        const auto many = co_await there->query("select i from generate_series(1, 10000) i");
        CHECK(many.size() == 10'000);
        CHECK(many.integer(9'999, 0) == 10'000);
        CHECK(many.affected == 0);
        co_await there->query("create table t (id int)");
        const auto put = co_await there->query("insert into t select generate_series(1, 9)");
        CHECK(put.affected == 9);
    });
}

TEST_CASE("postgres: SQL in a parameter is text, and nothing else")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const std::string attack = "x'); drop table t; --";
        co_await there->query("create table t (name text)");
        co_await there->query("insert into t values ($1)", attack);
        const auto found = co_await there->query("select name from t");
        REQUIRE(found.size() == 1);
        CHECK(found.text(0, 0) == attack);
        const auto all = co_await there->query("select * from t where name = $1", "' or '1'='1");
        CHECK(all.empty());
    });
}

TEST_CASE("postgres: what makes no sense is refused, and the connection stays good")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const auto refused = [&](awaitable<db::rows> query) -> awaitable<std::string> {
            std::string code = "none";
            try {
                co_await std::move(query);
            } catch (const db::query_error& error) {
                code = error.code();
            }
            CHECK(there->usable());
            co_return code;
        };
        tests::check_equal(co_await refused(there->query("selct 1")), "42601");
        tests::check_equal(co_await refused(there->query("select 1; select 2")), "42601");
        tests::check_equal(co_await refused(there->query("select $1::int")), "08P01");
        tests::check_equal(co_await refused(there->query("select $1::int", "x")), "22P02");
        tests::check_equal(co_await refused(there->query("")), "");
        tests::check_equal(
            co_await refused(there->query("select $1::text", std::string("a\0b", 3))), "");
        co_await there->query("create table t (id int primary key)");
        co_await there->query("insert into t values (1)");
        tests::check_equal(co_await refused(there->query("insert into t values (1)")), "23505");
        tests::check_equal(co_await there->check(), true);
    });
}

TEST_CASE("postgres: an error that comes with the commit of a single statement is an error")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto there = co_await here.open();
        co_await there->query("create table t (id int unique deferrable initially deferred)");
        co_await there->query("insert into t values (1)");
        const bool refused =
            co_await fails_with<db::query_error>(there->query("insert into t values (1)"));
        CHECK(refused);
        tests::check_equal(co_await number(there->query("select count(*) from t")), 1);
    });
}

TEST_CASE("postgres: COPY is refused, and the connection not lent again")
{
    with_postgres([](site& here) -> awaitable<void> {
        for (const std::string direction : {"to stdout", "from stdin"}) {
            const auto there = co_await here.open();
            co_await there->query("create table if not exists t (id int)");
            const bool refused =
                co_await fails_with<db::query_error>(there->query("copy t " + direction));
            CHECK(refused);
            CHECK_FALSE(there->usable());
        }
    });
}

TEST_CASE("postgres: a transaction in which a statement has failed cannot be committed")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto there = co_await here.open();
        co_await there->query("create table t (id int primary key)");
        const auto work = [&]() -> awaitable<bool> {
            co_await db::with_transaction(*there, [](db::transaction& books) -> awaitable<void> {
                co_await books.query("insert into t values (1)");
                const bool refused =
                    co_await fails_with<db::query_error>(books.query("insert into t values (1)"));
                CHECK(refused);
                co_await books.commit();  // to which the server would answer that all is well
            });
            co_return true;
        };
        const bool refused = co_await fails_with<db::query_error>(work());
        CHECK(refused);
        CHECK(there->usable());
        tests::check_equal(co_await number(there->query("select count(*) from t")), 0);
    });
}

TEST_CASE("postgres: a deadline ends the statement on the server, and the connection goes on")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const auto other = co_await here.open();
        const auto before = co_await process_of(*there);
        const auto executor = co_await asio::this_coro::executor;

        // Where the deadline was over before the statement was seen to run, there is another one.
        bool seen = false;
        for (auto deadline = 300ms; !seen; deadline *= 2) {
            const started sleeping(
                executor, common::with_timeout(deadline, there->query("select pg_sleep(1000)")));
            seen = co_await was_seen_running(*other, "pg_sleep", sleeping);
            CHECK(sleeping.failed_with<common::timeout_error>());
            tests::check_equal(co_await running(*other, "pg_sleep"), 0);
            CHECK(there->usable());
        }
        tests::check_equal(co_await process_of(*there), before);
    });
}

TEST_CASE("postgres: statements cancelled at any moment leave no answer for the next one")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const auto before = co_await process_of(*there);
        std::mt19937 chance(11);
        int cancelled = 0;
        for (std::int64_t round = 0; round < 400; ++round) {
            // Most may end either way. Of each ten, one would never be done, and one has time.
            const bool endless = round % 10 == 0;
            const bool has_time = round % 10 == 5;
            const auto limit =
                has_time ? common::duration(1h) : std::chrono::microseconds(chance() % 3000);
            const auto own =
                fmt::format("select {} from pg_sleep({})", round, endless ? "1000" : "0.001");
            try {
                const auto found = co_await common::with_timeout(limit, there->query(own));
                CHECK(found.integer(0, 0) == round);
            } catch (const common::timeout_error&) {
                ++cancelled;
            }
            // A request to cancel that comes late would hit this one.
            const auto next = co_await there->query("select $1::int, pg_sleep(0.001)", round);
            CHECK(next.integer(0, 0) == round);
        }
        CHECK(cancelled >= 40);
        CHECK(cancelled <= 360);
        tests::check_equal(co_await process_of(*there), before);
    });
}

TEST_CASE("postgres: a transaction cancelled at any moment is done as a whole or not at all")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto there = co_await here.open();
        const auto executor = co_await asio::this_coro::executor;
        co_await there->query("create table t (id int)");
        std::int64_t done = 0;
        int aborted = 0;
        const auto has_both = [&] { return done > 0 && aborted > 0; };
        for (int round = 0; round < 150 || (round < 1500 && !has_both()); ++round) {
            const auto work = [&]() -> awaitable<void> {
                co_await db::with_transaction(
                    *there, [&](db::transaction& books) -> awaitable<void> {
                        co_await books.query("insert into t values ($1)", round);
                        co_await books.query("insert into t values ($1)", round);
                        co_await books.commit();
                    });
            };
            started working(executor, work());
            // Where the machine is slow, the pauses get longer until some of it is done.
            co_await common::sleep_for(std::chrono::microseconds(round % 50 * (30 + round / 5)));
            working.cancel();
            co_await until_ended(working);
            CHECK((working.finished() || working.aborted()));
            done += working.finished() ? 1 : 0;
            aborted += working.aborted() ? 1 : 0;
            REQUIRE(there->usable());
            tests::check_equal(co_await number(there->query("select count(*) from t")), 2 * done);
        }
        CHECK(done > 0);
        CHECK(aborted > 0);
    });
}

TEST_CASE("postgres: a commit that is cancelled too late is done, and is said to be done")
{
    // Each commit takes 100 ms, and the server does not break it off.
    with_postgres(
        [](site& here) -> awaitable<void> {
            bank::connections pool(at_most(1), [&] { return here.open(); });
            const auto other = co_await here.open();
            const auto executor = co_await asio::this_coro::executor;
            co_await bank::open_accounts(*other, 2);
            bank::tally count;
            std::size_t late = 0;
            for (std::int64_t id = 1; late < 5; ++id) {
                const bool counts = id % 2 == 0;
                const std::vector<bank::transfer> orders{{id, 1, 2, 1}};
                bool booked = false;
                const auto book = [&]() -> awaitable<void> {
                    const auto lease = co_await pool.acquire();
                    booked = co_await bank::book(*lease, orders[0]);
                };
                started working(
                    executor, counts ? bank::book_all(pool, orders, 1, 1h, count) : book());
                const bool is_committing = co_await caught_in_commit(*other, working);
                working.cancel();
                co_await until_ended(working);
                if (counts) {
                    booked = !count.booked.empty() && count.booked.back() == id;
                } else {
                    REQUIRE(working.finished() == booked);
                }
                const auto noted = co_await number(
                    other->query("select count(*) from pool_transfers where id = $1", id));
                REQUIRE(noted == (booked ? 1 : 0));
                late += is_committing && booked ? 1 : 0;
            }
            CHECK(pool.statistics().opened == 1);
        },
        {"fsync=on", "commit_delay=100000", "commit_siblings=0"});
}

TEST_CASE("postgres: a cancelled transaction lets go of its locks")
{
    with_postgres([](site& here) -> awaitable<void> {
        bank::connections pool(at_most(2), [&] { return here.open(); });
        const auto other = co_await here.open();
        const auto executor = co_await asio::this_coro::executor;
        co_await bank::open_accounts(*other, 2);
        const auto work = [&]() -> awaitable<void> {
            const auto lease = co_await pool.acquire();
            co_await db::with_transaction(*lease, [](db::transaction& books) -> awaitable<void> {
                co_await books.query("update pool_accounts set balance = 0 where id = 1");
                co_await books.query("select pg_sleep(1000)");
                co_await books.commit();
            });
        };
        started working(executor, work());
        co_await until_running(*other, "pg_sleep");
        working.cancel();
        co_await until_ended(working);
        CHECK(working.aborted());
        const auto changed = co_await common::with_timeout(
            30s, other->query("update pool_accounts set balance = balance + 1 where id = 1"));
        CHECK(changed.affected == 1);
        CHECK(pool.unused() == 1);  // the connection can be used again
        CHECK(pool.statistics().broken == 0);
    });
}

TEST_CASE("postgres: of two transactions in a deadlock one is a conflict, and the other is done")
{
    with_postgres(
        [](site& here) -> awaitable<void> {
            const auto one = co_await here.open();
            const auto two = co_await here.open();
            const auto executor = co_await asio::this_coro::executor;
            co_await bank::open_accounts(*one, 2);
            common::barrier both_have_one(2);
            const auto work = [&](db::connection& there, int first, int second) -> awaitable<void> {
                co_await db::with_transaction(
                    there, [&](db::transaction& books) -> awaitable<void> {
                        const std::string add =
                            "update pool_accounts set balance = balance + 1 where id = $1";
                        co_await books.query(add, first);
                        co_await both_have_one.arrive_and_wait();
                        co_await books.query(add, second);
                        co_await books.commit();
                    });
            };
            const started a(executor, work(*one, 1, 2));
            const started b(executor, work(*two, 2, 1));
            co_await until_ended(a);
            co_await until_ended(b);
            CHECK(a.finished() != b.finished());
            CHECK((a.failed_with<db::conflict>() || b.failed_with<db::conflict>()));
            CHECK(one->usable());
            CHECK(two->usable());
            tests::check_equal(
                co_await number(one->query("select sum(balance)::bigint from pool_accounts")),
                2 * bank::opening_balance + 2);
        },
        {"deadlock_timeout=10ms"});
}

TEST_CASE("postgres: libpq may close its socket and open another while it connects")
{
    with_postgres([](site& here) -> awaitable<void> {
        // Over TCP it asks for encryption first. When that is promised, and then fails, it comes
        // again without, on a new socket, whose number is that of the old one.
        const auto executor = co_await asio::this_coro::executor;
        asio::ip::tcp::acceptor listening(executor, {asio::ip::address_v4::loopback(), 0});
        int came = 0;
        const auto serve = [&]() -> awaitable<void> {
            {
                auto first = co_await listening.async_accept(asio::deferred);
                std::array<char, 8> question;
                co_await asio::async_read(first, asio::buffer(question), asio::deferred);
                co_await asio::async_write(first, asio::buffer("S", 1), asio::deferred);
                co_await asio::async_read(first, asio::buffer(question), asio::deferred);
            }
            ++came;
            auto second = co_await listening.async_accept(asio::deferred);
            ++came;
            asio::local::stream_protocol::socket server(executor);
            co_await server.async_connect(
                asio::local::stream_protocol::endpoint(here.server.socket()), asio::deferred);
            co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
                group.spawn(relay(second, server));
                group.spawn(relay(server, second));
                co_return;
            });
        };
        started serving(executor, serve());
        {
            const auto conninfo = fmt::format(
                "host=127.0.0.1 port={} user=postgres dbname=postgres sslmode=prefer "
                "gssencmode=disable",
                listening.local_endpoint().port());
            const auto there = co_await db::open_postgres(conninfo);
            tests::check_equal(co_await number(there->query("select 42")), 42);
        }
        CHECK(came == 2);
        co_await until_ended(serving);
        CHECK(serving.finished());
    });
}

TEST_CASE(
    "postgres: a server that is not there, or never answers, is told apart from one that does")
{
    with_postgres([](site& here) -> awaitable<void> {
        const bool refused =
            co_await fails_with<db::connection_error>(here.open_through("/nowhere"));
        CHECK(refused);
        const bool wrong =
            co_await fails_with<db::connection_error>(db::open_postgres("no such option"));
        CHECK(wrong);

        // It takes connections, that is the system does, and says nothing.
        const common::temporary_folder folder;
        const auto executor = co_await asio::this_coro::executor;
        asio::local::stream_protocol::acceptor mute(
            executor,
            asio::local::stream_protocol::endpoint((folder.path() / ".s.PGSQL.5432").string()));
        const auto open_files = support::open_descriptors(::getpid());
        for (int i = 0; i < 5; ++i) {
            const bool late = co_await fails_with<common::timeout_error>(
                common::with_timeout(20ms, here.open_through(folder.path())));
            CHECK(late);
        }
        CHECK(support::open_descriptors(::getpid()) == open_files);
    });
}

TEST_CASE("postgres: transfers back and forth between few accounts do not get into deadlocks")
{
    with_postgres(
        [](site& here) -> awaitable<void> {
            bank::connections pool(at_most(6), [&] { return here.open(); });
            const auto calm = [](bank::tally&) -> awaitable<void> { co_return; };
            const auto count = co_await book_under(here, pool, 600, 20, calm);
            CHECK(count.retries == 0);
        },
        {"deadlock_timeout=1ms"});
}

TEST_CASE("postgres: more connections asked for than the server takes: they wait, and are served")
{
    with_postgres(
        [](site& here) -> awaitable<void> {
            bank::connections pool(at_most(20), [&] { return here.open(); });
            const auto calm = [](bank::tally&) -> awaitable<void> { co_return; };
            const auto count = co_await book_under(here, pool, 300, 20, calm);
            CHECK(count.retries > 0);
            CHECK(count.unknown == 0);
        },
        {"max_connections=8", "superuser_reserved_connections=3"});
}

TEST_CASE("postgres: a pool that is exhausted says so in time, and serves again when it is not")
{
    with_postgres([](site& here) -> awaitable<void> {
        auto limits = at_most(2);
        limits.wait = 200ms;
        bank::connections pool(limits, [&] { return here.open(); });
        const auto other = co_await here.open();
        const auto executor = co_await asio::this_coro::executor;
        // Under load it can take longer than that to open one, too.
        const auto acquire_in_the_end = [&]() -> awaitable<bank::connections::lease> {
            while (true) {
                try {
                    co_return co_await pool.acquire();
                } catch (const db::acquire_timeout&) {
                    // and once more
                }
            }
        };
        const auto work = [&]() -> awaitable<void> {
            const auto lease = co_await acquire_in_the_end();
            co_await lease->query("select pg_sleep(1000)");
        };
        started one(executor, work());
        started two(executor, work());
        co_await until_running(*other, "pg_sleep", 2);
        const bool exhausted = co_await fails_with<db::acquire_timeout>(pool.acquire());
        CHECK(exhausted);
        const auto ask = [&]() -> awaitable<void> {
            const auto lease = co_await acquire_in_the_end();
            tests::check_equal(co_await number(lease->query("select 4")), 4);
        };
        const started four(executor, ask());
        CHECK(pool.waiting() == 1);
        one.cancel();
        co_await until_ended(four);
        CHECK(four.finished());
        two.cancel();
        co_await until_ended(one);
        co_await until_ended(two);
        CHECK(pool.statistics().opened == 2);
        std::int64_t there = 0;
        while (there != 3) {  // an opening that was given up is gone a little later
            there = co_await number(other->query(
                "select count(*) from pg_stat_activity where backend_type = 'client backend'"));
        }
    });
}

TEST_CASE("postgres: connections killed while nobody has them are replaced before they are lent")
{
    with_postgres([](site& here) -> awaitable<void> {
        bank::connections pool(at_most(3), [&] { return here.open(); });
        const auto other = co_await here.open();
        {
            const auto a = co_await pool.acquire();
            const auto b = co_await pool.acquire();
            const auto c = co_await pool.acquire();
        }
        CHECK(pool.unused() == 3);
        co_await other->query(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where "
            "backend_type = 'client backend' and pid <> pg_backend_pid()");
        for (int i = 0; i < 5; ++i) {
            const auto lease = co_await pool.acquire();
            tests::check_equal(co_await number(lease->query("select 1")), 1);
        }
        CHECK(pool.statistics().broken == 3);
        CHECK(pool.statistics().opened == 4);
    });
}

TEST_CASE("postgres: a connection killed in the middle of a statement is an error, and replaced")
{
    with_postgres([](site& here) -> awaitable<void> {
        bank::connections pool(at_most(1), [&] { return here.open(); });
        const auto other = co_await here.open();
        const auto executor = co_await asio::this_coro::executor;
        const auto work = [&]() -> awaitable<void> {
            const auto lease = co_await pool.acquire();
            co_await lease->query("select pg_sleep(1000)");
        };
        const started sleeping(executor, work());
        co_await until_running(*other, "pg_sleep");
        co_await other->query(
            "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep%' "
            "and pid <> pg_backend_pid()");
        co_await until_ended(sleeping);
        CHECK(sleeping.failed_with<db::connection_error>());
        CHECK(pool.statistics().broken == 1);
        const auto lease = co_await pool.acquire();
        tests::check_equal(co_await number(lease->query("select 1")), 1);
    });
}

TEST_CASE("postgres: a broken connection that is kept does no harm to one that has its number")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto killer = co_await here.open();
        auto broken = co_await here.open();
        const auto process = co_await process_of(*broken);
        co_await killer->query("select pg_terminate_backend($1::int, 10000)", process);

        SECTION("found by a statement")
        {
            const bool lost = co_await fails_with<db::connection_error>(broken->query("select 1"));
            CHECK(lost);
            const bool still = co_await fails_with<db::connection_error>(broken->query("select 1"));
            CHECK(still);
        }
        SECTION("found by a look")
        {
            CHECK_FALSE(broken->usable());
        }
        // libpq has closed its socket, and this one has the same number now.
        const auto next = co_await here.open();
        broken.reset();
        tests::check_equal(
            co_await common::with_timeout(30s, number(next->query("select 42"))), 42);
    });
}

TEST_CASE("postgres: connections killed all the time, and no transfer is lost or done twice")
{
    with_postgres([](site& here) -> awaitable<void> {
        bank::connections pool(at_most(5), [&] { return here.open(); });
        std::int64_t killed = 0;
        const auto kill = [&](bank::tally& count) -> awaitable<void> {
            const auto killer = co_await here.open();
            while (true) {
                const auto seen = count.booked.size();
                killed += co_await number(
                    killer->query("select count(pg_terminate_backend(pid)) from (select pid from "
                                  "pg_stat_activity where backend_type = 'client backend' and "
                                  "pid <> pg_backend_pid() order by random() limit 2) victims"));
                while (count.booked.size() < seen + 20) {
                    co_await common::sleep_for(5ms);
                }
            }
        };
        std::size_t retries = 0;
        while (killed < 20) {  // mostly the first time is enough
            const auto count = co_await book_under(here, pool, 600, 20, kill);
            retries += count.retries;
        }
        CHECK(retries > 0);
        CHECK(pool.statistics().broken > 0);
    });
}

TEST_CASE("postgres: the server restarted under load, and no transfer is lost or done twice")
{
    with_postgres([](site& here) -> awaitable<void> {
        bank::connections pool(at_most(5), [&] { return here.open(); });
        int restarts = 0;
        const auto restart = [&](bank::tally& count) -> awaitable<void> {
            for (const int signal : {SIGINT, SIGQUIT, SIGINT}) {
                const auto seen = count.booked.size();
                while (count.booked.size() < seen + 100) {
                    co_await common::sleep_for(1ms);
                }
                // Blocks the loop, so that transfers are under way when the server goes, and come
                // upon it when it is not there.
                here.server.stop(signal);
                co_await common::sleep_for(100ms);
                here.server.start();
                ++restarts;
            }
        };
        const auto count = co_await book_under(here, pool, 800, 20, restart);
        CHECK(restarts == 3);
        CHECK(count.retries > 0);
        CHECK(pool.statistics().broken > 0);
    });
}

TEST_CASE("postgres: a commit whose answer is lost is told apart, found done, and not done twice")
{
    with_postgres([](site& here) -> awaitable<void> {
        tests::proxy between(here.server.socket());
        bank::connections pool(at_most(3), [&] { return here.open_through(between.folder()); });
        const auto lose = [&](bank::tally& count) -> awaitable<void> {
            co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
                group.spawn(between.run());
                while (count.booked.size() < 50) {
                    co_await common::sleep_for(1ms);
                }
                between.lose_answers_to_commits(7);
                co_return;
            });
        };
        const auto count = co_await book_under(here, pool, 200, 10, lose);
        CHECK(between.broken() == 7);
        CHECK(count.unknown == 7);
        CHECK(count.found == 7);
    });
}

TEST_CASE("postgres: a commit that is broken off is told apart, found undone, and done again")
{
    with_postgres([](site& here) -> awaitable<void> {
        const auto one = co_await here.open();
        const auto other = co_await here.open();
        const auto executor = co_await asio::this_coro::executor;
        co_await other->query("create table t (id int)");
        co_await other->query(
            "create function slow() returns trigger language plpgsql as "
            "'begin perform pg_sleep(1000); return null; end'");
        co_await other->query(
            "create constraint trigger slow after insert on t deferrable initially deferred "
            "for each row execute function slow()");
        const auto work = [&]() -> awaitable<void> {
            co_await db::with_transaction(*one, [](db::transaction& books) -> awaitable<void> {
                co_await books.query("insert into t values (1)");
                co_await books.commit();
            });
        };

        SECTION("by a deadline: it is cancelled on the server, and known not to be done")
        {
            // Where the deadline was over before the commit was seen to run, there is another one.
            bool seen = false;
            for (auto deadline = 300ms; !seen; deadline *= 2) {
                const started working(executor, common::with_timeout(deadline, work()));
                seen = co_await was_seen_running(*other, "commit", working);
                CHECK(working.failed_with<common::timeout_error>());
                CHECK(one->usable());
            }
        }
        SECTION("by a broken connection: nobody knows")
        {
            const started working(executor, work());
            co_await until_running(*other, "commit");
            co_await other->query(
                "select pg_terminate_backend(pid) from pg_stat_activity where query = 'commit'");
            co_await until_ended(working);
            CHECK(working.failed_with<db::commit_unknown>());
            CHECK_FALSE(one->usable());
        }
        tests::check_equal(co_await number(other->query("select count(*) from t")), 0);
    });
}

TEST_CASE("postgres: connections that break after any number of bytes, and every answer is right")
{
    with_postgres([](site& here) -> awaitable<void> {
        tests::proxy between(here.server.socket());
        between.break_after(20'000);
        bank::connections pool(at_most(4), [&] { return here.open_through(between.folder()); });
        const auto chaos = [&](bank::tally&) { return between.run(); };
        const auto count = co_await book_under(here, pool, 500, 10, chaos);
        CHECK(between.broken() > 10);
        CHECK(count.retries > 0);
    });
}

TEST_CASE("postgres: many tasks through few connections, and each gets the answer to its question")
{
    with_postgres([](site& here) -> awaitable<void> {
        bank::connections pool(at_most(3), [&] { return here.open(); });
        int answers = 0;
        common::barrier all_lent(3);  // the first three leases come while nobody gives one back
        const auto ask = [&](std::int64_t task) -> awaitable<void> {
            const auto own = task * 1000;
            for (int i = 0; i < 10; ++i) {
                const auto lease = co_await pool.acquire();
                if (i == 0 && task < 3) {
                    co_await all_lent.arrive_and_wait();
                }
                const auto found = co_await lease->query("select $1::bigint * 2", own + i);
                CHECK(found.integer(0, 0) == (own + i) * 2);
                ++answers;
            }
        };
        co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
            for (std::int64_t task = 0; task < 100; ++task) {
                group.spawn(ask(task));
            }
            co_return;
        });
        CHECK(answers == 1000);
        CHECK(pool.statistics().opened == 3);
        CHECK(pool.statistics().peak == 3);
    });
}

TEST_CASE("postgres: an event loop destroyed in the middle of a statement is clean")
{
    struct given_up {};
    with_postgres([](site& here) -> awaitable<void> {
        const auto inner = [&]() -> awaitable<void> {
            const auto executor = co_await asio::this_coro::executor;
            bank::connections pool(at_most(2), [&] { return here.open(); });
            const auto work = [&]() -> awaitable<void> {
                const auto lease = co_await pool.acquire();
                co_await db::with_transaction(
                    *lease, [](db::transaction& books) -> awaitable<void> {
                        co_await books.query("select pg_sleep(1000)");
                    });
            };
            started running_one(executor, work());
            started opening(executor, work());
            const auto lease = co_await here.open();
            co_await until_running(*lease, "pg_sleep");
            throw given_up();
        };
        CHECK_THROWS_AS(common::run(inner(), common::clock_mode::steady), given_up);
        co_return;
    });
}

TEST_CASE("postgres: a request to cancel that gets no answer is left behind, and the loop can end")
{
    struct given_up {};
    with_postgres([](site& here) -> awaitable<void> {
        const auto descriptors = [] { return support::open_descriptors(::getpid()); };
        const auto before = descriptors();
        const auto inner = [&]() -> awaitable<void> {
            const auto executor = co_await asio::this_coro::executor;
            const auto other = co_await here.open();
            const auto sleep = [&]() -> awaitable<void> {
                const auto there = co_await here.open();
                co_await there->query("select pg_sleep(1000)");
            };
            started sleeping(executor, sleep());
            co_await until_running(*other, "pg_sleep");
            here.server.freeze();
            sleeping.cancel();
            co_await common::sleep_for(50ms);
            CHECK(sleeping.running());
            throw given_up();
        };
        CHECK_THROWS_AS(common::run(inner(), common::clock_mode::steady), given_up);
        CHECK(descriptors() > before);  // the thread's, which is still in PQcancel

        // It comes back when the loop from which it was asked has long gone.
        here.server.thaw();
        while (descriptors() > before) {
            std::this_thread::sleep_for(1ms);
        }
        co_return;
    });
}
