// Memory: what the heap holds for a coroutine that is spawned and suspended, all told. Its frame,
// the frames of what it awaits, the operation it waits for, and what spawning it took.
//
// It asks malloc. A replaced operator new would miss most of it: Asio takes the memory of frames
// and operations from aligned_alloc. What malloc counts includes its own eight bytes for each
// block, and the rounding to sixteen.

#include "bench.hpp"

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/mutex.hpp"
#include "common/queue.hpp"
#include "common/run.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <malloc.h>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace bench {

namespace {

// So many that what the recycling caches of Asio keep, a few blocks, makes no difference.
constexpr std::size_t many = 10'000;

using channel = asio::experimental::channel<void(boost::system::error_code, int)>;

// What coroutines can be suspended in. Nothing in here is ever set, filled or unlocked before the
// memory has been read.
struct things {
    explicit things(const asio::any_io_executor& executor) : messages(executor) {}

    common::mutex mutex;
    common::event event;
    common::queue<int> queue;
    channel messages;
};

awaitable<void> in_a_sleep(things&)
{
    co_await common::sleep_for(1h);
}

awaitable<void> in_a_timer(things&)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, 1h);
    co_await timer.async_wait(asio::deferred);
}

awaitable<void> in_a_post(things&)
{
    co_await asio::post(asio::deferred);
}

awaitable<void> in_a_lock(things& waited_for)
{
    const auto guard = co_await waited_for.mutex.lock();
}

awaitable<void> in_an_event(things& waited_for)
{
    co_await waited_for.event.wait();
}

awaitable<void> in_a_get(things& waited_for)
{
    co_await waited_for.queue.get();
}

awaitable<void> in_a_receive(things& waited_for)
{
    co_await waited_for.messages.async_receive(asio::deferred);
}

using suspended = awaitable<void> (*)(things&);

// Thrown when the memory has been read. It ends the loop, and that destroys those who are
// suspended.
struct all_suspended {};

awaitable<void> suspend_many(suspended in, double& bytes)
{
    const auto executor = co_await asio::this_coro::executor;
    things waited_for(executor);
    const auto guard = co_await waited_for.mutex.lock();

    const auto before = mallinfo2().uordblks;
    for (std::size_t each = 0; each < many; ++each) {
        asio::co_spawn(executor, in(waited_for), asio::detached);
    }
    bytes = static_cast<double>(mallinfo2().uordblks - before) / static_cast<double>(many);
    throw all_suspended();
}

void add(
    const std::string& name, suspended in, common::clock_mode mode = common::clock_mode::steady)
{
    auto measure = [in, mode](benchmark::State& state) {
        double bytes = 0;
        for (auto _ : state) {
            try {
                common::run(suspend_many(in, bytes), mode);
            } catch (const all_suspended&) {
            }
        }
        state.counters["bytes"] = bytes;
    };
    benchmark::RegisterBenchmark(name.c_str(), measure)->Iterations(1)->Repetitions(1);
}

}  // namespace

void add_memory()
{
    add("asio: bytes in a post", in_a_post);
    add("common: bytes in a sleep", in_a_sleep);
    add("asio: bytes in a sleep", in_a_timer);
    add("common: bytes in a virtual sleep", in_a_sleep, common::clock_mode::virtual_time);
    add("common: bytes in a lock", in_a_lock);
    add("common: bytes in an event", in_an_event);
    add("asio: bytes in an event", in_a_timer);
    add("common: bytes in a get", in_a_get);
    add("asio: bytes in a get", in_a_receive);
}

}  // namespace bench
