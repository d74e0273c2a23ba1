#include "task_queue/work_queue.hpp"

#include "common/task_group.hpp"

#include <exception>

namespace asio = boost::asio;

namespace task_queue {

namespace {

// Throws it; of a group, also of one in a group, the first that is in it.
[[noreturn]] void throw_first_of(const std::exception_ptr& failure)
{
    try {
        std::rethrow_exception(failure);
    } catch (const common::exception_group& group) {
        throw_first_of(group.exceptions().front());
    }
}

}  // namespace

asio::awaitable<void> with_queue(
    work_source& queue, const std::function<asio::awaitable<void>()>& body)
{
    std::exception_ptr failure;
    try {
        co_await common::with_task_group([&](common::task_group& both) -> asio::awaitable<void> {
            both.spawn(queue.run());
            try {
                co_await body();
            } catch (...) {
                failure = std::current_exception();
            }
            both.cancel();
        });
    } catch (const common::exception_group&) {
        failure = std::current_exception();
    }
    if (failure) {
        throw_first_of(failure);
    }
}

}  // namespace task_queue
