#include "common/clock.hpp"

#include "common/detail/run_clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

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

using detail::error_code;
using steady = std::chrono::steady_clock;

thread_local detail::run_clock* current_clock = nullptr;

// What threads outside a run read. It is kept in atomics, and not behind a pointer to the run's
// clock, because such a thread can outlive the run. A run may begin or end between two reads, so
// each member has a meaning of its own: a thread that finds virtual time never asks `start`.
struct program_clock {
    std::atomic<bool> has_run = false;
    std::atomic<bool> is_virtual = false;
    std::atomic<time_point> virtual_now = time_point();  // a virtual run begins at time_point()
    std::atomic<time_point> start = steady::now();       // of the steady run, or of the program
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
    if (speaks_for_program_ && is_virtual()) {
        program.virtual_now = virtual_now_;
        program.is_virtual = true;
    } else if (speaks_for_program_) {
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

// Defined before its only uses, in this file, which is where its return type is deduced.
auto run_clock::async_sleep_until(time_point deadline)
{
    return async_wait_as<sleeper>(
        [this, deadline](sleeper& waiting) { fall_asleep(waiting, deadline); });
}

auto run_clock::async_sleep_for(duration pause)
{
    return async_sleep_until(later_by(now(), pause));
}

void run_clock::fall_asleep(sleeper& waiting, time_point deadline)
{
    waiting.clock_ = this;
    waiting.deadline_ = deadline;
    sleepers_.insert(waiting);
    if (is_virtual()) {
        return;
    }
    // Who is due already needs no alarm, but does not overtake others who are due.
    const auto time = now();
    if (deadline <= time) {
        wake_due(time);
    } else {
        set_alarm();
    }
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
    while (true) {
        context.poll();
        if (context.stopped()) {
            return;  // no work is left
        }
        // Nothing is ready.
        if (!is_virtual()) {
            if (sleepers_.empty()) {
                drop_alarm();
            }
            context.run_one();
            continue;
        }
        const auto patience = patiences_.empty() ? duration::zero() : *patiences_.rbegin();
        if (sleepers_.empty() || patience == duration::max()) {
            context.run_one();  // blocks until something happens outside
        } else if (patience <= duration::zero() || context.run_one_for(patience) == 0) {
            jump_to_earliest();
        }
    }
}

void run_clock::jump_to_earliest()
{
    // Whoever went to sleep until an instant that has passed is due now: time does not go back.
    virtual_now_ = std::max(virtual_now_, sleepers_.begin()->deadline_);
    if (speaks_for_program_) {
        program.virtual_now = virtual_now_;
    }
    wake_due(virtual_now_);
}

void run_clock::wake_due(time_point time)
{
    while (!sleepers_.empty() && sleepers_.begin()->deadline_ <= time) {
        auto& first = *sleepers_.begin();
        sleepers_.erase(sleepers_.begin());
        first.resume();
    }
}

void run_clock::set_alarm()
{
    const auto earliest = sleepers_.begin()->deadline_;
    if (alarm_is_set_ && alarm_->expiry() <= earliest) {
        return;
    }
    if (!alarm_) {
        alarm_.emplace(static_cast<asio::io_context&>(context()));
    }
    alarm_is_set_ = true;
    alarm_->expires_at(earliest);  // cancels the wait for a later time
    alarm_->async_wait([this](error_code error) {
        if (error) {
            return;
        }
        alarm_is_set_ = false;
        wake_due(now());
        if (!sleepers_.empty()) {
            set_alarm();
        }
    });
}

void run_clock::drop_alarm()
{
    if (std::exchange(alarm_is_set_, false)) {
        alarm_->cancel();
    }
}

void run_clock::shutdown() noexcept
{
    sleepers_.clear_and_dispose([](sleeper* asleep) { asleep->destroy(); });
    alarm_.reset();  // the service of Asio's timers may go before this one
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
    if (program.is_virtual) {
        return program.virtual_now.load() - time_point();
    }
    const time_point start = program.start;  // first: a run that begins now begins later than this
    return steady::now() - start;
}

double seconds_since(time_point start)
{
    return std::chrono::duration<double>(now() - start).count();
}

namespace {

// A sleep in a thread outside the run, or on another io_context inside it. That is on the steady
// clock, also where now() gives the time of a run.
asio::awaitable<error_code> sleep_outside(time_point deadline)
{
    asio::steady_timer timer(co_await asio::this_coro::executor, deadline);
    const auto [error] = co_await timer.async_wait(asio::as_tuple(asio::deferred));
    co_return error;
}

void throw_if(error_code error)
{
    if (error) {
        throw boost::system::system_error(error);
    }
}

}  // namespace

asio::awaitable<void> sleep_until(time_point deadline)
{
    if (auto* const clock = detail::run_clock::of(co_await asio::this_coro::executor)) {
        auto wait = clock->async_sleep_until(deadline);
        co_await std::move(wait);
    } else {
        throw_if(co_await sleep_outside(deadline));
    }
}

asio::awaitable<void> sleep_for(duration pause)
{
    if (auto* const clock = detail::run_clock::of(co_await asio::this_coro::executor)) {
        auto wait = clock->async_sleep_for(pause);
        co_await std::move(wait);
    } else {
        throw_if(co_await sleep_outside(later_by(steady::now(), pause)));
    }
}

asio::awaitable<bool> detail::try_sleep_for(duration pause)
{
    if (auto* const clock = run_clock::of(co_await asio::this_coro::executor)) {
        auto wait = clock->async_sleep_for(pause)(asio::as_tuple(asio::deferred));
        const auto [error] = co_await std::move(wait);
        co_return !error;
    }
    co_return !co_await sleep_outside(later_by(steady::now(), pause));
}

namespace {

// Is ready as soon as it waits.
class turn : public detail::waiter {
    void cancelled() final {}
};

}  // namespace

asio::awaitable<void> yield()
{
    auto next = detail::async_wait_as<turn>([](turn& waiting) { waiting.resume(); });
    co_await std::move(next);
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
