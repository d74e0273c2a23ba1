// What the tests of the helper library share: coroutines that do one thing after a while, and ways
// to cancel a coroutine or to destroy it while it waits.

#pragma once

#include "common/clock.hpp"
#include "common/run.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tests {

using boost::asio::awaitable;
using boost::asio::cancellation_type;
using common::duration;
using namespace std::chrono_literals;

// What happened, in the order in which it did.
using trace = std::vector<std::string>;

// The test runs once with each.
inline common::clock_mode any_mode()
{
    return GENERATE(common::clock_mode::steady, common::clock_mode::virtual_time);
}

inline cancellation_type any_cancellation()
{
    return GENERATE(
        cancellation_type::terminal, cancellation_type::partial, cancellation_type::total);
}

template <class T>
T run_virtually(awaitable<T> main)
{
    return common::run(std::move(main), common::clock_mode::virtual_time);
}

inline awaitable<void> note_after(duration pause, trace& notes, std::string_view note)
{
    co_await common::sleep_for(pause);
    notes.emplace_back(note);
}

inline awaitable<int> value_after(duration pause, int value)
{
    co_await common::sleep_for(pause);
    co_return value;
}

inline awaitable<void> fail_after(duration pause, std::string_view message)
{
    co_await common::sleep_for(pause);
    throw std::runtime_error(std::string(message));
}

// Fails before it suspends for the first time.
inline awaitable<void> fail_at_once(std::string_view message)
{
    throw std::runtime_error(std::string(message));
    co_return;
}

// Asked to stop, takes `cleanup` to do so, and then notes that it has.
inline awaitable<void> sleep_and_clean_up(duration cleanup, trace& notes, std::string_view note)
{
    try {
        co_await common::sleep_for(24h);
    } catch (const boost::system::system_error&) {
    }
    co_await boost::asio::this_coro::reset_cancellation_state();
    co_await common::sleep_for(cleanup);
    notes.emplace_back(note);
}

// Asked to stop, throws something else than operation_aborted.
inline awaitable<void> fail_when_cancelled(std::string_view message)
{
    try {
        co_await common::sleep_for(24h);
    } catch (const boost::system::system_error&) {
        throw std::runtime_error(std::string(message));
    }
}

inline boost::system::system_error abort_error()
{
    return boost::system::system_error(make_error_code(boost::asio::error::operation_aborted));
}

inline bool is_abort(const std::exception_ptr& failure)
{
    try {
        std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
        return error.code() == boost::asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

inline std::string message_of(const std::exception_ptr& failure)
{
    try {
        std::rethrow_exception(failure);
    } catch (const std::exception& error) {
        return error.what();
    }
}

// Notes its name when it is destroyed.
class last_words {
public:
    last_words(trace& notes, std::string_view name) : notes_(notes), name_(name) {}
    ~last_words() { notes_.push_back(name_); }
    last_words(const last_words&) = delete;
    last_words& operator=(const last_words&) = delete;

private:
    trace& notes_;
    std::string name_;
};

// A coroutine that runs beside the test, and what became of it.
class side_task {
public:
    side_task(boost::asio::any_io_executor executor, awaitable<void> coroutine)
    {
        boost::asio::co_spawn(
            executor, std::move(coroutine),
            boost::asio::bind_cancellation_slot(signal_.slot(), [this](std::exception_ptr failure) {
                ended_ = true;
                failure_ = failure;
                ended_at_ = common::elapsed();
            }));
    }

    side_task(const side_task&) = delete;
    side_task& operator=(const side_task&) = delete;

    void cancel(cancellation_type type = cancellation_type::terminal) { signal_.emit(type); }

    bool ended() const { return ended_; }
    bool aborted() const { return failure_ && is_abort(failure_); }
    std::exception_ptr failure() const { return failure_; }
    duration ended_at() const { return ended_at_; }

private:
    boost::asio::cancellation_signal signal_;
    bool ended_ = false;
    std::exception_ptr failure_;
    duration ended_at_{};
};

struct given_up : std::exception {};

inline awaitable<void> start_and_give_up(awaitable<void> coroutine)
{
    const auto executor = co_await boost::asio::this_coro::executor;
    boost::asio::co_spawn(executor, std::move(coroutine), boost::asio::detached);
    co_await common::yield();
    throw given_up();
}

// Runs `coroutine` until it waits, and then destroys its event loop.
inline void abandon(awaitable<void> coroutine, common::clock_mode mode)
{
    try {
        common::run(start_and_give_up(std::move(coroutine)), mode);
    } catch (const given_up&) {
    }
}

// The same on a plain io_context.
inline void abandon(awaitable<void> coroutine)
{
    boost::asio::io_context context;
    boost::asio::co_spawn(context, std::move(coroutine), boost::asio::detached);
    context.poll();
}

}  // namespace tests
