// Queues: an item is one put and one get. Half of the coroutines put, the other half get.

#include "bench.hpp"

#include "common/clock.hpp"
#include "common/queue.hpp"

#include <fmt/format.h>

using boost::asio::awaitable;

namespace bench {

namespace {

template <std::size_t Capacity>
awaitable<void> put_and_get(rounds& left, std::size_t)
{
    common::queue<int> queue(Capacity);
    while (left.next()) {
        co_await queue.put(1);
        benchmark::DoNotOptimize(co_await queue.get());
    }
}

template <inside Inside>
awaitable<void> produce(rounds& left, common::queue<int>& queue, std::size_t& producers)
{
    while (left.next()) {
        if constexpr (Inside == inside::a_yield) {
            co_await common::yield();
        }
        co_await queue.put(1);
    }
    if (--producers == 0) {
        queue.close();
    }
}

template <inside Inside>
awaitable<void> consume(common::queue<int>& queue)
{
    try {
        while (true) {
            benchmark::DoNotOptimize(co_await queue.get());
            if constexpr (Inside == inside::a_yield) {
                co_await common::yield();
            }
        }
    } catch (const common::queue_closed&) {
    }
}

template <std::size_t Capacity, inside Inside>
awaitable<void> through_queue(rounds& left, std::size_t coroutines)
{
    common::queue<int> queue(Capacity);
    std::size_t producers = coroutines / 2;
    auto all = copies(coroutines / 2, [&] { return consume<Inside>(queue); });
    for (auto& each : copies(producers, [&] { return produce<Inside>(left, queue, producers); })) {
        all.push_back(std::move(each));
    }
    co_await together(std::move(all));
}

template <std::size_t Capacity>
void add_queues_of()
{
    const auto name = fmt::format("queue of {}, ", Capacity);
    add("common: " + name + "alone", put_and_get<Capacity>);
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("{}{}", name, coroutines);
        add("common: " + row, through_queue<Capacity, inside::nothing>, coroutines);
        add("common: " + row + ", yield", through_queue<Capacity, inside::a_yield>, coroutines);
    }
}

}  // namespace

void add_queues()
{
    add_queues_of<1>();
    add_queues_of<64>();
}

}  // namespace bench
