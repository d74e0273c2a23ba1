// What needs no trip through the event loop, and the floor under it: awaiting a coroutine that
// returns at once.
//
// They stand side by side in a small file, because what is compared has to be compiled alike. In a
// large one GCC stops inlining at some point, and one and the same `co_await` costs a third more.

#include "bench.hpp"

#include "common/event.hpp"
#include "common/mutex.hpp"
#include "common/semaphore.hpp"

using boost::asio::awaitable;

namespace bench {

namespace {

awaitable<void> await_nothing(rounds& left, std::size_t)
{
    while (left.next()) {
        co_await nothing();
    }
}

awaitable<void> lock_free(rounds& left, std::size_t)
{
    common::mutex mutex;
    while (left.next()) {
        const auto guard = co_await mutex.lock();
    }
}

awaitable<void> acquire_free(rounds& left, std::size_t)
{
    common::semaphore slots(3);
    while (left.next()) {
        const auto permit = co_await slots.acquire();
    }
}

awaitable<void> wait_set(rounds& left, std::size_t)
{
    common::event news;
    news.set();
    while (left.next()) {
        co_await news.wait();
    }
}

}  // namespace

void add_alone()
{
    add("floor: await an empty coroutine", await_nothing);
    add("common: mutex, free", lock_free);
    add("common: semaphore, free", acquire_free);
    add("common: event, set", wait_set);
}

}  // namespace bench
