// 020 · Performance: measure first, then change one thing
//
// Idea     Counters say what a change does, a clock whether it matters, a profile where to look.
// asyncio  `time.perf_counter()`, `tracemalloc`, `cProfile`, uvloop
// Before   019_transports_and_protocols.cpp
// Run      ./learn run 20
// Read     docs/progression.md, lesson 020, beside this file

#include "common/clock.hpp"
#include "common/log.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <sys/epoll.h>
#include <sys/socket.h>

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using namespace std::chrono_literals;

namespace {

// These do not vary from run to run. Atomic, since threads are measured, too.
std::atomic<std::size_t> system_calls = 0;
std::atomic<std::size_t> handlers = 0;
std::atomic<std::size_t> allocations = 0;

}  // namespace

// A program may define a function that its libraries have, and then Asio calls this one. Each of
// these counts, and lets a sibling do the work: the memory of frames and operations, and the system
// calls of a loop at work.
extern "C" {

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept
{
    ++allocations;
    void* memory = nullptr;
    return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}

int epoll_wait(int epoll, epoll_event* events, int room, int timeout)
{
    ++system_calls;
    return epoll_pwait(epoll, events, room, timeout, nullptr);
}

ssize_t send(int socket, const void* data, std::size_t size, int flags)
{
    ++system_calls;
    return sendto(socket, data, size, flags, nullptr, 0);
}

ssize_t recv(int socket, void* data, std::size_t size, int flags)
{
    const auto result = recvfrom(socket, data, size, flags, nullptr, nullptr);
    ++system_calls;  // when it is over: a thread may be in here before the counting begins
    return result;
}
}

