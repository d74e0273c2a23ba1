#include "common/clock.hpp"

#include "common/detail/run_clock.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace asio = boost::asio;

namespace common {

namespace {

using steady = std::chrono::steady_clock;

thread_local detail::run_clock* current_clock = nullptr;

// What threads outside a run read. It is kept in atomics, and not behind a pointer to the run's
// clock, because such a thread can outlive the run.
struct program_clock {
    std::atomic<bool> has_run = false;
    std::atomic<bool> is_virtual = false;
    std::atomic<time_point> virtual_now = time_point();
    std::atomic<time_point> start = steady::now();
};

program_clock program;
const time_point program_start = program.start;

time_point later_by(time_point from, duration pause)
{
    return pause > time_point::max() - from ? time_point::max() : from + pause;
}

}  // namespace

namespace detail {

run_clock::run_clock(asio::execution_context& context, clock_mode mode)
    : service(context),
      mode_(mode),
      start_(mode == clock_mode::steady ? steady::now() : time_point()),
      outer_(std::exchange(current_clock, this)),
      speaks_for_program_(!program.has_run.exchange(true)),
      virtual_now_(start_)
{
    if (speaks_for_program_) {
        program.is_virtual = is_virtual();
        program.virtual_now = virtual_now_;
        program.start = start_;
    }
}

run_clock::~run_clock()
{
    current_clock = outer_;
    if (speaks_for_program_) {
        program.is_virtual = false;
        program.start = program_start;
        program.has_run = false;
    }
}

run_clock* run_clock::current() noexcept
{
    return current_clock;
}

run_clock* run_clock::of(const asio::any_io_executor& executor) noexcept
{
    auto* const clock = current();
    const bool same =
        clock != nullptr && &asio::query(executor, asio::execution::context) == &clock->context();
    return same ? clock : nullptr;
}

time_point run_clock::now() const noexcept
{
    return is_virtual() ? virtual_now_ : steady::now();
}

// Defined before its only use, in this file, which is where its return type is deduced.
auto run_clock::async_sleep_until(time_point deadline)
{
    return async_wait_as<sleeper>([this, deadline](sleeper& waiting) {
        waiting.clock_ = this;
        waiting.deadline_ = deadline;
        sleepers_.insert(waiting);
    });
}

void run_clock::sleeper::cancelled()
{
    // Once it is out of the queue, it is due already, and its coroutine is about to run.
    if (is_linked()) {
        clock_->sleepers_.erase(clock_->sleepers_.iterator_to(*this));
        resume(asio::error::operation_aborted);
    }
}

void run_clock::drive(asio::io_context& context)
{
    if (!is_virtual()) {
        context.run();
        return;
    }

    while (true) {
        context.poll();
        if (context.stopped()) {
            return;  // no work is left
        }
        const auto patience = patiences_.empty() ? duration::zero() : *patiences_.rbegin();
        if (sleepers_.empty() || patience == duration::max()) {
            context.run_one();  // blocks until something happens outside
        } else if (patience <= duration::zero() || context.run_one_for(patience) == 0) {
            wake_earliest();
        }
    }
}

void run_clock::wake_earliest()
{
    // Whoever went to sleep until an instant that has passed is due now: time does not go back.
    const auto due = std::max(virtual_now_, sleepers_.begin()->deadline_);
    virtual_now_ = due;
    if (speaks_for_program_) {
        program.virtual_now = due;
    }
    while (!sleepers_.empty() && sleepers_.begin()->deadline_ <= due) {
        auto& first = *sleepers_.begin();
        sleepers_.erase(sleepers_.begin());
        first.resume();
    }
}

void run_clock::shutdown() noexcept
{
    sleepers_.clear_and_dispose([](sleeper* asleep) { asleep->destroy(); });
}

}  // namespace detail

clock_mode parse_clock_mode(std::string_view name)
{
    if (name.empty() || name == "steady") {
        return clock_mode::steady;
    }
    if (name == "virtual") {
        return clock_mode::virtual_time;
    }
    throw std::invalid_argument(
        fmt::format("'{}' is no clock mode; there are 'steady' and 'virtual'", name));
}

clock_mode clock_mode_from_environment()
{
    const char* const name = std::getenv("LESSON_CLOCK");
    try {
        return parse_clock_mode(name == nullptr ? "" : name);
    } catch (const std::invalid_argument& refusal) {
        std::fprintf(stderr, "LESSON_CLOCK: %s\n", refusal.what());
        std::exit(2);
    }
}

time_point now()
{
    if (const auto* const clock = detail::run_clock::current()) {
        return clock->now();
    }
    return program.is_virtual ? program.virtual_now.load() : steady::now();
}

duration elapsed()
{
    if (const auto* const clock = detail::run_clock::current()) {
        return clock->elapsed();
    }
    return now() - program.start.load();
}

double seconds_since(time_point start)
{
    return std::chrono::duration<double>(now() - start).count();
}

asio::awaitable<void> sleep_until(time_point deadline)
{
    const auto executor = co_await asio::this_coro::executor;
    auto* const clock = detail::run_clock::of(executor);
    if (clock != nullptr && clock->is_virtual()) {
        auto wait = clock->async_sleep_until(deadline);
        co_await std::move(wait);
    } else {
        asio::steady_timer timer(executor, deadline);
        co_await timer.async_wait(asio::deferred);
    }
}

asio::awaitable<void> sleep_for(duration pause)
{
    // From the time on the clock that the sleep will be on. A thread outside the run, or another
    // io_context inside it, is on the steady clock, and now() gives it the run's.
    const auto executor = co_await asio::this_coro::executor;
    const auto* const clock = detail::run_clock::of(executor);
    const auto from = clock != nullptr ? clock->now() : steady::now();
    co_await sleep_until(later_by(from, pause));
}

asio::awaitable<void> yield()
{
    co_await asio::post(asio::deferred);
}

real_work::real_work() : real_work(duration::max()) {}

real_work::real_work(duration patience) : clock_(detail::run_clock::current()), patience_(patience)
{
    if (clock_ != nullptr) {
        clock_->begin_real_work(patience_);
    }
}

real_work::~real_work()
{
    if (clock_ != nullptr) {
        clock_->end_real_work(patience_);
    }
}

}  // namespace common
