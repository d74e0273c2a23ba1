// A pool of connections: so many tasks share so few.
//
// A connection is dear: opening one takes a process on the server, and the server has a limit. So
// the pool keeps some open, lends them, and makes those wait who come when all are lent.
//
//     const auto lease = co_await pool.acquire();
//     co_await lease->query("select 1");
//
// Two things make the pool. A semaphore has as many permits as there may be connections, and
// whoever has one of them may have a connection; its line of waiters is the pool's line, so the
// order is strict, and a waiter that is cancelled passes its turn on. And a stack holds the
// connections that nobody has. A lease takes the permit first, and then the topmost connection, or
// opens one if there is none. There can never be more connections than permits: a new one is opened
// only by somebody who has a permit and no connection, and only while the stack is empty, or the
// pool below its minimum.
//
// A stack, and not a queue, since then those at the bottom stay unused, and can be closed.
//
// A connection can break at any time, and the pool learns of it late. What it does about it:
//
// - What comes back is looked at. A connection that is broken, or in the middle of something, is
//   dropped; the next who needs one opens one.
// - What goes out is looked at as well. A connection that has been unused for a while is first
//   asked for a sign of life.
// - One that is broken casts doubt on the others: they are asked, too.
//
// A lease is a scope. Who forgets that, and keeps one in an object that lives long, drains the pool
// for the others. The lease knows where it was taken, and when it is held for too long, that place
// is reported.
//
// Use a pool from one thread or one strand, and keep it until nobody waits for it any more.

#pragma once

#include "common/clock.hpp"
#include "common/semaphore.hpp"
#include "common/timeout.hpp"
#include "connection_pool/errors.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <utility>
#include <vector>

namespace db {

struct pool_limits {
    std::size_t minimum = 0;  // so many are kept open by maintain()
    std::size_t maximum = 4;  // there are never more

    // How long acquire() takes at the most, for the wait and the opening together.
    common::duration wait = std::chrono::seconds(5);

    // A connection that has been unused for longer is asked for a sign of life before it is lent,
    // and has so long to give it.
    common::duration trust = std::chrono::seconds(10);
    common::duration check = std::chrono::seconds(1);

    // A connection that has been unused for longer is closed, down to the minimum; one that is
    // older is closed when nobody has it.
    common::duration idle = std::chrono::minutes(5);
    common::duration lifetime = std::chrono::minutes(30);

    // A lease that is held for longer is reported.
    common::duration leak = std::chrono::seconds(30);

    // How often maintain() looks.
    common::duration upkeep = std::chrono::seconds(1);
};

struct pool_statistics {
    std::size_t leases = 0;
    std::size_t waited = 0;  // leases that found all connections lent
    common::duration longest_wait{};
    std::size_t timed_out = 0;  // calls of acquire() that gave up
    std::size_t opened = 0;
    std::size_t broken = 0;   // dropped, because they were broken or not in order
    std::size_t expired = 0;  // closed, because they were too old
    std::size_t idled = 0;    // closed, because nobody needed them
    std::size_t leaks = 0;    // leases reported
    std::size_t peak = 0;     // leases at one time
};

// A lease that is held for too long.
struct leak {
    std::source_location where;  // acquire() was called
    common::duration held;
};

// Prints it on stderr.
inline void print_leak(const leak& found)
{
    fmt::print(
        stderr, "pool: the lease taken at {}:{}, in {}, has been held for {:.1f} s\n",
        found.where.file_name(), found.where.line(), found.where.function_name(),
        std::chrono::duration<double>(found.held).count());
}

// What a pool asks of a connection: whether it can be lent, as far as can be told at once; and for
// a sign of life, which throws nothing but operation_aborted.
template <class T>
concept poolable = requires(T& connection) {
    { connection.usable() } -> std::same_as<bool>;
    { connection.check() } -> std::same_as<boost::asio::awaitable<bool>>;
};

template <poolable Connection>
class pool {
public:
    // Opens a connection. What it throws, acquire() throws, but for a common::timeout_error. That
    // one says that the opener has a limit of its own, and is thrown as connection_error.
    using opener = std::function<boost::asio::awaitable<std::unique_ptr<Connection>>()>;

    class lease;

