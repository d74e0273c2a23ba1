// Time: the clock, sleeping, and simulated time for tests.
//
// A lesson sleeps with `sleep_for` and reads the time with `now` or `elapsed`. `run` keeps those
// who sleep in a queue ordered by time. On the steady clock, which is `std::chrono::steady_clock`,
// one of Asio's timers wakes them when they are due. On virtual time nothing waits: when no handler
// is ready to run, `run` sets the clock to the earliest of them and wakes it. Ten seconds of sleep
// cost microseconds, and the order of events depends on nothing but the program. tokio calls this
// paused time with auto-advance.
//
// Only what is built on `sleep_for` and `sleep_until` is virtual. A raw `steady_timer` still waits
// for real. So does anything outside the program: a thread pool's job, a child process, a file.
// Keep a `real_work` object for as long as one of these is under way, and virtual time stands still
// until it has ended. Where nobody can tell how long that is, as with a socket whose other side may
// stay silent for good, give it a patience. And since time moves only when nothing is ready, a loop
// that yields until the clock says so never ends: sleep instead.

#pragma once

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <string_view>

namespace common {

namespace detail {
class run_clock;
}

using time_point = std::chrono::steady_clock::time_point;
using duration = std::chrono::steady_clock::duration;

// Which clock a run is on.
enum class clock_mode {
    steady,        // std::chrono::steady_clock: a sleep takes as long as it says
    virtual_time,  // simulated: a sleep takes no time, and the clock says that it did
};

// "steady" and "virtual" name the modes, and "" is steady. Throws std::invalid_argument for others.
clock_mode parse_clock_mode(std::string_view name);

// The mode that the environment variable LESSON_CLOCK names. It belongs to the whole program, and
// so does a bad value: it ends the program with a message on stderr and exit status 2.
clock_mode clock_mode_from_environment();

// The time on the clock of the `run` that this thread is in. A thread that is in none, such as a
// thread pool's, reads the clock of the run that is going on in the program; while there is none,
// the time is the steady clock's. Two runs at once in two threads each have their own.
time_point now();

// The time since that run began; without a run, since the program began.
duration elapsed();

// The seconds from `start` to now, for output.
double seconds_since(time_point start);

// Suspends the calling coroutine for `pause`, or until `deadline`, by the run's clock. A pause of
// zero or less still lets the coroutines run that are ready. Sleepers due at the same instant wake
// in the order in which they went to sleep. On a plain io_context, which has no `run`, the clock is
// the steady one, also where the thread is inside a virtual run; there, only sleep_for makes sense.
//
// Cancelled (terminal, partial or total), the sleep ends at once and throws operation_aborted.
//
// As asyncio.sleep and loop.call_at.
boost::asio::awaitable<void> sleep_for(duration pause);
boost::asio::awaitable<void> sleep_until(time_point deadline);

namespace detail {

// As sleep_for, but gives false where that throws operation_aborted. Nearly every timer of a
// timeout is cancelled, and an exception takes microseconds.
boost::asio::awaitable<bool> try_sleep_for(duration pause);

}  // namespace detail

// Goes to the back of the ready queue: every coroutine that is ready runs before this one goes on.
// Cannot be cancelled while it waits, since that is no longer than one turn. As asyncio.sleep(0).
boost::asio::awaitable<void> yield();

// While one lives, virtual time stands still, and the run blocks for real until something happens.
// With a patience it blocks for that long, in real time, and if nothing has happened by then, time
// moves on to the next sleeper. Of several the one with the most patience counts.
//
// Make it inside a run, and destroy it on the run's thread. On the steady clock it does nothing.
class real_work {
public:
    real_work();
    explicit real_work(duration patience);
    ~real_work();
    real_work(const real_work&) = delete;
    real_work& operator=(const real_work&) = delete;

private:
    detail::run_clock* clock_;  // null where there is no virtual time to hold back
    duration patience_;
};

}  // namespace common
