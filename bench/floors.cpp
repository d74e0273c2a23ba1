// The round trip through the event loop, which nothing that waits can do without.

#include "bench.hpp"

#include "common/clock.hpp"

#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

namespace asio = boost::asio;
using boost::asio::awaitable;

namespace bench {

namespace {

// The round trip: out of the coroutine, through the event loop's queue, and back.
awaitable<void> post(rounds& left)
{
    while (left.next()) {
        co_await asio::post(asio::deferred);
    }
}

awaitable<void> post_many(rounds& left, std::size_t coroutines)
{
    auto all = copies(coroutines, [&left] { return post(left); });
    co_await together(std::move(all));
}

awaitable<void> yield(rounds& left)
{
    while (left.next()) {
        co_await common::yield();
    }
}

awaitable<void> yield_many(rounds& left, std::size_t coroutines)
{
    auto all = copies(coroutines, [&left] { return yield(left); });
    co_await together(std::move(all));
}

}  // namespace

void add_floors()
{
    for (const std::size_t coroutines : {1U, 2U, 10U, 1000U}) {
        const auto row = fmt::format("yield, {}", coroutines);
        add("common: " + row, yield_many, coroutines);
        add("asio: " + row, post_many, coroutines);
    }
}

}  // namespace bench
