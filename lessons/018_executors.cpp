// 018 · Executors: threads, strands and processes
//
// Idea     Work that would block the loop runs on a thread or in a process; its result comes back.
// asyncio  `await loop.run_in_executor(pool, work)`, `await asyncio.to_thread(work)`
// Before   017_custom_event_loop.cpp
// Run      ./learn run 18
// Read     docs/progression.md, lesson 018, beside this file

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/process.hpp"
#include "common/run.hpp"
#include "common/run_on.hpp"
#include "common/semaphore.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"
#include "lessons/018_process_pool.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

// The loop counts the beats, and a thread reads the number, so it is atomic.
struct heart {
    std::atomic<int> beats = 0;
    double longest_gap = 0;  // in seconds
};

awaitable<void> beat(heart& patient)
{
    for (int i = 0; i < 3; ++i) {
        const auto last = common::now();
        co_await common::sleep_for(20ms);
        patient.longest_gap = std::max(patient.longest_gap, common::seconds_since(last));
        ++patient.beats;
    }
}

// Has no await in it: blocks its thread until it has heard three beats, or is out of patience.
awaitable<int> listen(const heart& patient, std::chrono::milliseconds patience)
{
    const auto end = std::chrono::steady_clock::now() + patience;
    while (patient.beats < 3 && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(1ms);
    }
    co_return patient.beats;
}

// Keeps a processor busy.
awaitable<int> count_primes(int from, int to)
{
    int primes = 0;
    for (int number = from; number < to; ++number) {
        int divisor = 2;
        while (number % divisor != 0) {
            ++divisor;
        }
        primes += divisor == number ? 1 : 0;
    }
    co_return primes;
}

