// The pool with a connection that is none, on virtual time: every limit, every order, every moment
// at which somebody can be cancelled.

#include "connection_pool/pool.hpp"
#include "common/clock.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"
#include "tests/common/started.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using tests::started;
using namespace std::chrono_literals;

namespace {

// The other end: it says how long things take, which of them fail, and how many connections there
// are.
struct server {
    common::duration opening{};
    common::duration checking{};
    bool refuses = false;
    bool is_dead = false;  // a check finds every connection broken
    bool is_mute = false;  // a check is never answered

    int made = 0;
    int there = 0;
    int most = 0;
    int checks = 0;
};

struct refused : std::runtime_error {
    refused() : std::runtime_error("refused") {}
};

class fake {
public:
    explicit fake(server& other_end) : server_(other_end), number_(++other_end.made)
    {
        server_.most = std::max(server_.most, ++server_.there);
    }
    ~fake() { --server_.there; }
    fake(const fake&) = delete;
    fake& operator=(const fake&) = delete;

    bool usable() { return usable_; }

    awaitable<bool> check()
    {
        ++server_.checks;
        co_await common::sleep_for(server_.checking);
        co_await common::sleep_for(server_.is_mute ? common::duration(100h) : server_.checking);
        co_return !server_.is_dead;
    }

    void break_it() { usable_ = false; }
    int number() const { return number_; }

private:
    server& server_;
    const int number_;
    bool usable_ = true;
};

awaitable<std::unique_ptr<fake>> open(server& other_end)
{
    co_await common::sleep_for(other_end.opening);
    if (other_end.refuses) {
        throw refused();
    }
    auto made = std::make_unique<fake>(other_end);
    co_await common::sleep_for(other_end.opening);
    co_return made;
}

using fakes = db::pool<fake>;

fakes::opener opener_for(server& other_end)
{
    return [&other_end] { return open(other_end); };
}

db::pool_limits at_most(std::size_t maximum)
{
    db::pool_limits limits;
    limits.maximum = maximum;
    limits.wait = 1h;
    return limits;
}

awaitable<void> hold(fakes& pool, common::duration time)
{
    const auto lease = co_await pool.acquire();
    co_await common::sleep_for(time);
}

awaitable<void> hold_and_note(fakes& pool, std::string& order, char name)
{
    const auto lease = co_await pool.acquire();
    order += name;
    co_await common::sleep_for(10ms);
}

awaitable<int> borrowed_number(fakes& pool)
{
    const auto lease = co_await pool.acquire();
    co_return lease->number();
}

// A pool with its keeper, for as long as the body runs.
template <class Body>
awaitable<void> maintained(fakes& pool, Body body)
{
    co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
        group.spawn(pool.maintain());
        co_await body();
        group.cancel();
    });
}

}  // namespace

TEST_CASE("pool: a connection that comes back is lent again, and the last used first")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        fakes pool(at_most(3), opener_for(other_end));
        {
            const auto first = co_await pool.acquire();
            auto second = co_await pool.acquire();
            CHECK(first->number() == 1);
            CHECK(second->number() == 2);
            second.release();
            CHECK_FALSE(second);
            const auto third = co_await pool.acquire();
            CHECK(third->number() == 2);
            CHECK(pool.lent() == 2);
        }
        CHECK(pool.lent() == 0);
        CHECK(pool.unused() == 2);
        tests::check_equal(co_await borrowed_number(pool), 1);
        CHECK(other_end.made == 2);
        CHECK(pool.statistics().leases == 4);
        CHECK(pool.statistics().opened == 2);
        CHECK(pool.statistics().peak == 2);
        CHECK(pool.statistics().waited == 0);
    };
    tests::run(main);
    CHECK(other_end.there == 0);
}

