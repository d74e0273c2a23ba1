// 011 · Phases that start together
//
// Idea     At a barrier everyone waits for the last to arrive, and then all go on.
// asyncio  `barrier = asyncio.Barrier(3)`, `await barrier.wait()`
// Before   010_condition.cpp
// Run      ./learn run 11
// Read     docs/progression.md, lesson 011, beside this file

#include "common/barrier.hpp"
#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/run.hpp"
#include "common/timeout.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace {

// Three phases, each as long as this worker takes. A phase starts when the slowest has ended the
// one before.
awaitable<void> work(common::barrier& meeting, std::string who, common::duration pace)
{
    for (int phase = 1; phase <= 3; ++phase) {
        common::log(who, "starts phase {}", phase);
        co_await common::sleep_for(pace);
        co_await meeting.arrive_and_wait();
    }
}

awaitable<void> three_phases()
{
    common::section("Three phases, three speeds");
    common::barrier meeting(3);
    std::vector<awaitable<void>> workers;
    workers.push_back(work(meeting, "hare", 10ms));
    workers.push_back(work(meeting, "fox", 30ms));
    workers.push_back(work(meeting, "tortoise", 100ms));
    co_await common::gather(std::move(workers));
    common::log("main", "three phases of the slowest, 0.10 s each");
}

// Each sums up its part, and they meet. arrive_and_wait() gives the place in the order of arrival,
// a different one to each. So exactly one is number 0, and puts the parts together.
awaitable<void> sum_up(
    common::barrier& meeting, std::string who, common::duration pace, std::vector<int>& parts,
    int part)
{
    co_await common::sleep_for(pace);
    parts.push_back(part);
    const std::size_t place = co_await meeting.arrive_and_wait();
    if (place == 0) {
        int total = 0;
        for (const int each : parts) {
            total += each;
        }
        common::log(who, "arrived first, and merges {} parts: {}", parts.size(), total);
    } else {
        common::log(who, "has place {}", place);
    }
}

awaitable<void> one_merges()
{
    common::section("The place elects one");
    common::barrier meeting(3);
    std::vector<int> parts;
    std::vector<awaitable<void>> workers;
    workers.push_back(sum_up(meeting, "hare", 10ms, parts, 20));
    workers.push_back(sum_up(meeting, "fox", 30ms, parts, 30));
    workers.push_back(sum_up(meeting, "tortoise", 100ms, parts, 50));
    co_await common::gather(std::move(workers));
}

// A worker that fails never arrives. It breaks the barrier, so that the others need not wait for
// it.
awaitable<void> fail(common::barrier& meeting)
{
    co_await common::sleep_for(50ms);
    common::log("fox", "has sprained a leg, and breaks the barrier");
    meeting.abort();
}

awaitable<void> meet(common::barrier& meeting, std::string who, common::duration pace)
{
    co_await common::sleep_for(pace);
    try {
        co_await meeting.arrive_and_wait();
        common::log(who, "has met the others");
    } catch (const common::broken_barrier& broken) {
        common::log(who, "{}", broken.what());
    }
}

// The hare waits at the barrier when it breaks. The tortoise comes later, and is told at once.
awaitable<void> a_worker_fails()
{
    common::section("A worker that fails");
    common::barrier meeting(3);
    std::vector<awaitable<void>> workers;
    workers.push_back(meet(meeting, "hare", 10ms));
    workers.push_back(fail(meeting));
    workers.push_back(meet(meeting, "tortoise", 100ms));
    co_await common::gather(std::move(workers));

    meeting.reset();
    common::log("main", "reset: broken is {}", meeting.broken());
}

awaitable<void> wait_at_most(common::barrier& meeting, std::string who, common::duration limit)
{
    try {
        co_await common::with_timeout(limit, meet(meeting, who, 0ms));
    } catch (const common::timeout_error&) {
        common::log(who, "gives up; {} still wait", meeting.waiting());
    }
}

// Pitfall: a barrier for three, and only two who will ever come. Both wait for ever, without an
// error and without a line of output. A limit on the wait turns that into something to be seen, and
// who gives up does not count as arrived any more.
awaitable<void> one_too_few()
{
    common::section("A barrier for more than will come");
    common::barrier meeting(3);
    std::vector<awaitable<void>> workers;
    workers.push_back(wait_at_most(meeting, "hare", 100ms));
    workers.push_back(wait_at_most(meeting, "tortoise", 150ms));
    co_await common::gather(std::move(workers));
}

awaitable<void> race()
{
    co_await three_phases();
    co_await one_merges();
    co_await a_worker_fails();
    co_await one_too_few();
}

}  // namespace

int main()
{
    common::run(race());
}
