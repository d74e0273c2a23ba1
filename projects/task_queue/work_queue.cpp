#include "task_queue/work_queue.hpp"

#include "common/task_group.hpp"

#include <exception>

namespace asio = boost::asio;

namespace task_queue {

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
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const common::exception_group& failures) {
        failures.throw_first();
    }
}

}  // namespace task_queue