namespace {

// System calls, handlers, allocations and microseconds.
using figures = std::array<double, 4>;

figures so_far()
{
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const std::chrono::duration<double, std::micro> microseconds = now;
    return {
        static_cast<double>(system_calls), static_cast<double>(handlers),
        static_cast<double>(allocations), microseconds.count()};
}

constexpr std::size_t orders = 1000;

// What one order takes. Counts are rounded to what is printed of them.
figures measure(const std::function<void()>& work, std::size_t number = orders)
{
    const auto before = so_far();
    work();
    figures each = so_far();
    for (std::size_t i = 0; i < each.size(); ++i) {
        each[i] = (each[i] - before[i]) / static_cast<double>(number);
        each[i] = i < 3 ? std::round(each[i] * 10) / 10 : each[i];
    }
    return each;
}

// A time varies, and on virtual time nothing that a lesson prints does.
const bool timed = common::clock_mode_from_environment() == common::clock_mode::steady;

void print_row(const std::string& name, const figures& row)
{
    const auto time = timed ? fmt::format("{:.3f}", row[3]) : "-";
    fmt::print("{:<28}{:>14.1f}{:>10.1f}{:>13.1f}{:>14}\n", name, row[0], row[1], row[2], time);
}

struct version {
    std::string name;
    std::function<figures()> measured;
    figures best = {};
};

// Measures the versions in turn, five times, and takes the best time of each: what else runs on the
// machine can only make them slower. The last row is the first version's figures over the last's.
void compare(const std::string& title, std::vector<version> versions)
{
    for (int time = 0; time < (timed ? 5 : 1); ++time) {
        for (auto& each : versions) {
            const auto taken = each.measured();
            if (time == 0 || taken[3] < each.best[3]) {
                each.best = taken;
            }
        }
    }

    common::section(title);
    fmt::print("{:>42}{:>10}{:>13}{:>14}\n", "system calls", "handlers", "allocations", "us");
    for (const auto& each : versions) {
        print_row(each.name, each.best);
    }
    figures ratio = versions.front().best;
    for (std::size_t i = 0; i < ratio.size(); ++i) {
        const double last = versions.back().best[i];
        ratio[i] = ratio[i] == last ? 1 : ratio[i] / last;
    }
    print_row("ratio", ratio);
}

using order = std::array<char, 16>;
using pipe = asio::local::stream_protocol::socket;

void rethrow(std::exception_ptr failure)
{
    if (failure) {
        std::rethrow_exception(failure);
    }
}

// Calls orders to the kitchen, so many at once, and waits until as many dishes have come back.
template <class Token>
awaitable<void> waiter(pipe& kitchen, std::size_t left, std::size_t at_once, Token token)
{
    std::vector<order> called(at_once);
    for (; left > 0; left -= at_once) {
        co_await asio::async_write(kitchen, asio::buffer(called), token);
        co_await asio::async_read(kitchen, asio::buffer(called), token);
    }
}

// Reads what has come, as far as there is room, and sends it back.
template <class Token>
awaitable<void> cook(pipe& hatch, std::size_t left, std::size_t room, Token token)
{
    std::vector<order> heard(room);
    for (left *= sizeof(order); left > 0;) {
        const auto size = co_await hatch.async_read_some(asio::buffer(heard), token);
        co_await asio::async_write(hatch, asio::buffer(heard, size), token);
        left -= size;
    }
}

// As many cooks as waiters, all of them coroutines on one loop.
template <class Token = asio::deferred_t>
figures evening(std::size_t waiters, std::size_t at_once, std::size_t room, Token token = {})
{
    asio::io_context loop(1);
    std::deque<pipe> ends;
    for (std::size_t i = 0; i < waiters; ++i) {
        auto& kitchen = ends.emplace_back(loop);
        auto& hatch = ends.emplace_back(loop);
        asio::local::connect_pair(kitchen, hatch);
        asio::co_spawn(loop, waiter(kitchen, orders / waiters, at_once, token), rethrow);
        asio::co_spawn(loop, cook(hatch, orders / waiters, room, token), rethrow);
    }
    return measure([&loop] { handlers += loop.run(); });
}

// A cook who blocks the thread, until an order has come whole.
template <class Socket>
void block_and_cook(Socket& hatch, std::size_t dishes)
{
    order heard;
    for (; dishes > 0; --dishes) {
        hatch.receive(asio::buffer(heard), MSG_WAITALL);
        hatch.send(asio::buffer(heard));
    }
}

// The same evening without a loop: one thread does it all, or each cook has one.
figures evening_of_threads(std::size_t waiters, bool cooks_have_threads)
{
    asio::io_context loop;  // sockets need one, though nobody runs it
    std::deque<pipe> kitchens;
    std::deque<pipe> hatches;
    std::vector<std::jthread> cooks;
    for (std::size_t i = 0; i < waiters; ++i) {
        auto& hatch = hatches.emplace_back(loop);
        asio::local::connect_pair(kitchens.emplace_back(loop), hatch);
        if (cooks_have_threads) {
            cooks.emplace_back([&hatch, waiters] { block_and_cook(hatch, orders / waiters); });
        }
    }
    return measure([&] {
        order called{};
        for (std::size_t round = 0; round < orders / waiters; ++round) {
            for (auto& kitchen : kitchens) {
                kitchen.send(asio::buffer(called));
            }
            for (std::size_t i = 0; i < waiters; ++i) {
                if (!cooks_have_threads) {
                    block_and_cook(hatches[i], 1);
                }
                kitchens[i].receive(asio::buffer(called), MSG_WAITALL);
            }
        }
    });
}

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

using steady = std::chrono::steady_clock;

double microseconds_since(steady::time_point start)
{
    return std::chrono::duration<double, std::micro>(steady::now() - start).count();
}

// Calls one order after another, and writes down how long each took.
awaitable<void> guest(pipe& kitchen, std::size_t left, std::vector<double>& waits)
{
    for (order called{}; left > 0; --left) {
        const auto start = steady::now();
        co_await asio::async_write(kitchen, asio::buffer(called), asio::deferred);
        co_await asio::async_read(kitchen, asio::buffer(called), asio::deferred);
        waits.push_back(microseconds_since(start));
    }
}

// Thinks for 5 ms over every twentieth order: in the way of everybody, or not.
awaitable<void> thoughtful_cook(pipe& hatch, std::size_t left, bool blocks)
{
    asio::steady_timer thought(hatch.get_executor());
    for (order heard{}; left > 0; --left) {
        co_await asio::async_read(hatch, asio::buffer(heard), asio::deferred);
        if (left % 20 == 0 && blocks) {
            std::this_thread::sleep_for(5ms);
        } else if (left % 20 == 0) {
            thought.expires_after(5ms);
            co_await thought.async_wait(asio::deferred);
        }
        co_await asio::async_write(hatch, asio::buffer(heard), asio::deferred);
    }
}

// The loop's lag: how much later than asked for a timer goes off, at worst.
awaitable<void> watch(const std::vector<double>& waits, double& lag)
{
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (waits.size() < orders) {
        timer.expires_after(1ms);
        co_await timer.async_wait(asio::deferred);
        lag = std::max(lag, microseconds_since(timer.expiry()));
    }
}

// Ten guests and ten cooks, of whom one is thoughtful. Prints what an average does not tell.
void print_waits(const std::string& name, bool blocks)
{
    asio::io_context loop(1);
    std::deque<pipe> ends;
    std::vector<double> waits;
    double lag = 0;
    asio::co_spawn(loop, watch(waits, lag), rethrow);
    for (std::size_t i = 0; i < 10; ++i) {
        auto& kitchen = ends.emplace_back(loop);
        auto& hatch = ends.emplace_back(loop);
        asio::local::connect_pair(kitchen, hatch);
        asio::co_spawn(loop, guest(kitchen, orders / 10, waits), rethrow);
        asio::co_spawn(
            loop,
            i == 0 ? thoughtful_cook(hatch, orders / 10, blocks)
                   : cook(hatch, orders / 10, 1, asio::deferred),
            rethrow);
    }
    const auto start = steady::now();
    loop.run();
    const auto took = microseconds_since(start);

    std::sort(waits.begin(), waits.end());
    const auto average = std::accumulate(waits.begin(), waits.end(), 0.0) / orders;
    fmt::print("{:<20}", name);
    for (const double figure :
         {orders / took * 1e6, average, waits[orders / 2], waits[orders * 99 / 100], waits.back(),
          lag}) {
        fmt::print("{:>10}", timed ? fmt::format("{:.0f}", figure) : "-");
    }
    fmt::print("\n");
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
        return static_cast<T*>(std::aligned_alloc(alignof(T), count * sizeof(T)));
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
