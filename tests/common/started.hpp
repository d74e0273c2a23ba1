// What the tests of the primitives share: coroutines that are started, cancelled and asked how they
// ended, on virtual time, and never for ever.

#pragma once

#include "common/clock.hpp"
#include "common/run.hpp"
#include "common/timeout.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <catch2/catch_test_macros.hpp>

#include <unistd.h>

#include <chrono>
#include <exception>
#include <memory>
#include <source_location>
#include <type_traits>
#include <utility>

namespace tests {

namespace asio = boost::asio;
using asio::awaitable;

// Runs `main` on virtual time. A deadlock fails the test: by the timeout if it can be cancelled, by
// the alarm if it can't.
template <class Main>
void run(Main main)
{
    ::alarm(60);
    common::run(
        common::with_timeout(std::chrono::hours(1), main()), common::clock_mode::virtual_time);
    ::alarm(0);
}

// A coroutine that the test has started, and can cancel.
class started {
public:
    // Runs to its first suspension in here.
    template <class T>
    started(asio::any_io_executor executor, awaitable<T> coroutine)
    {
        asio::co_spawn(
            executor, watch(std::move(coroutine), state_),
            asio::bind_cancellation_slot(state_->signal.slot(), [state = state_](auto) {}));
    }

    void cancel(asio::cancellation_type type = asio::cancellation_type::terminal)
    {
        state_->signal.emit(type);
    }

    bool running() const { return !state_->ended; }
    bool finished() const { return state_->ended && !state_->failure; }

    bool aborted() const
    {
        try {
            rethrow();
        } catch (const boost::system::system_error& error) {
            return error.code() == asio::error::operation_aborted;
        } catch (...) {
        }
        return false;
    }

    template <class Exception>
    bool failed_with() const
    {
        try {
            rethrow();
        } catch (const Exception&) {
            return true;
        } catch (...) {
        }
        return false;
    }

private:
    struct state {
        asio::cancellation_signal signal;
        bool ended = false;
        std::exception_ptr failure;
    };

    template <class T>
    static awaitable<void> watch(awaitable<T> coroutine, std::shared_ptr<state> state)
    {
        try {
            (void)co_await std::move(coroutine);
        } catch (...) {
            state->failure = std::current_exception();
        }
        state->ended = true;
        co_await asio::this_coro::throw_if_cancelled(false);
    }

    void rethrow() const
    {
        if (state_->failure) {
            std::rethrow_exception(state_->failure);
        }
    }

    std::shared_ptr<state> state_ = std::make_shared<state>();
};

// CHECK(actual == expected) for what an await gives: with GCC the macro would await it twice.
template <class T>
void check_equal(
    const T& actual, const std::type_identity_t<T>& expected,
    std::source_location where = std::source_location::current())
{
    INFO(where.file_name() << ':' << where.line());
    CHECK(actual == expected);
}

// Lets everything run that is ready, and what becomes ready by that.
inline awaitable<void> settle()
{
    co_await common::sleep_for(std::chrono::nanoseconds(1));
}

// Hears all three types of cancellation, where a coroutine otherwise hears terminal only.
template <class T>
awaitable<T> hearing_all(awaitable<T> coroutine)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_return co_await std::move(coroutine);
}

}  // namespace tests
