// The work that the pool is tried on: many transfers between few accounts.
//
// Every transfer has a number, and the transaction that moves the money also notes the number in a
// table. So a transfer can be tried again after any failure, even one that leaves open whether the
// transaction was committed: if the number is there, it was, and the second try does nothing. And
// in the end the books can be audited: each balance must be what the noted transfers make it.

#pragma once

#include "connection_pool/connection.hpp"
#include "connection_pool/pool.hpp"

#include "common/clock.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bank {

using connections = db::pool<db::connection>;

struct transfer {
    std::int64_t id;
    std::int64_t source;
    std::int64_t target;
    std::int64_t amount;
};

inline constexpr std::int64_t opening_balance = 1000;

// So many transfers between accounts 1 to `accounts`, of which there must be two, drawn by chance,
// which the seed decides.
std::vector<transfer> draw_transfers(std::size_t count, std::int64_t accounts, unsigned seed);

// Makes the tables pool_accounts and pool_transfers anew, and accounts 1 to `accounts`, each with
// the opening balance.
boost::asio::awaitable<void> open_accounts(db::connection& there, std::int64_t accounts);

// Books one transfer. Gives false if it had been booked before. Throws as with_transaction; this
// call has not booked it then, unless that is commit_unknown.
boost::asio::awaitable<bool> book(db::connection& there, transfer order);

// What became of transfers.
struct tally {
    std::vector<std::int64_t> booked;  // those of which somebody knows that they are, by number
    std::size_t retries = 0;           // after a failure that may pass
    std::size_t unknown = 0;           // commits that were not answered,
    std::size_t found = 0;             // of which so many turned out to have been done
};

// Books all of them, `tasks` at a time, each through a lease of its own, and tries again what fails
// for a reason that may pass, for as long as `patience`. What then still fails is thrown, in an
// exception_group. Cancelled, it rolls back what is under way; `count` says what was done.
boost::asio::awaitable<void> book_all(
    connections& pool, const std::vector<transfer>& orders, std::size_t tasks,
    common::duration patience, tally& count);

struct audit {
    std::vector<std::int64_t> noted;  // transfers in the database, by number, in order
    std::int64_t total = 0;           // of all balances
    std::string fault;                // the first balance that is not what the transfers make it
};

boost::asio::awaitable<audit> examine(
    db::connection& there, const std::vector<transfer>& orders, std::int64_t accounts);

}  // namespace bank