TEST_CASE("pool: never more connections than the maximum, however many ask")
{
    server other_end;
    other_end.opening = 3ms;
    auto main = [&]() -> awaitable<void> {
        fakes pool(at_most(3), opener_for(other_end));
        co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
            for (int i = 0; i < 12; ++i) {
                group.spawn(hold(pool, 100ms));
            }
            co_await common::sleep_for(50ms);
            CHECK(pool.lent() == 3);
            CHECK(pool.waiting() == 9);
        });
        CHECK(pool.statistics().leases == 12);
        CHECK(pool.statistics().waited == 9);
        CHECK(pool.statistics().peak == 3);
        CHECK(pool.statistics().longest_wait == 306ms);
        CHECK(common::elapsed() == 406ms);  // opened in 6, and four turns of 100
    };
    tests::run(main);
    CHECK(other_end.most == 3);
    CHECK(other_end.made == 3);
}

TEST_CASE("pool: those who wait are served in the order in which they came")
{
    server other_end;
    std::string order;
    auto main = [&]() -> awaitable<void> {
        fakes pool(at_most(1), opener_for(other_end));
        co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
            for (const char name : std::string_view("abcdef")) {
                group.spawn(hold_and_note(pool, order, name));
            }
            co_await common::sleep_for(15ms);
            group.spawn(hold_and_note(pool, order, 'z'));
        });
    };
    tests::run(main);
    CHECK(order == "abcdefz");
}

TEST_CASE("pool: a newcomer does not take what has just come back from those who wait")
{
    server other_end;
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        fakes pool(at_most(1), opener_for(other_end));
        auto lease = co_await pool.acquire();
        const started waiting(executor, hold_and_note(pool, order, 'a'));
        lease.release();
        const started newcomer(executor, hold_and_note(pool, order, 'b'));
        co_await common::sleep_for(50ms);
    };
    tests::run(main);
    CHECK(order == "ab");
}

TEST_CASE("pool: a waiter that is cancelled is passed over, and nobody else loses a turn")
{
    server other_end;
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        fakes pool(at_most(1), opener_for(other_end));
        auto lease = co_await pool.acquire();
        const started a(executor, hold_and_note(pool, order, 'a'));
        started b(executor, hold_and_note(pool, order, 'b'));
        const started c(executor, hold_and_note(pool, order, 'c'));
        started d(executor, hold_and_note(pool, order, 'd'));
        b.cancel();
        lease.release();
        co_await common::sleep_for(10ms);
        d.cancel();  // in the instant in which it could get its turn, after c
        co_await common::sleep_for(50ms);
        CHECK(a.finished());
        CHECK(b.aborted());
        CHECK(c.finished());
        CHECK(d.aborted());
        CHECK(pool.waiting() == 0);
    };
    tests::run(main);
    CHECK(order == "ac");
}

TEST_CASE("pool: a turn granted to a waiter that is cancelled in the same instant goes on")
{
    server other_end;
    std::string order;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        fakes pool(at_most(1), opener_for(other_end));
        auto lease = co_await pool.acquire();
        started a(executor, hold_and_note(pool, order, 'a'));
        const started b(executor, hold_and_note(pool, order, 'b'));
        lease.release();  // a has the turn, and has not run
        a.cancel();
        co_await common::sleep_for(50ms);
        CHECK(a.aborted());
        CHECK(b.finished());
    };
    tests::run(main);
    CHECK(order == "b");
}

TEST_CASE("pool: acquire gives up after the limit, says how things stand, and leaves the line")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        auto limits = at_most(1);
        limits.wait = 500ms;
        fakes pool(limits, opener_for(other_end));
        const auto lease = co_await pool.acquire();
        const started patient(executor, hold(pool, 1ms));
        std::string message;
        try {
            co_await pool.acquire();
        } catch (const db::acquire_timeout& error) {
            message = error.what();
        }
        CHECK(message == "no connection within 0.50 s: 1 of 1 lent, and 0 others wait");
        CHECK(common::elapsed() == 500ms);
        CHECK(patient.failed_with<db::acquire_timeout>());
        CHECK(pool.waiting() == 0);
        CHECK(pool.statistics().timed_out == 2);
    };
    tests::run(main);
}