    // Opens nothing yet. Throws std::invalid_argument for a maximum of 0, or one below the minimum.
    pool(
        pool_limits limits, opener open, std::function<void(const leak&)> report_leak = &print_leak)
        : limits_(checked(limits)),
          open_(std::move(open)),
          report_leak_(std::move(report_leak)),
          permits_(limits.maximum)
    {
        shelf_.reserve(limits.maximum);
    }

    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;

    // Completes with a connection that is the caller's until the lease goes out of scope. Who comes
    // first is served first.
    //
    // Throws acquire_timeout when that takes longer than the limit, and what the opener throws.
    // Cancelled (terminal), it throws operation_aborted; a turn that it had goes to the next, and a
    // connection that was being opened or checked is closed.
    boost::asio::awaitable<lease> acquire(
        std::source_location where = std::source_location::current())
    {
        try {
            co_return co_await common::with_timeout(limits_.wait, lend(where));
        } catch (const common::timeout_error&) {
            ++statistics_.timed_out;
            throw acquire_timeout(fmt::format(
                "no connection within {:.2f} s: {} of {} lent, and {} others wait",
                std::chrono::duration<double>(limits_.wait).count(), loans_.size(), limits_.maximum,
                waiting_));
        }
    }

    // Looks after the pool until it is cancelled: opens connections up to the minimum, closes those
    // that are old or not needed, reports leaks. Spawn it into a task group beside what uses the
    // pool. Without it, the pool works, but does none of these.
    boost::asio::awaitable<void> maintain()
    {
        while (true) {
            report_leaks();
            close_old();
            co_await fill_up();
            co_await common::sleep_for(limits_.upkeep);
        }
    }

    const pool_statistics& statistics() const { return statistics_; }

    std::size_t lent() const { return loans_.size(); }
    std::size_t unused() const { return shelf_.size(); }
    std::size_t waiting() const { return waiting_; }

private:
    struct member {
        std::unique_ptr<Connection> connection;
        common::time_point opened{};
        common::time_point used{};  // last
        bool doubtful = false;      // another one was broken
    };

    struct loan {
        std::source_location where;
        common::time_point since;
        bool reported = false;
    };
    using loans = std::list<loan>;

    // Counts a coroutine for as long as it waits.
    class counted {
    public:
        explicit counted(std::size_t& count) : count_(count) { ++count_; }
        ~counted() { --count_; }
        counted(const counted&) = delete;
        counted& operator=(const counted&) = delete;

    private:
        std::size_t& count_;
    };

    static const pool_limits& checked(const pool_limits& limits)
    {
        if (limits.maximum == 0 || limits.minimum > limits.maximum) {
            throw std::invalid_argument("a pool needs a maximum, and no less than its minimum");
        }
        return limits;
    }

    boost::asio::awaitable<lease> lend(std::source_location where)
    {
        const auto start = common::now();
        auto permit = permits_.try_acquire();
        const bool at_once = permit.has_value();
        if (!at_once) {
            const counted one(waiting_);
            permit = co_await permits_.acquire();
        }

        // From here on the permit is held, and given back if anything below throws.
        auto found = co_await take_or_open();

        ++statistics_.leases;
        statistics_.waited += at_once ? 0 : 1;
        statistics_.longest_wait = std::max(statistics_.longest_wait, common::now() - start);
        loans_.push_back(loan{where, common::now()});
        statistics_.peak = std::max(statistics_.peak, loans_.size());
        co_return lease(*this, std::move(*permit), std::move(found), std::prev(loans_.end()));
    }

    boost::asio::awaitable<member> take_or_open()
    {
        while (!shelf_.empty()) {
            auto top = std::move(shelf_.back());
            shelf_.pop_back();
            if (is_expired(top)) {
                ++statistics_.expired;
            } else if (co_await is_good(top)) {
                co_return top;
            } else {
                note_broken();
            }
        }
        auto fresh = co_await open();
        co_return fresh;
    }

    boost::asio::awaitable<bool> is_good(member& candidate)
    {
        if (!candidate.connection->usable()) {
            co_return false;
        }
        if (!candidate.doubtful && common::now() - candidate.used <= limits_.trust) {
            co_return true;
        }
        try {
            co_return co_await common::with_timeout(limits_.check, candidate.connection->check());
        } catch (const common::timeout_error&) {
            co_return false;
        }
    }

