// Measuring: what the work of one order takes. For lesson 020.
//
// Counts come first, since they are the same in each run, and the time beside them. A table has the
// versions of one piece of work, and the ratio of the first to the last.
//
// Included in one source file only: it defines functions of the C library, which can be done once
// in a program.

#pragma once

#include "common/clock.hpp"
#include "common/log.hpp"

#include <fmt/core.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <sys/epoll.h>
#include <sys/socket.h>

namespace tuning {

// These do not vary from run to run. Atomic, since threads are measured, too.
inline std::atomic<std::size_t> system_calls = 0;
inline std::atomic<std::size_t> handlers = 0;
inline std::atomic<std::size_t> allocations = 0;

}  // namespace tuning

// A program may define a function that its libraries have, and then Asio calls this one. Each of
// these counts, and lets a sibling do the work: the memory of frames and operations, and the system
// calls of a loop at work.
extern "C" {

void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept
{
    ++tuning::allocations;
    void* memory = nullptr;
    return posix_memalign(&memory, alignment, size) == 0 ? memory : nullptr;
}

int epoll_wait(int epoll, epoll_event* events, int room, int timeout)
{
    ++tuning::system_calls;
    return epoll_pwait(epoll, events, room, timeout, nullptr);
}

ssize_t send(int socket, const void* data, std::size_t size, int flags)
{
    ++tuning::system_calls;
    return sendto(socket, data, size, flags, nullptr, 0);
}

ssize_t recv(int socket, void* data, std::size_t size, int flags)
{
    const auto result = recvfrom(socket, data, size, flags, nullptr, nullptr);
    ++tuning::system_calls;  // when it is over: a thread may be in here before the counting begins
    return result;
}

}  // extern "C"

namespace tuning {

// System calls, handlers, allocations and microseconds.
using figures = std::array<double, 4>;

inline figures so_far()
{
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const std::chrono::duration<double, std::micro> microseconds = now;
    return {
        static_cast<double>(system_calls), static_cast<double>(handlers),
        static_cast<double>(allocations), microseconds.count()};
}

inline constexpr std::size_t orders = 1000;

// What one order takes. Counts are rounded to what is printed of them.
inline figures measure(const std::function<void()>& work, std::size_t number = orders)
{
    const auto before = so_far();
    work();
    figures each = so_far();
    for (std::size_t i = 0; i < each.size(); ++i) {
        each[i] = (each[i] - before[i]) / static_cast<double>(number);
        each[i] = i < 3 ? std::round(each[i] * 10) / 10 : each[i];
    }
    return each;
}

// A time varies, and on virtual time nothing that a lesson prints does.
inline const bool timed = common::clock_mode_from_environment() == common::clock_mode::steady;

inline void print_row(const std::string& name, const figures& row)
{
    const auto time = timed ? fmt::format("{:.3f}", row[3]) : "-";
    fmt::print("{:<28}{:>14.1f}{:>10.1f}{:>13.1f}{:>14}\n", name, row[0], row[1], row[2], time);
}

struct version {
    std::string name;
    std::function<figures()> measured;
    figures best = {};
};

// Measures the versions in turn, five times, and takes the best time of each: what else runs on the
// machine can only make them slower. The last row is the first version's figures over the last's.
inline void compare(const std::string& title, std::vector<version> versions)
{
    for (int time = 0; time < (timed ? 5 : 1); ++time) {
        for (auto& each : versions) {
            const auto taken = each.measured();
            if (time == 0 || taken[3] < each.best[3]) {
                each.best = taken;
            }
        }
    }

    common::section(title);
    fmt::print("{:>42}{:>10}{:>13}{:>14}\n", "system calls", "handlers", "allocations", "us");
    for (const auto& each : versions) {
        print_row(each.name, each.best);
    }
    figures ratio = versions.front().best;
    for (std::size_t i = 0; i < ratio.size(); ++i) {
        const double last = versions.back().best[i];
        ratio[i] = ratio[i] == last ? 1 : ratio[i] / last;
    }
    print_row("ratio", ratio);
}

}  // namespace tuning