awaitable<void> heartbeat(asio::any_io_executor pool)
{
    common::section("A call that blocks, on the loop");
    heart stalled;
    const int missed = co_await (beat(stalled) && listen(stalled, 100ms));
    common::log("doctor", "hears {} beats in 0.10 s", missed);

    common::section("The same call on a thread, and a computation on another");
    heart free;
    const auto [heard, primes] = co_await (
        beat(free) && common::run_on(pool, listen(free, 10s)) &&
        common::run_on(pool, count_primes(2, 10'000)));
    common::log("doctor", "hears {} beats, {:.2f} s apart at most", heard, free.longest_gap);
    common::log("laboratory", "has counted {} primes", primes);
}

const auto thread_of_loop = std::this_thread::get_id();  // of main(), where the loop runs

const char* here()
{
    return std::this_thread::get_id() == thread_of_loop ? "loop" : "pool";
}

awaitable<const char*> errand()
{
    co_await common::yield();
    co_return here();
}

// Pitfall: post(pool) alone goes to the pool, and from there to the executor of whoever awaits it,
// the loop. Bound to the pool, it ends on the pool, but the executor of the coroutine is still the
// loop, where the next await takes it back. A coroutine spawned on the pool stays there.
awaitable<void> there_and_back(asio::any_io_executor pool)
{
    common::section("There and back");
    co_await asio::post(pool, asio::deferred);
    common::log("main", "after post(pool): {}", here());

    auto move_there = asio::post(asio::bind_executor(pool, asio::deferred));
    co_await std::move(move_there);
    common::log("main", "after post bound to the pool: {}", here());
    co_await common::yield();
    common::log("main", "after the next await: {}", here());

    const auto where = co_await common::run_on(pool, errand());
    common::log("main", "spawned on the pool, after an await: {}; its caller: {}", where, here());
}

// No lock, and no atomic. Between the read and the write there is time for others.
void enter(int& total, int amount)
{
    const int before = total;
    std::this_thread::sleep_for(1ms);
    total = before + amount;
}

// A strand is an executor that uses the threads of the pool, but never runs two things at once. The
// counting is done on the pool, at the same time as others. Then the coroutine waits for its turn
// on the strand, which lasts until its next await, or its end.
awaitable<void> count_on_strand(asio::strand<asio::any_io_executor> strand, int& total, int from)
{
    const int primes = co_await count_primes(from, from + 1'000);
    auto turn = asio::post(asio::bind_executor(strand, asio::deferred));
    co_await std::move(turn);
    enter(total, primes);
}

// At a mutex the thread itself waits. No await may follow while the lock is held: lesson 006.
awaitable<void> count_with_mutex(std::mutex& mutex, int& total, int from)
{
    const int primes = co_await count_primes(from, from + 1'000);
    const std::lock_guard lock(mutex);
    enter(total, primes);
}

awaitable<void> one_total(asio::any_io_executor pool)
{
    common::section("Ten counts, four threads, one total");
    const auto strand = asio::make_strand(pool);
    std::mutex mutex;
    int by_strand = 0;
    int by_mutex = 0;
    std::vector<awaitable<void>> counts;
    for (int from = 2; from < 10'000; from += 1'000) {
        counts.push_back(common::run_on(pool, count_on_strand(strand, by_strand, from)));
        counts.push_back(common::run_on(pool, count_with_mutex(mutex, by_mutex, from)));
    }
    co_await common::gather(std::move(counts));
    common::log("laboratory", "{} by strand, {} by mutex", by_strand, by_mutex);
}

// Whoever stands in line is suspended, on the loop, and can leave. A job in the pool cannot.
awaitable<void> visit(
    asio::any_io_executor doctor, common::semaphore& line, const heart& patient, int& gave_up)
{
    try {
        const auto place = co_await common::with_timeout(50ms, line.acquire());
        co_await common::run_on(doctor, listen(patient, 10s));
    } catch (const common::timeout_error&) {
        ++gave_up;
    }
}

// One thread. The line lets so many into the pool: one whose job runs, the others wait in it.
awaitable<void> five_visits(std::size_t places)
{
    asio::thread_pool doctor(1);
    common::semaphore line(places);
    heart patient;
    int gave_up = 0;
    std::vector<awaitable<void>> visits;
    for (int i = 0; i < 5; ++i) {
        visits.push_back(visit(doctor.get_executor(), line, patient, gave_up));
    }
    visits.push_back(beat(patient));
    co_await common::gather(std::move(visits));
    common::log("doctor", "room for {}: {} seen, {} gave up", places, 5 - gave_up, gave_up);
}

// The workers answer a number with its square. The first is killed in the middle of its first
// answer, by SIGKILL, as the system kills whoever takes too much memory.
awaitable<void> processes()
{
    common::section("Three processes, and one is killed");
    const common::real_work until_they_have_ended;
    const common::command squares("sh", {"-c", "while read -r n; do echo $((n * n)); done"});
    const common::command doomed("sh", {"-c", "read -r n; printf 9; kill -KILL $$"});
    process_pool pool;
    const auto office = [&](common::task_group& staff) -> awaitable<void> {
        staff.spawn(pool.run({doomed, squares, squares}, squares));
        std::vector<awaitable<std::string>> questions;
        for (int number = 1; number <= 30; ++number) {
            questions.push_back(pool.ask(std::to_string(number)));
        }
        int sum = 0;
        const auto answers = co_await common::gather(std::move(questions));
        for (const auto& answer : answers) {
            sum += std::stoi(answer);
        }
        common::log("office", "{} answers, whose sum is {}", answers.size(), sum);
        staff.cancel();
    };
    co_await common::with_task_group(office);
}

awaitable<void> hospital()
{
    asio::thread_pool pool(4);
    co_await heartbeat(pool.get_executor());
    co_await there_and_back(pool.get_executor());
    co_await one_total(pool.get_executor());
    common::section("Five jobs for one thread");
    co_await five_visits(5);
    co_await five_visits(2);
    co_await processes();
}

}  // namespace

int main()
{
    common::run(hospital());
}
