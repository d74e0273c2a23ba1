// Channels as mutex and semaphore, which are what Asio offers for the two: a lock is a message sent
// into a channel that holds one, and unlocking takes it out. As in locks.cpp, all stand in line
// before the first operation.

#include "bench.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

namespace asio = boost::asio;
using boost::asio::awaitable;

namespace bench {

namespace {

using channel = asio::experimental::channel<void(boost::system::error_code)>;

template <std::size_t Permits>
awaitable<void> channel_free(rounds& left, std::size_t)
{
    channel slots(co_await asio::this_coro::executor, Permits);
    while (left.next()) {
        co_await slots.async_send(boost::system::error_code(), asio::deferred);
        slots.try_receive([](auto...) {});
    }
}

template <inside Inside>
awaitable<void> use_channel(rounds& left, channel& slots)
{
    for (bool more = true; more;) {
        co_await slots.async_send(boost::system::error_code(), asio::deferred);
        more = left.next();
        if constexpr (Inside == inside::a_yield) {
            co_await asio::post(asio::deferred);
        }
        slots.try_receive([](auto...) {});
    }
}

awaitable<void> empty(channel& slots, std::size_t permits)
{
    for (; permits > 0; --permits) {
        slots.try_receive([](auto...) {});
    }
    co_return;
}

template <inside Inside>
awaitable<void> channel_contended(rounds& left, std::size_t coroutines, std::size_t permits)
{
    channel slots(co_await asio::this_coro::executor, permits);
    for (std::size_t taken = 0; taken < permits; ++taken) {
        slots.try_send(boost::system::error_code());
    }
    auto all = copies(coroutines, [&] { return use_channel<Inside>(left, slots); });
    all.push_back(empty(slots, permits));
    co_await together(std::move(all));
}

template <inside Inside>
awaitable<void> channel_as_mutex(rounds& left, std::size_t coroutines)
{
    return channel_contended<Inside>(left, coroutines, 1);
}

template <inside Inside>
awaitable<void> channel_as_semaphore(rounds& left, std::size_t coroutines)
{
    return channel_contended<Inside>(left, coroutines, permits_for(coroutines));
}

}  // namespace

void add_channels_as_locks()
{
    add("asio: mutex, free", channel_free<1>);
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("mutex, {}", coroutines);
        add("asio: " + row, channel_as_mutex<inside::nothing>, coroutines);
        add("asio: " + row + ", yield", channel_as_mutex<inside::a_yield>, coroutines);
    }

    add("asio: semaphore, free", channel_free<3>);
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("semaphore, {}", coroutines);
        add("asio: " + row, channel_as_semaphore<inside::nothing>, coroutines);
        add("asio: " + row + ", yield", channel_as_semaphore<inside::a_yield>, coroutines);
    }
}

}  // namespace bench
