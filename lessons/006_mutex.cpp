// 006 · A lock around an await
//
// Idea     A mutex keeps the others out while one does something with an await in the middle.
// asyncio  `lock = asyncio.Lock()`, `async with lock:`
// Before   005_creating_tasks.cpp
// Run      ./learn run 6
// Read     docs/progression.md, lesson 006, beside this file

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/mutex.hpp"
#include "common/run.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <chrono>
#include <semaphore>
#include <string>
#include <utility>
#include <vector>

using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

struct account {
    int balance = 0;
    common::mutex lock;
};

// Reads, waits, writes. Whoever reads during the wait reads the old balance, and the write of one
// of the two is lost.
awaitable<void> deposit(account& savings, int amount)
{
    const int read = savings.balance;
    co_await common::sleep_for(10ms);
    savings.balance = read + amount;
}

// The guard holds the lock from here to the end of the scope, whichever way that is left. Between
// two awaits a coroutine is alone anyhow; it is the await in the middle that wants the lock.
awaitable<void> deposit_locked(account& savings, int amount)
{
    const auto guard = co_await savings.lock.lock();
    co_await deposit(savings, amount);
}

awaitable<void> ten_deposits(bool locked)
{
    common::section(locked ? "Ten deposits, one at a time" : "Ten deposits, and no lock");
    account savings;
    std::vector<awaitable<void>> deposits;
    for (int i = 0; i < 10; ++i) {
        deposits.push_back(locked ? deposit_locked(savings, 10) : deposit(savings, 10));
    }
    const auto start = common::now();
    co_await common::gather(std::move(deposits));
    common::log("bank", "{} of 100 after {:.2f} s", savings.balance, common::seconds_since(start));
}

// Comes at its time, and stays 0.10 s at the counter, as often as it has errands.
awaitable<void> customer(
    common::mutex& counter, std::string name, common::duration comes, int errands)
{
    co_await common::sleep_for(comes);
    for (int errand = 1; errand <= errands; ++errand) {
        const auto guard = co_await counter.lock();
        common::log(name, "is served, errand {}", errand);
        co_await common::sleep_for(100ms);
    }
}

// First come, first served. Ada unlocks and wants the lock again at once, and goes to the end of
// the line: it is handed to the first who waits, and never lies about for whoever is quickest.
awaitable<void> served_in_order()
{
    common::section("The line is served in order");
    common::mutex counter;
    std::vector<awaitable<void>> customers;
    customers.push_back(customer(counter, "Ada", 0ms, 2));
    customers.push_back(customer(counter, "Bob", 10ms, 1));
    customers.push_back(customer(counter, "Cleo", 20ms, 1));
    co_await common::gather(std::move(customers));
}

// Something to use it for: five requests find no token. The first of them fetches one. The others
// wait for the lock, look again, and find that it has been done.
struct session {
    std::string token;
    int fetched = 0;
    common::mutex lock;
};

awaitable<std::string> current_token(session& login)
{
    const auto guard = co_await login.lock.lock();
    if (login.token.empty()) {
        co_await common::sleep_for(50ms);
        ++login.fetched;
        login.token = "token-1";
    }
    co_return login.token;
}

awaitable<void> fetched_once()
{
    common::section("Fetched once for all");
    session login;
    std::vector<awaitable<std::string>> requests;
    for (int i = 0; i < 5; ++i) {
        requests.push_back(current_token(login));
    }
    const auto tokens = co_await common::gather(std::move(requests));
    common::log("login", "{} requests, fetched {} time", tokens.size(), login.fetched);
}

// Pitfall: a std::mutex blocks the thread, and here that is the thread on which whoever holds it
// would unlock it. Held across an await, it stops the program for ever. A std::binary_semaphore
// blocks in the same way, but can be asked to give up, so that this program ends.
awaitable<void> hold_for_a_while(std::binary_semaphore& lock)
{
    lock.acquire();
    co_await common::sleep_for(5ms);
    lock.release();
    common::log("holder", "has let go");
}

awaitable<void> block_for_it(std::binary_semaphore& lock)
{
    const bool acquired = lock.try_acquire_for(20ms);
    common::log("blocker", "waited 20 ms for what is held for 5 ms, acquired is {}", acquired);
    co_return;
}

awaitable<void> a_lock_that_blocks()
{
    common::section("A lock that blocks the thread");
    std::binary_semaphore lock(1);
    co_await (hold_for_a_while(lock) && block_for_it(lock));
}

awaitable<void> bank()
{
    co_await ten_deposits(false);
    co_await ten_deposits(true);
    co_await served_in_order();
    co_await fetched_once();
    co_await a_lock_that_blocks();
}

}  // namespace

int main()
{
    common::run(bank());
}
