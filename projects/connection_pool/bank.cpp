#include "connection_pool/bank.hpp"

#include "common/task_group.hpp"
#include "connection_pool/transaction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <random>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace bank {

namespace {

constexpr common::duration longest_pause = 500ms;  // between two tries

awaitable<void> add(db::transaction& books, std::int64_t account, std::int64_t amount)
{
    co_await books.query(
        "update pool_accounts set balance = balance + $1 where id = $2", amount, account);
}

// Books one transfer, however often that has to be tried.
awaitable<void> see_to(connections& pool, transfer order, common::duration patience, tally& count)
{
    const auto give_up = common::now() + patience;
    bool in_doubt = false;
    for (common::duration pause = 10ms;; pause = std::min(2 * pause, longest_pause)) {
        const bool last = common::now() >= give_up;
        try {
            const auto lease = co_await pool.acquire();
            const bool is_new = co_await book(*lease, order);
            count.found += in_doubt && !is_new ? 1 : 0;
            count.booked.push_back(order.id);
            co_return;
        } catch (const db::commit_unknown&) {
            in_doubt = true;
            ++count.unknown;
            if (last) {
                throw;
            }
        } catch (const db::temporary_error&) {
            if (last) {
                throw;
            }
        }
        ++count.retries;
        co_await common::sleep_for(pause);
    }
}

awaitable<void> work_through(
    connections& pool, const std::vector<transfer>& orders, std::size_t& next,
    common::duration patience, tally& count)
{
    while (next < orders.size()) {
        co_await see_to(pool, orders[next++], patience, count);
    }
}

}  // namespace

std::vector<transfer> draw_transfers(std::size_t count, std::int64_t accounts, unsigned seed)
{
    std::mt19937 chance(seed);  // the same numbers everywhere, which std:: distributions are not
    const auto draw = [&chance](std::int64_t below) {
        return static_cast<std::int64_t>(chance() % static_cast<std::uint64_t>(below));
    };
    std::vector<transfer> orders;
    for (std::size_t i = 0; i < count; ++i) {
        const auto source = 1 + draw(accounts);
        const auto target = 1 + (source + draw(accounts - 1)) % accounts;
        orders.push_back({static_cast<std::int64_t>(i) + 1, source, target, 1 + draw(50)});
    }
    return orders;
}

awaitable<void> open_accounts(db::connection& there, std::int64_t accounts)
{
    co_await there.query("drop table if exists pool_transfers");
    co_await there.query("drop table if exists pool_accounts");
    co_await there.query(
        "create table pool_accounts (id bigint primary key, balance bigint not null)");
    co_await there.query("create table pool_transfers (id bigint primary key)");
    co_await db::with_transaction(there, [&](db::transaction& books) -> awaitable<void> {
        for (std::int64_t id = 1; id <= accounts; ++id) {
            co_await books.query("insert into pool_accounts values ($1, $2)", id, opening_balance);
        }
        co_await books.commit();
    });
}

awaitable<bool> book(db::connection& there, transfer order)
{
    bool booked = false;
    co_await db::with_transaction(there, [&](db::transaction& books) -> awaitable<void> {
        const auto noted = co_await books.query(
            "insert into pool_transfers values ($1) on conflict (id) do nothing", order.id);
        if (noted.affected == 0) {
            co_return;  // it is there already
        }
        // Always the lower number first. Two transfers that lock the same two accounts in different
        // orders can wait for each other.
        if (order.source < order.target) {
            co_await add(books, order.source, -order.amount);
            co_await add(books, order.target, order.amount);
        } else {
            co_await add(books, order.target, order.amount);
            co_await add(books, order.source, -order.amount);
        }
        co_await books.commit();
        booked = true;
    });
    co_return booked;
}

awaitable<void> book_all(
    connections& pool, const std::vector<transfer>& orders, std::size_t tasks,
    common::duration patience, tally& count)
{
    std::size_t next = 0;
    co_await common::with_task_group([&](common::task_group& clerks) -> awaitable<void> {
        for (std::size_t i = 0; i < tasks; ++i) {
            clerks.spawn(work_through(pool, orders, next, patience, count));
        }
        co_return;
    });
}

awaitable<audit> examine(
    db::connection& there, const std::vector<transfer>& orders, std::int64_t accounts)
{
    audit found;
    std::map<std::int64_t, std::int64_t> expected;
    for (std::int64_t id = 1; id <= accounts; ++id) {
        expected[id] = opening_balance;
    }
    const auto noted = co_await there.query("select id from pool_transfers order by id");
    for (std::size_t row = 0; row < noted.size(); ++row) {
        const auto id = noted.integer(row, 0);
        found.noted.push_back(id);
        const auto& order = orders.at(static_cast<std::size_t>(id) - 1);
        expected[order.source] -= order.amount;
        expected[order.target] += order.amount;
    }
    const auto balances = co_await there.query("select id, balance from pool_accounts order by id");
    for (std::size_t row = 0; row < balances.size(); ++row) {
        const auto id = balances.integer(row, 0);
        const auto balance = balances.integer(row, 1);
        found.total += balance;
        if (balance != expected[id] && found.fault.empty()) {
            found.fault = fmt::format("account {} has {}, not {}", id, balance, expected[id]);
        }
    }
    co_return found;
}

}  // namespace bank
