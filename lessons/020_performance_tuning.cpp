// 020 · Performance: measure first, then change one thing
//
// Idea     Counters say what a change does, a clock whether it matters, a profile where to look.
// asyncio  `time.perf_counter()`, `tracemalloc`, `cProfile`, uvloop
// Before   019_transports_and_protocols.cpp
// Run      ./learn run 20
// Read     docs/progression.md, lesson 020, beside this file

#include "common/log.hpp"
#include "lessons/020_evening.hpp"
#include "lessons/020_measure.hpp"
#include "lessons/020_waits.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <thread>

#include <sys/socket.h>

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using namespace tuning;  // what the three headers have

namespace {

// Three orders over TCP, each in so many writes. After the first part of an order, Nagle's
// algorithm keeps the second, until the other side has acknowledged the first, for which it takes
// its time.
figures cellar(std::size_t writes, bool no_delay)
{
    constexpr std::size_t bottles = 3;
    asio::io_context loop;
    tcp::acceptor door(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket bar(loop);
    bar.connect(door.local_endpoint());
    bar.set_option(tcp::no_delay(no_delay));
    const std::jthread keeper(
        [hatch = door.accept()]() mutable { block_and_cook(hatch, bottles); });
    const auto serve = [&] {
        order called{};
        const auto part = sizeof(order) / writes;
        for (std::size_t bottle = 0; bottle < bottles; ++bottle) {
            for (std::size_t sent = 0; sent < sizeof(order); sent += part) {
                bar.send(asio::buffer(called.data() + sent, part));
            }
            bar.receive(asio::buffer(called), MSG_WAITALL);
        }
    };
    return measure(serve, bottles);
}

// Goes round the loop, where no system call hides what that costs.
template <class Executor, class Token>
awaitable<void, Executor> walk(std::size_t rounds, Token token)
{
    for (; rounds > 0; --rounds) {
        co_await asio::post(token);
    }
}

template <class Executor, class Token = asio::deferred_t>
figures walks(std::size_t walkers, std::size_t rounds, int concurrency_hint = 1, Token token = {})
{
    asio::io_context loop(concurrency_hint);
    const Executor executor = loop.get_executor();
    for (std::size_t i = 0; i < walkers; ++i) {
        asio::co_spawn(executor, walk<Executor>(rounds, token), rethrow);
    }
    return measure([&loop] { handlers += loop.run(); }, walkers * rounds);
}

// Takes from the heap each time. std::allocator would not do: with that, Asio uses its own.
template <class T>
struct heap_allocator : std::allocator<T> {
    heap_allocator() = default;
    template <class U>
    heap_allocator(const heap_allocator<U>&) noexcept
    {
    }

    T* allocate(std::size_t count)
    {
        void* const memory =
            std::aligned_alloc(std::max(alignof(T), sizeof(void*)), count * sizeof(T));
        if (memory == nullptr) {
            throw std::bad_alloc();
        }
        return static_cast<T*>(memory);
    }
    void deallocate(T* memory, std::size_t) { std::free(memory); }
};

}  // namespace

int main()
{
    compare(
        "Many orders to a write", {{"one to a write", [] { return evening(1, 1, 100); }},
                                   {"ten to a write", [] { return evening(1, 10, 100); }}});
    compare(
        "Room for all that has come", {{"room for one", [] { return evening(1, 10, 1); }},
                                       {"room for a hundred", [] { return evening(1, 10, 100); }}});
    compare(
        "Two writes, and a wait", {{"two writes", [] { return cellar(2, false); }},
                                   {"two writes, no_delay", [] { return cellar(2, true); }},
                                   {"one write", [] { return cellar(1, false); }}});

    using any = asio::any_io_executor;
    using typed = asio::io_context::executor_type;
    compare(
        "A frame less",
        {{"use_awaitable", [] { return walks<any>(orders, 1, 1, asio::use_awaitable); }},
         {"deferred", [] { return walks<any>(orders, 1); }}});
    compare(
        "An executor whose type is known",
        {{"any_io_executor", [] { return walks<any>(10, orders); }},
         {"io_context::executor_type", [] { return walks<typed>(10, orders); }}});
    compare(
        "A promise to use one thread",
        {{"no promise", [] { return walks<typed>(10, orders, BOOST_ASIO_CONCURRENCY_HINT_SAFE); }},
         {"1", [] { return walks<typed>(10, orders, 1); }},
         {"UNSAFE", [] { return walks<typed>(10, orders, BOOST_ASIO_CONCURRENCY_HINT_UNSAFE); }}});

    // Pitfall: the count that is easiest to bring down need not be the one that costs.
    const auto heap = asio::bind_allocator(heap_allocator<void>(), asio::deferred);
    compare(
        "Four allocations fewer, and who feels it",
        {{"from the heap", [&heap] { return evening(1, 1, 100, heap); }},
         {"from Asio's own allocator", [] { return evening(1, 1, 100); }}});

    compare(
        "Ten waiters and ten cooks",
        {{"one thread", [] { return evening_of_threads(10, false); }},
         {"a thread for each cook", [] { return evening_of_threads(10, true); }},
         {"a coroutine for each", [] { return evening(10, 1, 100); }}});

    common::section("What an average hides");
    fmt::print(
        "{:>30}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "orders/s", "average", "50 %", "99 %", "slowest",
        "lag, us");
    print_waits("one cook blocks", true);
    print_waits("one cook awaits", false);
}
