// Channels, which are what Asio offers in place of queues: an item is one send and one receive.
// Half of the coroutines send, the other half receive.

#include "bench.hpp"

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

using channel = asio::experimental::channel<void(boost::system::error_code, int)>;

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
    co_await together(std::move(all));
}

template <std::size_t Capacity>
void add_channels_of()
{
    const auto name = fmt::format("queue of {}, ", Capacity);
    add("asio: " + name + "alone", send_and_receive<Capacity>);
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("{}{}", name, coroutines);
        add("asio: " + row, through_channel<Capacity, inside::nothing>, coroutines);
        add("asio: " + row + ", yield", through_channel<Capacity, inside::a_yield>, coroutines);
    }
}

}  // namespace

void add_channels()
{
    add_channels_of<1>();
    add_channels_of<64>();
}

}  // namespace bench