TEST_CASE("pool: the limit holds for the opening too")
{
    server other_end;
    other_end.opening = 10min;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(1);
        limits.wait = 2s;
        fakes pool(limits, opener_for(other_end));
        bool timed_out = false;
        try {
            co_await pool.acquire();
        } catch (const db::acquire_timeout&) {
            timed_out = true;
        }
        CHECK(timed_out);
        CHECK(common::elapsed() == 2s);
        other_end.opening = 0ms;
        tests::check_equal(co_await borrowed_number(pool), 1);
    };
    tests::run(main);
}

TEST_CASE("pool: an opener that gives up by itself is told apart from the pool's own limit")
{
    server other_end;
    other_end.opening = 10min;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(1);
        limits.wait = 5s;
        common::duration own_limit = 1s;
        fakes pool(limits, [&] { return common::with_timeout(own_limit, open(other_end)); });
        std::string message;
        try {
            co_await pool.acquire();
        } catch (const db::connection_error& error) {
            message = error.what();
        }
        CHECK(message == "the database did not answer in time");
        CHECK(common::elapsed() == 1s);
        CHECK(pool.statistics().timed_out == 0);

        own_limit = 1min;
        bool timed_out = false;
        try {
            co_await pool.acquire();
        } catch (const db::acquire_timeout&) {
            timed_out = true;
        }
        CHECK(timed_out);
        CHECK(common::elapsed() == 6s);
        CHECK(pool.statistics().timed_out == 1);
    };
    tests::run(main);
}

TEST_CASE("pool: what the opener throws reaches who asked, and the turn goes to the next")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        fakes pool(at_most(1), opener_for(other_end));
        other_end.refuses = true;
        const started first(executor, hold(pool, 1ms));
        const started second(executor, hold(pool, 1ms));
        co_await tests::settle();
        CHECK(first.failed_with<refused>());
        CHECK(second.failed_with<refused>());
        other_end.refuses = false;
        tests::check_equal(co_await borrowed_number(pool), 1);
    };
    tests::run(main);
}

TEST_CASE("pool: a connection that comes back broken is replaced, not lent again")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        fakes pool(at_most(1), opener_for(other_end));
        std::optional<int> number;
        auto lease = co_await pool.acquire();
        auto next = [&]() -> awaitable<void> { number = co_await borrowed_number(pool); };
        const started waiting(executor, next());
        lease->break_it();
        lease.release();
        CHECK(other_end.there == 0);
        co_await tests::settle();
        CHECK(number == 2);
        CHECK(pool.statistics().broken == 1);
    };
    tests::run(main);
}

TEST_CASE("pool: a connection that breaks while nobody has it is replaced, not lent")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        fakes pool(at_most(2), opener_for(other_end));
        fake* kept = nullptr;
        {
            const auto lease = co_await pool.acquire();
            kept = &*lease;
        }
        kept->break_it();
        tests::check_equal(co_await borrowed_number(pool), 2);
        CHECK(pool.statistics().broken == 1);
        CHECK(other_end.there == 1);
        CHECK(other_end.checks == 0);
    };
    tests::run(main);
}

TEST_CASE("pool: a connection unused for long is asked for a sign of life, one just used is not")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(1);
        limits.trust = 10s;
        fakes pool(limits, opener_for(other_end));
        co_await hold(pool, 1s);
        co_await common::sleep_for(10s);
        tests::check_equal(co_await borrowed_number(pool), 1);
        CHECK(other_end.checks == 0);
        co_await common::sleep_for(10s + 1ms);
        tests::check_equal(co_await borrowed_number(pool), 1);
        CHECK(other_end.checks == 1);
        other_end.is_dead = true;
        co_await common::sleep_for(11s);
        tests::check_equal(co_await borrowed_number(pool), 2);
        CHECK(other_end.checks == 2);
        CHECK(pool.statistics().broken == 1);
    };
    tests::run(main);
}

