// Lesson 017's executor, put where Asio and the library take one.

// The lesson is a program. Here its main() is an ordinary function, which nobody calls.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type"
#define main lesson_017
#include "lessons/017_custom_event_loop.cpp"
#undef main
#pragma GCC diagnostic pop

#include "common/gather.hpp"
#include "common/mutex.hpp"
#include "common/timeout.hpp"

#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/execution/mapping.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/execution/relationship.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace execution = boost::asio::execution;
using tested_executor = priority_executor<asio::io_context::executor_type>;

static_assert(execution::is_executor_v<tested_executor>);
static_assert(std::is_convertible_v<tested_executor, asio::any_io_executor>);
static_assert(asio::can_query_v<tested_executor, execution::context_t>);
static_assert(asio::can_query_v<tested_executor, execution::blocking_t>);
static_assert(asio::can_query_v<tested_executor, execution::relationship_t>);
static_assert(asio::can_query_v<tested_executor, execution::outstanding_work_t>);
static_assert(asio::can_query_v<tested_executor, execution::mapping_t>);
static_assert(asio::can_require_v<tested_executor, execution::blocking_t::never_t>);
static_assert(asio::can_prefer_v<tested_executor, execution::outstanding_work_t::tracked_t>);
static_assert(asio::can_prefer_v<tested_executor, execution::relationship_t::continuation_t>);

namespace {

asio::any_io_executor on(asio::io_context& loop, int priority)
{
    return with_priority(loop.get_executor(), priority);
}

awaitable<void> sleep_long()
{
    co_await common::sleep_for(1h);
}

// Posts work that never runs, and posts again from its destructor, a few times.
void hand_on(
    const asio::any_io_executor& executor, std::shared_ptr<asio::ip::tcp::socket> socket, int times)
{
    auto once_more = [executor, socket, times](const void*) {
        if (times > 0) {
            hand_on(executor, socket, times - 1);
        }
    };
    std::shared_ptr<const void> last(nullptr, std::move(once_more));
    asio::post(executor, [last = std::move(last)] { FAIL("nobody runs the loop"); });
}

awaitable<void> yield_for_ever()
{
    while (true) {
        co_await common::yield();
    }
}

awaitable<void> count_under_lock(common::mutex& lock, int& count)
{
    for (int i = 0; i < 10; ++i) {
        const auto guard = co_await lock.lock();
        const int before = count;
        co_await common::yield();
        count = before + 1;
    }
}

awaitable<int> count_with_gather()
{
    common::mutex lock;
    int count = 0;
    std::vector<awaitable<void>> counting;
    for (int i = 0; i < 5; ++i) {
        counting.push_back(count_under_lock(lock, count));
    }
    co_await common::gather(std::move(counting));
    co_return count;
}

awaitable<bool> time_out()
{
    try {
        co_await common::with_timeout(5ms, sleep_long());
    } catch (const common::timeout_error&) {
        co_return true;
    }
    co_return false;
}

awaitable<char> over_tcp()
{
    using asio::ip::tcp;
    const auto executor = co_await asio::this_coro::executor;
    const tcp::endpoint any_port(asio::ip::address_v4::loopback(), 0);
    tcp::acceptor acceptor(executor, any_port);
    tcp::socket client(executor);
    tcp::socket server(executor);
    client.connect(acceptor.local_endpoint());
    acceptor.accept(server);
    asio::write(client, asio::buffer("x", 1));
    char letter = ' ';
    co_await server.async_read_some(asio::buffer(&letter, 1), asio::deferred);
    co_return letter;
}

template <class T>
T result_of(awaitable<T> coroutine)
{
    asio::io_context loop;
    auto result = asio::co_spawn(on(loop, high), std::move(coroutine), asio::use_future);
    loop.run();
    return result.get();
}

awaitable<int> yield_and_return(int value)
{
    for (int i = 0; i < 10; ++i) {
        co_await common::yield();
    }
    co_return value;
}

}  // namespace

