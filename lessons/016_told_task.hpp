// A task made by hand, which tells of its life. For lesson 016.
//
// A call of a coroutine makes a frame: memory for its parameters, for the locals that it keeps
// across an await, and for a number that says where it goes on. In the frame lies the promise, an
// object whose type the coroutine's return type names. The compiler calls its functions at the
// turns of the frame's life, in this order:
//
//     operator new          the call begins: memory for the frame
//     the constructor       gets the arguments of the coroutine
//     get_return_object     makes what the call returns, here the task
//     initial_suspend       whether the coroutine begins inside the call; this one does not
//     await_transform       at each co_await: what is awaited
//     return_value or unhandled_exception: how it ends
//     final_suspend         whether the frame outlives the end; this one does: it has the result
//     the destructor        when the task destroys the frame
//     operator delete       the memory is free again
//
// The task owns the frame through a coroutine_handle, which is no more than its address. Asio's
// awaitable<T> is made of the same parts.

#pragma once

#include "common/log.hpp"

#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory_resource>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace told {

// Of the frames of all tasks.
struct frame_count {
    int made = 0;
    int freed = 0;
    std::size_t bytes = 0;  // made and not freed
};
inline frame_count frames;

// Awaits `inner`, and tells when that suspends the coroutine, and when the coroutine goes on.
template <class Awaited>
struct wait {
    const std::string& who;
    Awaited& inner;

    bool await_ready() { return inner.await_ready(); }
    auto await_suspend(std::coroutine_handle<> frame)
    {
        common::log(who, "suspended");
        return inner.await_suspend(frame);
    }
    decltype(auto) await_resume()
    {
        common::log(who, "resumed");
        return inner.await_resume();
    }
};

// At its start the coroutine is suspended before its first line, until somebody starts it.
struct first_wait : std::suspend_always {
    explicit first_wait(const std::string& who_) : who(who_) {}
    void await_resume() const { common::log(who, "resumed"); }

    const std::string& who;
};

// At its end it is suspended for good, and whoever awaits it goes on in its place.
struct last_wait : std::suspend_always {
    explicit last_wait(std::coroutine_handle<> next_) : next(next_) {}
    auto await_suspend(std::coroutine_handle<>) const noexcept { return next; }

    const std::coroutine_handle<> next;
};

// What the promises of all tasks have in common.
class life {
public:
    // The first argument of the coroutine is its name.
    explicit life(const std::string& who, const auto&...) : who_(who) { common::log(who_, "made"); }

    ~life() { common::log(who_, "destroyed"); }

    static void* operator new(std::size_t bytes)
    {
        ++frames.made;
        frames.bytes += bytes;
        common::log("heap", "gives {} KiB and some bytes for a frame", bytes / 1024);
        return std::pmr::get_default_resource()->allocate(bytes);
    }

    static void operator delete(void* frame, std::size_t bytes)
    {
        ++frames.freed;
        frames.bytes -= bytes;
        common::log("heap", "has them back");
        std::pmr::get_default_resource()->deallocate(frame, bytes);
    }

    auto initial_suspend()
    {
        common::log(who_, "suspended at its start");
        return first_wait(who_);
    }

    template <class Awaited>
    auto await_transform(Awaited&& awaited)
    {
        return wait<std::remove_reference_t<Awaited>>{who_, awaited};
    }

    void unhandled_exception() { failure = std::current_exception(); }

    auto final_suspend() noexcept
    {
        common::log(who_, "suspended at its end");
        return last_wait(awaiting);
    }

    std::coroutine_handle<> awaiting =
        std::noop_coroutine();  // who goes on when this one has ended
    std::exception_ptr failure;

private:
    const std::string who_;
};

// Awaiting the task starts it, and gives its result, or throws what it has thrown.
template <class T>
class task {
public:
    struct promise_type : life {
        using life::life;
        task get_return_object() { return task(*this); }
        void return_value(T value) { result = std::move(value); }

        std::optional<T> result;
    };

    task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    task& operator=(task&&) = delete;

    ~task()
    {
        if (frame_) {
            frame_.destroy();
        }
    }

    // For who is no coroutine: runs it to its first suspension, or further, once.
    void start() { frame_.resume(); }

    // The result of one that has ended.
    T result()
    {
        if (frame_.promise().failure) {
            std::rethrow_exception(frame_.promise().failure);
        }
        return std::move(frame_.promise().result).value();  // throws where it has not ended
    }

    bool await_ready() const { return false; }
    auto await_suspend(std::coroutine_handle<> awaiting)
    {
        frame_.promise().awaiting = awaiting;
        return frame_;  // goes on with the task, which will go on with `awaiting`
    }
    T await_resume() { return result(); }

private:
    explicit task(promise_type& promise)
        : frame_(std::coroutine_handle<promise_type>::from_promise(promise))
    {
    }

    std::coroutine_handle<promise_type> frame_;
};

// The least thing to wait for. It has the handle of who waits, and whoever rings resumes that.
struct bell : std::suspend_always {
    void await_suspend(std::coroutine_handle<> frame) { waiting = frame; }
    void ring() { std::exchange(waiting, nullptr).resume(); }

    std::coroutine_handle<> waiting;
};

}  // namespace told