TEST_CASE("pool: a check that is not answered in time counts as failed")
{
    server other_end;
    other_end.is_mute = true;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(1);
        limits.trust = 10s;
        limits.check = 3s;
        fakes pool(limits, opener_for(other_end));
        co_await hold(pool, 0s);
        co_await common::sleep_for(1min);
        const auto before = common::elapsed();
        tests::check_equal(co_await borrowed_number(pool), 2);
        CHECK(common::elapsed() - before == 3s);
        CHECK(pool.statistics().broken == 1);
    };
    tests::run(main);
}

TEST_CASE("pool: one broken connection casts doubt on the others, which are asked then")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        fakes pool(at_most(3), opener_for(other_end));
        {
            const auto a = co_await pool.acquire();
            const auto b = co_await pool.acquire();
            const auto c = co_await pool.acquire();
        }
        {
            const auto lease = co_await pool.acquire();
            lease->break_it();
        }
        CHECK(pool.unused() == 2);
        {
            const auto first = co_await pool.acquire();
            const auto second = co_await pool.acquire();
            CHECK(other_end.checks == 2);
        }
        const auto again = co_await pool.acquire();
        CHECK(other_end.checks == 2);  // both have shown that they live
    };
    tests::run(main);
}

TEST_CASE(
    "pool: after its lifetime a connection is closed, when it comes back or before it is lent")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(1);
        limits.lifetime = 1min;
        limits.trust = 1h;
        fakes pool(limits, opener_for(other_end));
        co_await hold(pool, 59s);
        CHECK(other_end.there == 1);
        co_await hold(pool, 2s);
        CHECK(other_end.there == 0);
        CHECK(pool.statistics().expired == 1);
        tests::check_equal(co_await borrowed_number(pool), 2);
        co_await common::sleep_for(1min);
        tests::check_equal(co_await borrowed_number(pool), 3);
        CHECK(pool.statistics().expired == 2);
        CHECK(pool.statistics().broken == 0);
    };
    tests::run(main);
}

TEST_CASE("pool: maintain closes what is too old although nobody asks")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(2);
        limits.lifetime = 1min;
        fakes pool(limits, opener_for(other_end));
        co_await maintained(pool, [&]() -> awaitable<void> {
            co_await hold(pool, 1s);
            co_await common::sleep_for(58s);
            CHECK(other_end.there == 1);
            co_await common::sleep_for(3s);
            CHECK(other_end.there == 0);
        });
    };
    tests::run(main);
}

TEST_CASE("pool: maintain closes what nobody has used for long, down to the minimum")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(5);
        limits.minimum = 2;
        limits.idle = 30s;
        fakes pool(limits, opener_for(other_end));
        co_await maintained(pool, [&]() -> awaitable<void> {
            co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
                for (int i = 0; i < 5; ++i) {
                    group.spawn(hold(pool, 1s));
                }
                co_return;
            });
            CHECK(pool.unused() == 5);
            for (int i = 0; i < 29; ++i) {
                co_await hold(pool, 1s);  // one of them is in use all the time
            }
            CHECK(pool.unused() == 5);
            co_await common::sleep_for(3s);
            CHECK(pool.unused() == 2);
            CHECK(pool.statistics().idled == 3);
            co_await common::sleep_for(10min);
            CHECK(pool.unused() == 2);
        });
    };
    tests::run(main);
}

TEST_CASE("pool: maintain opens connections up to the minimum, and again when they break")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(5);
        limits.minimum = 3;
        fakes pool(limits, opener_for(other_end));
        CHECK(other_end.made == 0);
        co_await maintained(pool, [&]() -> awaitable<void> {
            co_await tests::settle();
            CHECK(pool.unused() == 3);
            {
                const auto first = co_await pool.acquire();
                const auto second = co_await pool.acquire();
                first->break_it();
                second->break_it();
            }
            CHECK(pool.unused() == 1);
            co_await common::sleep_for(2s);
            CHECK(pool.unused() == 3);
            CHECK(other_end.there == 3);
        });
    };
    tests::run(main);
}

