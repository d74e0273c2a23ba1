// Queues: an item is one put and one get. Half of the coroutines put, the other half get.

#include "bench.hpp"

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/queue.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

namespace asio = boost::asio;
using boost::asio::awaitable;

namespace bench {

namespace {

enum class inside { nothing, a_yield };

using channel = asio::experimental::channel<void(boost::system::error_code, int)>;

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
    co_await common::gather(std::move(all));
}

template <std::size_t Capacity>
awaitable<void> send_and_receive(rounds& left, std::size_t)
{
    channel queue(co_await asio::this_coro::executor, Capacity);
    while (left.next()) {
        co_await queue.async_send(boost::system::error_code(), 1, asio::deferred);
        benchmark::DoNotOptimize(co_await queue.async_receive(asio::deferred));
    }
}

template <inside Inside>
awaitable<void> send(rounds& left, channel& queue, std::size_t& producers)
{
    while (left.next()) {
        if constexpr (Inside == inside::a_yield) {
            co_await asio::post(asio::deferred);
        }
        co_await queue.async_send(boost::system::error_code(), 1, asio::deferred);
    }
    if (--producers == 0) {
        queue.close();
    }
}

template <inside Inside>
awaitable<void> receive(channel& queue)
{
    try {
        while (true) {
            benchmark::DoNotOptimize(co_await queue.async_receive(asio::deferred));
            if constexpr (Inside == inside::a_yield) {
                co_await asio::post(asio::deferred);
            }
        }
    } catch (const boost::system::system_error&) {  // the channel is closed
    }
}

template <std::size_t Capacity, inside Inside>
awaitable<void> through_channel(rounds& left, std::size_t coroutines)
{
    channel queue(co_await asio::this_coro::executor, Capacity);
    std::size_t producers = coroutines / 2;
    auto all = copies(coroutines / 2, [&] { return receive<Inside>(queue); });
    for (auto& each : copies(producers, [&] { return send<Inside>(left, queue, producers); })) {
        all.push_back(std::move(each));
    }
    co_await common::gather(std::move(all));
}

template <std::size_t Capacity>
void add_queues_of()
{
    const auto name = fmt::format("queue of {}, ", Capacity);
    add("common: " + name + "alone", put_and_get<Capacity>);
    add("asio: " + name + "alone", send_and_receive<Capacity>);
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("{}{}", name, coroutines);
        add("common: " + row, through_queue<Capacity, inside::nothing>, coroutines);
        add("asio: " + row, through_channel<Capacity, inside::nothing>, coroutines);
        add("common: " + row + ", yield", through_queue<Capacity, inside::a_yield>, coroutines);
        add("asio: " + row + ", yield", through_channel<Capacity, inside::a_yield>, coroutines);
    }
}

}  // namespace

void add_queues()
{
    add_queues_of<1>();
    add_queues_of<64>();
}

}  // namespace bench