TEST_CASE("017: locks, gather, timeouts and TCP work on the executor")
{
    CHECK(result_of(count_with_gather()) == 50);
    CHECK(result_of(time_out()));
    CHECK(result_of(over_tcp()) == 'x');
}

TEST_CASE("017: a strand around the executor works")
{
    asio::io_context loop;
    auto count =
        asio::co_spawn(asio::make_strand(on(loop, low)), count_with_gather(), asio::use_future);
    loop.run();
    CHECK(count.get() == 50);
}

TEST_CASE("017: the executor's context is the io_context, and it answers for the others")
{
    asio::io_context loop;
    const tested_executor low_one(loop.get_executor(), asio::use_service<ready_queue>(loop), low);
    const tested_executor high_one(loop.get_executor(), asio::use_service<ready_queue>(loop), high);
    CHECK(&asio::query(low_one, execution::context) == &loop);
    CHECK(low_one == tested_executor(low_one));
    CHECK(low_one != high_one);
    const auto never = asio::require(low_one, execution::blocking.never);
    CHECK(asio::query(never, execution::blocking) == execution::blocking.never);
}

TEST_CASE("017: the executor counts as work where it is asked to")
{
    asio::io_context loop;
    auto tracked = asio::prefer(on(loop, low), execution::outstanding_work.tracked);
    loop.poll();
    CHECK_FALSE(loop.stopped());
    tracked = nullptr;
    loop.poll();
    CHECK(loop.stopped());
}

TEST_CASE("017: the executor of a thread pool is refused")
{
    asio::thread_pool pool(1);
    CHECK_THROWS_AS(with_priority(pool.get_executor(), low), std::invalid_argument);
}

TEST_CASE("017: an exception leaves run(), and what is left runs in the next one")
{
    asio::io_context loop;
    bool ran = false;
    asio::post(on(loop, high), [] { throw std::runtime_error("burnt"); });
    asio::post(on(loop, high), [&ran] { ran = true; });
    CHECK_THROWS_AS(loop.run(), std::runtime_error);
    CHECK_FALSE(ran);
    loop.run();
    CHECK(ran);
}

TEST_CASE("017: the loop is destroyed with suspended, ready and unstarted coroutines")
{
    for (const int turns : {0, 1, 50}) {
        asio::io_context loop;
        for (const int priority : {low, high}) {
            asio::co_spawn(on(loop, priority), sleep_long(), rethrow);
            asio::co_spawn(on(loop, priority), yield_for_ever(), rethrow);
        }
        for (int turn = 0; turn < turns; ++turn) {
            CHECK(loop.run_one() == 1);
        }
    }
}

// Asio shuts its services down, and destroys them after that. What is put into the queue in between
// would stay there for good, and AddressSanitizer would tell of a leak.
TEST_CASE("017: what comes into the queue after its shutdown is destroyed at once")
{
    asio::io_context loop;
    hand_on(on(loop, low), std::make_shared<asio::ip::tcp::socket>(loop), 5);
}

TEST_CASE("017: several threads spawn, and several run the loop")
{
    asio::io_context loop;
    std::vector<std::future<int>> results[3];
    {
        std::vector<std::jthread> runners(2);
        const auto guard = asio::make_work_guard(loop);
        for (auto& each : runners) {
            each = std::jthread([&loop] { loop.run(); });
        }
        std::vector<std::jthread> spawners;
        for (auto& mine : results) {
            spawners.emplace_back([&loop, &mine] {
                for (int i = 0; i < 100; ++i) {
                    mine.push_back(
                        asio::co_spawn(on(loop, i % 5), yield_and_return(i), asio::use_future));
                }
            });
        }
    }
    int sum = 0;
    for (auto& mine : results) {
        for (auto& each : mine) {
            sum += each.get();
        }
    }
    CHECK(sum == 3 * 99 * 100 / 2);
}
