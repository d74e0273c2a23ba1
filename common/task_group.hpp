// Structured concurrency: a scope that does not end before the coroutines started in it have.
//
// `co_spawn` with `detached` starts a coroutine that nobody waits for: its errors are lost, and it
// may still run when what it refers to is gone. A task group owns what it starts. `with_task_group`
// returns when the body and every task have ended, so a task may refer to anything that outlives
// the call, and an error always reaches somebody.
//
// Use it from one thread or one strand: on a thread pool, give the caller a strand.

#pragma once

#include "common/detail/child_group.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace common {

// What tasks of a group threw, when at least one did. what() has the number and the messages.
class exception_group : public std::runtime_error {
public:
    explicit exception_group(std::vector<std::exception_ptr> exceptions);

    // In the order in which the tasks failed.
    const std::vector<std::exception_ptr>& exceptions() const noexcept { return *exceptions_; }

    // Throws the first of them; where that is a group, too, the first that is in it.
    [[noreturn]] void throw_first() const;

private:
    std::shared_ptr<const std::vector<std::exception_ptr>> exceptions_;  // copying must not throw
};

class task_group {
public:
    // Starts a task, which runs at once to its first suspension. Its parameters must live until the
    // group ends; a capturing lambda's closure counts as one. Tasks may spawn others.
    //
    // Throws std::logic_error when a task of this group has failed. After cancel(), and once the
    // caller of with_task_group has been cancelled, the task is dropped and never begins.
    void spawn(boost::asio::awaitable<void> task);

    // Cancels (terminal) the body and every task. The group then ends normally, unless one of them
    // throws anything else than operation_aborted.
    void cancel() { children_.cancel(); }

private:
    template <class Body>
    friend boost::asio::awaitable<void> with_task_group(Body body);

    struct outcome {
        task_group* group;

        void succeeded() {}
        void failed(std::exception_ptr failure) { group->task_failed(std::move(failure)); }
    };

    explicit task_group(boost::asio::any_io_executor executor) : children_(std::move(executor)) {}

    void task_failed(std::exception_ptr failure);
    void throw_failures() const;

    detail::child_group children_;
    std::vector<std::exception_ptr> failures_;  // without the aborts that this group has caused
};

// Runs `body`, an awaitable<void>(task_group&), and completes when the body and all that was
// spawned have ended.
//
// The first of them that throws cancels the others. What they threw comes out as one
// exception_group, also when it is only one; operation_aborted counts only from a task that nobody
// had cancelled. Cancelling the caller cancels the body and the tasks; when they have ended, what
// they threw is thrown, else operation_aborted.
//
// As asyncio.TaskGroup.
template <class Body>
boost::asio::awaitable<void> with_task_group(Body body)
{
    const auto executor = co_await boost::asio::this_coro::executor;
    task_group group(executor);
    auto main = body(group);

    // The body is a child like the others: cancelled with them, and its errors are theirs.
    auto all = group.children_.async_run([&group, &main] { group.spawn(std::move(main)); });
    co_await std::move(all);
    group.throw_failures();
}

}  // namespace common
