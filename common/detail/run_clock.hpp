// The clock of one run, and the queue of its sleepers. clock.hpp has the idea.
//
// On virtual time the clock is set to the earliest of them when nothing is ready. On the steady
// clock one timer, the alarm, is set for the earliest of them, and wakes all who are due. It is
// only ever moved to an earlier time: when a sleeper is cancelled it stays, and at worst goes off
// for nobody. So a timeout that does not expire, and most don't, sets no timer of the system's.

#pragma once

#include "common/clock.hpp"
#include "common/detail/waiter.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/set.hpp>

#include <optional>
#include <set>

namespace common::detail {

// A service of the run's io_context, so that the two end together: shutdown() then destroys the
// coroutines that still sleep, without waking them.
class run_clock final : public boost::asio::execution_context::service {
public:
    static inline boost::asio::execution_context::id id;

    // Makes itself the current clock of the thread, until it is destroyed there.
    run_clock(boost::asio::execution_context& context, clock_mode mode);
    ~run_clock() override;

    // The clock of the run that this thread is in, or null.
    static run_clock* current() noexcept;

    // The same where `executor` belongs to that run, else null.
    static run_clock* of(const boost::asio::any_io_executor& executor) noexcept;

    bool is_virtual() const noexcept { return mode_ == clock_mode::virtual_time; }
    time_point now() const noexcept;
    duration elapsed() const noexcept { return now() - start_; }

    // Suspends until this clock reaches `deadline`, or for `pause`.
    auto async_sleep_until(time_point deadline);
    auto async_sleep_for(duration pause);

    // Runs the context's work to its end, and wakes the sleepers in between.
    void drive(boost::asio::io_context& context);

    void begin_real_work(duration patience) { patiences_.insert(patience); }
    void end_real_work(duration patience) { patiences_.erase(patiences_.find(patience)); }

private:
    class sleeper : public waiter, public boost::intrusive::set_base_hook<> {
    public:
        bool operator<(const sleeper& other) const { return deadline_ < other.deadline_; }

    private:
        friend class run_clock;

        void cancelled() final;

        run_clock* clock_ = nullptr;
        time_point deadline_;
    };

    void fall_asleep(sleeper& waiting, time_point deadline);
    void jump_to_earliest();
    void wake_due(time_point time);
    void set_alarm();
    void drop_alarm();
    void shutdown() noexcept override;

    const clock_mode mode_;
    const time_point start_;
    run_clock* const outer_;         // current before this one
    const bool speaks_for_program_;  // threads outside a run read this clock
    time_point virtual_now_;
    std::multiset<duration> patiences_;  // one for each real_work that lives

    // In the order in which they are to wake; equals in the order in which they went to sleep.
    boost::intrusive::multiset<sleeper, boost::intrusive::constant_time_size<false>> sleepers_;

    // On the steady clock, from the first sleep on. When set, it goes off no later than the
    // earliest sleeper is due. It counts as work, so it must not stay set once nobody sleeps.
    std::optional<boost::asio::steady_timer> alarm_;
    bool alarm_is_set_ = false;
};

}  // namespace common::detail
