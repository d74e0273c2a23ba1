// 010 · Waiting until something is true
//
// Idea     A condition variable waits, inside a lock, for others to change what the lock protects.
// asyncio  `changed = asyncio.Condition()`, `await changed.wait_for(lambda: buffer)`
// Before   009_event.cpp
// Run      ./learn run 10
// Read     docs/progression.md, lesson 010, beside this file

#include "common/clock.hpp"
#include "common/condition_variable.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/mutex.hpp"
#include "common/run.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <utility>
#include <vector>

using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

// A buffer with room for two, made of a lock and two conditions: the queue of lesson 008, by hand.
class bounded_buffer {
public:
    awaitable<void> put(int item)
    {
        auto guard = co_await lock_.lock();
        co_await has_room_.wait(guard, [this] { return items_.size() < 2; });
        items_.push_back(item);
        peak_ = std::max(peak_, items_.size());
        has_items_.notify_one();
    }

    // wait() gives the lock up while it waits, or nobody could ever put anything in, and has it
    // again when it returns. The predicate is asked under the lock, before the wait and after each.
    awaitable<int> get()
    {
        auto guard = co_await lock_.lock();
        co_await has_items_.wait(guard, [this] { return !items_.empty(); });
        const int item = items_.front();
        items_.pop_front();
        has_room_.notify_one();
        co_return item;
    }

    std::size_t peak() const { return peak_; }

private:
    common::mutex lock_;
    common::condition_variable has_room_;
    common::condition_variable has_items_;
    std::deque<int> items_;
    std::size_t peak_ = 0;
};

awaitable<void> produce(bounded_buffer& buffer, int first)
{
    for (int item = first; item < first + 5; ++item) {
        co_await buffer.put(item);
    }
}

awaitable<void> consume(bounded_buffer& buffer, std::vector<int>& consumed, int count)
{
    for (int i = 0; i < count; ++i) {
        consumed.push_back(co_await buffer.get());
        co_await common::sleep_for(20ms);
    }
}

awaitable<void> a_bounded_buffer()
{
    common::section("A bounded buffer");
    bounded_buffer buffer;
    std::vector<int> consumed;
    co_await (
        produce(buffer, 1) && produce(buffer, 6) && consume(buffer, consumed, 3) &&
        consume(buffer, consumed, 3) && consume(buffer, consumed, 4));
    std::sort(consumed.begin(), consumed.end());
    common::log(
        "buffer", "{}: each once, never more than {}", fmt::join(consumed, " "), buffer.peak());
}

struct bakery {
    common::mutex lock;
    common::condition_variable changed;
    int rolls = 0;
    int wake_ups = 0;
};

// Waits in a loop that is written out, to count how often it is woken.
awaitable<void> buy(bakery& shop)
{
    auto guard = co_await shop.lock.lock();
    while (shop.rolls == 0) {
        co_await shop.changed.wait(guard);
        ++shop.wake_ups;
    }
    --shop.rolls;
}

enum class notify { one, all };

// Bakes a roll every 0.05 s, and tells one customer of it or all of them.
awaitable<void> bake(bakery& shop, notify whom, int rolls)
{
    for (int i = 0; i < rolls; ++i) {
        co_await common::sleep_for(50ms);
        const auto guard = co_await shop.lock.lock();
        ++shop.rolls;
        if (whom == notify::one) {
            shop.changed.notify_one();
        } else {
            shop.changed.notify_all();
        }
    }
}

awaitable<int> wake_ups_for_five(notify whom)
{
    bakery shop;
    std::vector<awaitable<void>> day;
    for (int i = 0; i < 5; ++i) {
        day.push_back(buy(shop));
    }
    day.push_back(bake(shop, whom, 5));
    co_await common::gather(std::move(day));
    co_return shop.wake_ups;
}

// With notify_all every roll wakes all who still wait, and all but one find that it is gone. That
// is 5 + 4 + 3 + 2 + 1 wake-ups for five rolls.
awaitable<void> one_or_all()
{
    common::section("notify_one and notify_all");
    const auto [one, all] =
        co_await (wake_ups_for_five(notify::one) && wake_ups_for_five(notify::all));
    common::log(
        "bakery", "five customers, five rolls: notify_one wakes {}, notify_all {}", one, all);
}

// Pitfall: asks once, and takes the wake-up for the answer. But between the notification and this
// customer's turn with the lock, another has had it, and the roll.
awaitable<void> buy_with_if(bakery& shop)
{
    auto guard = co_await shop.lock.lock();
    if (shop.rolls == 0) {
        co_await shop.changed.wait(guard);
    }
    if (shop.rolls == 0) {
        common::log("customer", "was woken, and there is no roll");
    } else {
        --shop.rolls;
        common::log("customer", "has a roll");
    }
}

awaitable<void> asking_once()
{
    common::section("Asking once, with if");
    bakery shop;
    co_await (buy_with_if(shop) && buy_with_if(shop) && bake(shop, notify::all, 1));
}

awaitable<void> street()
{
    co_await a_bounded_buffer();
    co_await one_or_all();
    co_await asking_once();
}

}  // namespace

int main()
{
    common::run(street());
}