    boost::asio::awaitable<member> open()
    {
        member fresh;
        try {
            fresh.connection = co_await open_();
        } catch (const common::timeout_error&) {
            // Not the pool's limit: when that is over, the opener hears of a cancellation.
            throw connection_error("the database did not answer in time");
        }
        fresh.opened = common::now();
        fresh.used = fresh.opened;
        ++statistics_.opened;
        co_return fresh;
    }

    // What a lease gives back, before it gives back the permit.
    void take_back(member returned, typename loans::iterator ended)
    {
        loans_.erase(ended);
        returned.used = common::now();
        returned.doubtful = false;
        if (!returned.connection->usable()) {
            note_broken();
        } else if (is_expired(returned)) {
            ++statistics_.expired;
        } else {
            shelf_.push_back(std::move(returned));
        }
    }

    void note_broken()
    {
        ++statistics_.broken;
        for (auto& other : shelf_) {
            other.doubtful = true;
        }
    }

    bool is_expired(const member& one) const
    {
        return common::now() - one.opened >= limits_.lifetime;
    }

    // Those that are there, and those that are about to be.
    std::size_t size() const { return shelf_.size() + limits_.maximum - permits_.available(); }

    void report_leaks()
    {
        for (auto& each : loans_) {
            const auto held = common::now() - each.since;
            if (!each.reported && held >= limits_.leak) {
                each.reported = true;
                ++statistics_.leaks;
                report_leak_(leak{each.where, held});
            }
        }
    }

    void close_old()
    {
        statistics_.expired +=
            std::erase_if(shelf_, [this](const member& each) { return is_expired(each); });

        // The one at the bottom has been unused the longest.
        while (!shelf_.empty() && size() > limits_.minimum &&
               common::now() - shelf_.front().used >= limits_.idle) {
            shelf_.erase(shelf_.begin());
            ++statistics_.idled;
        }
    }

    // Where the database cannot be reached, it is tried again the next time.
    boost::asio::awaitable<void> fill_up()
    {
        while (size() < limits_.minimum) {
            const auto permit = permits_.try_acquire();
            try {
                auto fresh = co_await common::with_timeout(limits_.wait, open());
                shelf_.push_back(std::move(fresh));
            } catch (const boost::system::system_error& error) {
                if (error.code() == boost::asio::error::operation_aborted) {
                    throw;
                }
                break;
            } catch (const std::exception&) {
                break;
            }
        }
    }

    const pool_limits limits_;
    const opener open_;
    const std::function<void(const leak&)> report_leak_;
    common::semaphore permits_;  // one for each connection that there may be
    std::vector<member> shelf_;  // connections that nobody has; the last used on top, at the end
    loans loans_;                // one for each lease
    std::size_t waiting_ = 0;    // for a permit
    pool_statistics statistics_;
};

// A connection, for as long as this lives. Holds none when default constructed, moved from or
// released. May outlive the pool: the connection is closed then.
template <poolable Connection>
class pool<Connection>::lease {
public:
    lease() = default;
    lease(lease&& other) noexcept = default;

    lease& operator=(lease&& other) noexcept
    {
        if (this != &other) {
            release();
            pool_ = other.pool_;
            permit_ = std::move(other.permit_);
            lent_ = std::move(other.lent_);
            loan_ = other.loan_;
        }
        return *this;
    }

    ~lease() { release(); }

    // Gives the connection back now, and not at the end of the scope.
    void release()
    {
        if (lent_.connection && permit_.owns_permit()) {
            pool_->take_back(std::move(lent_), loan_);
        }
        lent_.connection.reset();
        permit_.release();
    }

    Connection& operator*() const { return *lent_.connection; }
    Connection* operator->() const { return lent_.connection.get(); }
    explicit operator bool() const { return lent_.connection != nullptr; }

private:
    friend class pool;

    lease(pool& owner, common::semaphore::permit permit, member lent, typename loans::iterator loan)
        : pool_(&owner), permit_(std::move(permit)), lent_(std::move(lent)), loan_(loan)
    {
    }

    pool* pool_ = nullptr;
    common::semaphore::permit permit_;  // none when the pool is gone
    member lent_;
    typename loans::iterator loan_;
};

}  // namespace db
