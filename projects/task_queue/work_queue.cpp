#include "task_queue/work_queue.hpp"

#include "common/task_group.hpp"

#include <exception>

namespace asio = boost::asio;

namespace task_queue {

namespace {

// The first failure, also of a group in a group.
std::exception_ptr first_of(const common::exception_group& failed)
{
    const auto first = failed.exceptions().front();
    try {
        std::rethrow_exception(first);
    } catch (const common::exception_group& inner) {
        return first_of(inner);
    } catch (...) {
        return first;
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
            } catch (const common::exception_group& failed) {
                failure = first_of(failed);
            } catch (...) {
                failure = std::current_exception();
            }
            both.cancel();
        });
    } catch (const common::exception_group& failed) {
        failure = first_of(failed);
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
}

}  // namespace task_queue
