// Starting coroutines and waiting for them: detached, gather, task groups, timeouts. Counted is
// each child.

#include "bench.hpp"

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <chrono>

namespace asio = boost::asio;
using asio::experimental::awaitable_operators::operator&&;
using asio::experimental::awaitable_operators::operator||;
using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace bench {

namespace {

awaitable<void> yielding()
{
    co_await asio::post(asio::deferred);
}

using child = awaitable<void> (*)();

// Without anybody who waits for it. Where the children yield, the parent yields twice, so that they
// have ended when the next are spawned.
template <child Child>
awaitable<void> spawn_detached(rounds& left, std::size_t coroutines)
{
    const auto executor = co_await asio::this_coro::executor;
    while (left.next(coroutines)) {
        for (std::size_t each = 0; each < coroutines; ++each) {
            asio::co_spawn(executor, Child(), asio::detached);
        }
        co_await asio::post(asio::deferred);
    }
}

template <child Child>
awaitable<void> gather(rounds& left, std::size_t coroutines)
{
    while (left.next(coroutines)) {
        auto all = copies(coroutines, Child);
        co_await common::gather(std::move(all));
    }
}

// What Asio has for a number that is not known beforehand.
template <child Child>
awaitable<void> parallel_group(rounds& left, std::size_t coroutines)
{
    const auto executor = co_await asio::this_coro::executor;
    using operation = decltype(asio::co_spawn(executor, Child(), asio::deferred));
    while (left.next(coroutines)) {
        std::vector<operation> all;
        all.reserve(coroutines);
        for (std::size_t each = 0; each < coroutines; ++each) {
            all.push_back(asio::co_spawn(executor, Child(), asio::deferred));
        }
        auto group = asio::experimental::make_parallel_group(std::move(all));
        auto wait = group.async_wait(asio::experimental::wait_for_one_error(), asio::deferred);
        co_await std::move(wait);
    }
}

template <child Child>
awaitable<void> both(rounds& left, std::size_t)
{
    while (left.next(2)) {
        co_await (Child() && Child());
    }
}

template <child Child>
awaitable<void> spawn_all(common::task_group& group, std::size_t coroutines)
{
    for (std::size_t each = 0; each < coroutines; ++each) {
        group.spawn(Child());
    }
    co_return;
}

template <child Child>
awaitable<void> task_group(rounds& left, std::size_t coroutines)
{
    while (left.next(coroutines)) {
        auto body = [coroutines](common::task_group& group) {
            return spawn_all<Child>(group, coroutines);
        };
        co_await common::with_task_group(body);
    }
}

template <child Child>
awaitable<void> timeout(rounds& left, std::size_t)
{
    while (left.next()) {
        co_await common::with_timeout(1h, Child());
    }
}

awaitable<void> hour()
{
    asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
    co_await timer.async_wait(asio::deferred);
}

template <child Child>
awaitable<void> either(rounds& left, std::size_t)
{
    while (left.next()) {
        co_await (Child() || hour());
    }
}

template <child Child>
void add_children_that(const std::string& kind)
{
    add("common: gather, 2" + kind, gather<Child>, 2);
    add("asio: gather, 2" + kind, both<Child>);
    for (const std::size_t coroutines : {10U, 1000U}) {
        const auto row = fmt::format("gather, {}{}", coroutines, kind);
        add("common: " + row, gather<Child>, coroutines);
        add("asio: " + row, parallel_group<Child>, coroutines);
    }
    for (const std::size_t coroutines : {2U, 10U, 1000U}) {
        const auto row = fmt::format("task group, {}{}", coroutines, kind);
        add("common: " + row, task_group<Child>, coroutines);
    }
    add("asio: spawn, 100" + kind, spawn_detached<Child>, 100);
    add("common: timeout" + kind, timeout<Child>);
    add("asio: timeout" + kind, either<Child>);
}

}  // namespace

void add_children()
{
    add_children_that<nothing>("");
    add_children_that<yielding>(", yield");
}

}  // namespace bench
