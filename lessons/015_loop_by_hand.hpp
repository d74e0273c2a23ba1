// A whole event loop, in under a hundred lines. For lesson 015.
//
// What it runs are handles: a std::coroutine_handle points to the frame of a suspended coroutine,
// and its resume() lets the coroutine run until it suspends again, or ends. Those who are ready
// stand in a queue, those who sleep in a heap, and run() takes from the two until both are empty.
// Read it from there: everything else is there for these lines.

#pragma once

#include "common/clock.hpp"

#include <algorithm>
#include <compare>
#include <coroutine>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <queue>
#include <thread>
#include <utility>
#include <vector>

class event_loop {
public:
    // What a coroutine on this loop returns: the owner of its frame.
    struct task {
        // The compiler looks for this name, puts one into each frame, and asks it what is to happen
        // at the two ends of the coroutine.
        struct promise_type {
            task get_return_object() { return task(handle::from_promise(*this)); }
            std::suspend_always initial_suspend() noexcept { return {}; }  // a call starts nothing
            std::suspend_always final_suspend() noexcept { return {}; }  // the task frees the frame
            void return_void() {}
            void unhandled_exception() { failure = std::current_exception(); }

            std::exception_ptr failure;
        };
        using handle = std::coroutine_handle<promise_type>;

        explicit task(handle made) : frame(made) {}
        task(task&& other) noexcept : frame(std::exchange(other.frame, nullptr)) {}
        ~task()
        {
            if (frame) {
                frame.destroy();
            }
        }
        handle frame;
    };

    void spawn(task spawned)
    {
        const auto frame = spawned.frame;
        tasks_.emplace(frame, std::move(spawned));
        ready_.push_back(frame);
    }

    // Until nobody is ready and nobody sleeps, or a coroutine throws.
    void run()
    {
        while (!ready_.empty() || !sleepers_.empty()) {
            // With nobody ready, nothing happens until the first sleeper is due: wait, or jump
            // there.
            if (ready_.empty() && !virtual_) {
                std::this_thread::sleep_until(sleepers_.top().due);
            } else if (ready_.empty()) {
                virtual_now_ = std::max(virtual_now_, sleepers_.top().due);
            }
            for (; !sleepers_.empty() && sleepers_.top().due <= now(); sleepers_.pop()) {
                ready_.push_back(sleepers_.top().frame);
            }
            const auto next = ready_.front();
            ready_.pop_front();
            next.resume();
            if (next.done()) {
                const auto ended = tasks_.extract(next);  // the owner, until the brace
                if (const auto failure = ended.mapped().frame.promise().failure) {
                    std::rethrow_exception(failure);
                }
            }
        }
    }

    // `co_await loop.sleep_for(100ms)` suspends the coroutine, and hands its frame to the sleep.
    auto sleep_for(common::duration pause)
    {
        struct sleep {
            event_loop& loop;
            common::time_point due;
            bool await_ready() const { return false; }  // suspend, even if it is due already
            void await_suspend(std::coroutine_handle<> frame)
            {
                loop.sleepers_.push({due, ++loop.sleeps_, frame});
            }
            void await_resume() const {}  // what the co_await gives: nothing
        };
        return sleep{*this, now() + pause};
    }

    common::duration elapsed() const { return now() - start_; }

private:
    // Compared by its members in turn: who is due first, and of those who went to sleep first.
    struct sleeper {
        common::time_point due;
        int number;
        std::coroutine_handle<> frame;
        auto operator<=>(const sleeper&) const = default;
    };

    common::time_point now() const { return virtual_ ? virtual_now_ : common::now(); }

    const bool virtual_ = common::clock_mode_from_environment() == common::clock_mode::virtual_time;
    common::time_point virtual_now_;
    const common::time_point start_ = now();
    std::deque<std::coroutine_handle<>> ready_;
    std::priority_queue<sleeper, std::vector<sleeper>, std::greater<>> sleepers_;
    int sleeps_ = 0;
    std::map<std::coroutine_handle<>, task> tasks_;  // who has not ended
};
