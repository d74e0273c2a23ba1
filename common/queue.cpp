#include "common/queue.hpp"

namespace asio = boost::asio;

namespace common {

queue_closed::queue_closed() : std::runtime_error("the queue is closed") {}

namespace detail {

std::size_t checked_capacity(std::size_t capacity)
{
    if (capacity == 0) {
        throw std::invalid_argument("a queue needs a capacity of at least one");
    }
    return capacity;
}

void unfinished_items::remove()
{
    if (count_ == 0) {
        throw std::logic_error("task_done: called more often than items have been put");
    }
    if (--count_ == 0) {
        waiting_.release_all();
    }
}

asio::awaitable<void> unfinished_items::wait_for_none()
{
    if (count_ > 0) {
        auto none = waiting_.async_wait<wait_list::node>();
        co_await std::move(none);
    }
}

}  // namespace detail

}  // namespace common