TEST_CASE("pool: maintain survives a database that is not there, and tries again")
{
    server other_end;
    other_end.refuses = true;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(2);
        limits.minimum = 2;
        fakes pool(limits, opener_for(other_end));
        co_await maintained(pool, [&]() -> awaitable<void> {
            co_await common::sleep_for(1min);
            CHECK(pool.unused() == 0);
            other_end.refuses = false;
            co_await common::sleep_for(2s);
            CHECK(pool.unused() == 2);
        });
    };
    tests::run(main);
}

TEST_CASE("pool: those who ask while maintain opens get a connection all the same, at most so many")
{
    server other_end;
    other_end.opening = 300ms;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(3);
        limits.minimum = 3;
        fakes pool(limits, opener_for(other_end));
        co_await maintained(pool, [&]() -> awaitable<void> {
            co_await common::with_task_group([&](common::task_group& group) -> awaitable<void> {
                for (int i = 0; i < 9; ++i) {
                    group.spawn(hold(pool, 1s));
                }
                co_return;
            });
            CHECK(pool.statistics().leases == 9);
        });
    };
    tests::run(main);
    CHECK(other_end.most == 3);
}

TEST_CASE("pool: a lease held too long is reported once, with the place where it was taken")
{
    server other_end;
    std::vector<db::leak> found;
    auto main = [&]() -> awaitable<void> {
        auto limits = at_most(2);
        limits.leak = 20s;
        fakes pool(
            limits, opener_for(other_end), [&](const db::leak& one) { found.push_back(one); });
        co_await maintained(pool, [&]() -> awaitable<void> {
            const auto line = std::source_location::current().line() + 1;
            auto kept = co_await pool.acquire();
            for (int i = 0; i < 19; ++i) {
                co_await hold(pool, 1s);
            }
            CHECK(found.empty());
            co_await common::sleep_for(2min);
            REQUIRE(found.size() == 1);
            CHECK(found[0].where.line() == line);
            CHECK(std::string(found[0].where.file_name()).ends_with("pool_test.cpp"));
            CHECK(found[0].held >= 20s);
            CHECK(found[0].held <= 21s);
            CHECK(pool.statistics().leaks == 1);
            kept.release();
            tests::check_equal(co_await borrowed_number(pool), 1);  // it is not taken away
        });
    };
    tests::run(main);
}

TEST_CASE("pool: cancelled at any moment, acquire keeps nothing, and the pool serves on")
{
    // Every second ask is cancelled after so many milliseconds: while it waits in line, while a
    // connection is opened, in the first half or the second, while one is checked.
    const auto after = GENERATE(range(0, 60));
    const bool dead = GENERATE(false, true);
    server other_end;
    other_end.opening = 7ms;
    other_end.checking = 3ms;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        auto limits = at_most(2);
        limits.trust = 0s;
        fakes pool(limits, opener_for(other_end));
        co_await hold(pool, 1ms);
        co_await common::sleep_for(10ms);
        other_end.is_dead = dead;
        {
            std::vector<started> tasks;
            for (int i = 0; i < 6; ++i) {
                tasks.emplace_back(executor, hold(pool, 5ms));
            }
            co_await common::sleep_for(std::chrono::milliseconds(after));
            for (std::size_t i = 0; i < tasks.size(); i += 2) {
                tasks[i].cancel();
            }
            co_await common::sleep_for(1s);
            for (std::size_t i = 0; i < tasks.size(); ++i) {
                CHECK_FALSE(tasks[i].running());
                CHECK((tasks[i].finished() || (i % 2 == 0 && tasks[i].aborted())));
            }
        }
        CHECK(pool.lent() == 0);
        CHECK(pool.waiting() == 0);
        CHECK(static_cast<std::size_t>(other_end.there) == pool.unused());
        other_end.is_dead = false;
        {
            const auto first = co_await pool.acquire();
            const auto second = co_await pool.acquire();
            CHECK(pool.lent() == 2);
        }
    };
    tests::run(main);
    CHECK(other_end.most <= 2);
    CHECK(other_end.there == 0);
}

TEST_CASE("pool: maintain cancelled at any moment leaves the pool whole")
{
    const auto after = GENERATE(range(0, 40));
    server other_end;
    other_end.opening = 5ms;
    auto main = [&]() -> awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        auto limits = at_most(3);
        limits.minimum = 3;
        limits.upkeep = 1ms;
        limits.idle = 2ms;
        limits.lifetime = 9ms;
        fakes pool(limits, opener_for(other_end));
        started keeper(executor, pool.maintain());
        co_await common::sleep_for(std::chrono::milliseconds(after));
        keeper.cancel();
        co_await common::sleep_for(1s);
        CHECK(keeper.aborted());
        CHECK(static_cast<std::size_t>(other_end.there) == pool.unused());
        const auto first = co_await pool.acquire();
        const auto second = co_await pool.acquire();
        const auto third = co_await pool.acquire();
        CHECK(pool.lent() == 3);
    };
    tests::run(main);
    CHECK(other_end.most <= 3);
    CHECK(other_end.there == 0);
}

TEST_CASE("pool: leases that are moved give back one connection, once")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        fakes pool(at_most(2), opener_for(other_end));
        auto first = co_await pool.acquire();
        auto second = co_await pool.acquire();
        fakes::lease third(std::move(first));
        CHECK_FALSE(first);
        CHECK(pool.lent() == 2);
        third = std::move(second);  // gives back what it had
        CHECK(pool.lent() == 1);
        CHECK(third->number() == 2);
        auto& same = third;
        third = std::move(same);
        CHECK(third->number() == 2);
        third = fakes::lease();
        CHECK(pool.lent() == 0);
        CHECK(pool.unused() == 2);
    };
    tests::run(main);
}

TEST_CASE("pool: a lease may outlive its pool, and closes the connection then")
{
    server other_end;
    auto main = [&]() -> awaitable<void> {
        fakes::lease lease;
        {
            fakes pool(at_most(2), opener_for(other_end));
            lease = co_await pool.acquire();
        }
        CHECK(other_end.there == 1);
        CHECK(lease->number() == 1);
    };
    tests::run(main);
    CHECK(other_end.there == 0);
}

TEST_CASE("pool: an event loop destroyed with leases, waiters and openings under way is clean")
{
    server other_end;
    fakes pool(at_most(3), opener_for(other_end));
    {
        asio::io_context loop;
        const started holder(loop.get_executor(), hold(pool, 1h));
        while (pool.lent() == 0) {
            loop.run_one();
        }
        loop.poll();
        other_end.opening = 1h;
        const started opening(loop.get_executor(), hold(pool, 1h));
        const started another(loop.get_executor(), hold(pool, 1h));
        const started waiting(loop.get_executor(), hold(pool, 1h));
        const started keeper(loop.get_executor(), pool.maintain());
        loop.poll();
        CHECK(pool.lent() == 1);
        CHECK(pool.waiting() == 1);
    }
    CHECK(pool.lent() == 0);
    CHECK(pool.waiting() == 0);
    CHECK(static_cast<std::size_t>(other_end.there) == pool.unused());
}

TEST_CASE("pool: refuses limits that make no sense")
{
    server other_end;
    auto limits = at_most(0);
    CHECK_THROWS_AS(fakes(limits, opener_for(other_end)), std::invalid_argument);
    limits.maximum = 2;
    limits.minimum = 3;
    CHECK_THROWS_AS(fakes(limits, opener_for(other_end)), std::invalid_argument);
}
