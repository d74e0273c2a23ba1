#include "task_queue/worker.hpp"

#include "common/log.hpp"
#include "common/timeout.hpp"
#include "task_queue/backoff.hpp"

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <functional>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

namespace asio = boost::asio;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace task_queue {

namespace {

// So long may an idle worker sleep. A queue wakes it when there is work; but a clock may have been
// set forward, and with --until-empty, another worker may have done the last job.
constexpr common::duration longest_wait = 5s;
constexpr common::duration longest_wait_for_empty = 200ms;

// So long may a report take that the worker makes while it leaves. A queue that does not answer
// will find out by itself.
constexpr common::duration longest_farewell = 2s;

constexpr const char* not_told = "and the queue could not be told: it may run again";

asio::awaitable<bool> within_a_moment(asio::awaitable<void> report)
{
    try {
        co_await common::with_timeout(longest_farewell, std::move(report));
        co_return true;
    } catch (const common::timeout_error&) {
        co_return false;
    }
}

// Makes a report, an awaitable<void>(): as long as it takes, but not beyond a moment from when this
// coroutine is cancelled, or `leaving` already. A report that was cancelled is made again, since it
// is not known how far it got. Gives whether the queue knows.
asio::awaitable<bool> tell(const std::function<asio::awaitable<void>()>& report, bool leaving)
{
    if (!leaving) {
        try {
            co_await report();
            co_return true;
        } catch (const boost::system::system_error& failure) {
            if (failure.code() != asio::error::operation_aborted) {
                throw;
            }
        }
        co_await asio::this_coro::reset_cancellation_state();
    }
    co_return co_await within_a_moment(report());
}

enum class outcome { done, failed, cancelled };

struct try_result {
    outcome how = outcome::done;
    std::string error;
};

// One try, within the job's time limit. Throws nothing: how it ended is in `result`.
asio::awaitable<void> try_once(const job_runner& run, const delivery& taken, try_result& result)
{
    const auto limit = taken.what.time_limit;
    try {
        if (limit) {
            co_await common::with_timeout(*limit, run(taken));
        } else {
            co_await run(taken);
        }
        co_return;
    } catch (const common::timeout_error&) {
        result.error = fmt::format("took longer than {}", text_of(*limit));
    } catch (const boost::system::system_error& failure) {
        if (failure.code() == asio::error::operation_aborted) {
            result.how = outcome::cancelled;
            co_return;
        }
        result.error = failure.what();
    } catch (const std::exception& failure) {
        result.error = failure.what();
    }
    result.how = outcome::failed;
}

}  // namespace

worker::worker(work_source& queue, job_runner run, const worker_options& options)
    : queue_(queue),
      run_(std::move(run)),
      options_(options),
      slots_(options.at_once),
      chance_(options.seed)
{
}

asio::awaitable<void> worker::run(common::event& stop)
{
    co_await common::with_task_group([&](common::task_group& running) -> asio::awaitable<void> {
        co_await hand_out(running, stop);
        try {
            co_await common::with_timeout(options_.grace, finish());
        } catch (const common::timeout_error&) {
            common::log("worker", "time is up");
        }
        running.cancel();
    });
    co_await within_a_moment(queue_.leave());
}

// Each wait ends when `stop` is set. Taking a job is not cut short, so that none is taken and
// forgotten.
asio::awaitable<void> worker::hand_out(common::task_group& running, common::event& stop)
{
    while (!stop.is_set()) {
        auto slot_or_stop = slots_.acquire() || stop.wait();
        auto first = co_await std::move(slot_or_stop);
        if (stop.is_set()) {
            break;
        }
        auto slot = std::get<0>(std::move(first));
        if (auto taken = co_await queue_.try_take()) {
            running.spawn(work_on(std::move(*taken), std::move(slot)));
            continue;
        }
        slot.release();
        if (options_.until_empty) {
            auto empty_or_stop = queue_.is_empty() || stop.wait();
            const auto answer = co_await std::move(empty_or_stop);
            if (answer.index() == 1 || std::get<0>(answer)) {
                break;
            }
        }
        const auto longest = options_.until_empty ? longest_wait_for_empty : longest_wait;
        auto work_or_stop = queue_.wait_for_work(longest) || stop.wait();
        co_await std::move(work_or_stop);
    }
}

// Nothing runs when all permits are here.
asio::awaitable<void> worker::finish()
{
    std::vector<common::semaphore::permit> all;
    while (all.size() < options_.at_once) {
        all.push_back(co_await slots_.acquire());
    }
}

asio::awaitable<void> worker::work_on(delivery taken, common::semaphore::permit)
{
    const auto& id = taken.what.id;
    common::log(
        "worker", "job {} starts, try {} of {}: {}", id, taken.tries, taken.what.max_tries,
        command_line(taken.what));

    const auto start = common::now();
    try_result result;
    auto ended_or_lost = try_once(run_, taken, result) || taken.lost->wait();
    co_await std::move(ended_or_lost);

    // What has happened is to be reported, also when this coroutine has been cancelled meanwhile.
    const auto state = co_await asio::this_coro::cancellation_state;
    const bool leaving = state.cancelled() != asio::cancellation_type::none;
    co_await asio::this_coro::reset_cancellation_state();
    if (result.how == outcome::done) {
        const auto report = [&] { return queue_.done(taken); };
        const bool known = co_await tell(report, leaving);
        ++(known ? ended_.done : ended_.lost);
        common::log(
            "worker", "job {} is done, {}", id,
            known ? fmt::format("in {:.2f} s", common::seconds_since(start)) : not_told);
    } else if (result.how == outcome::failed) {
        co_await report_failure(taken, std::move(result.error), leaving);
    } else if (taken.lost->is_set()) {
        ++ended_.lost;
        common::log("worker", "job {} is stopped: another worker has it", id);
    } else {
        const bool known = co_await within_a_moment(queue_.give_back(taken));
        ++(known ? ended_.given_back : ended_.lost);
        common::log("worker", "job {} is {}", id, known ? "given back" : "left behind");
    }
}

asio::awaitable<void> worker::report_failure(const delivery& taken, std::string error, bool leaving)
{
    const auto pause =
        backoff_pause(taken.tries, taken.what.backoff, taken.what.longest_backoff, chance_);
    auto next = after_failure::lost;
    const auto report = [&]() -> asio::awaitable<void> {
        next = co_await queue_.failed(taken, error, pause);
    };
    const bool known = co_await tell(report, leaving);
    ++(known ? ended_.failed : ended_.lost);
    const auto consequence = !known                         ? not_told
                             : next == after_failure::again ? "again in " + text_of(pause)
                             : next == after_failure::dead  ? "no tries left"
                                                            : "another worker has it";
    common::log("worker", "job {} has failed: {}; {}", taken.what.id, shown(error), consequence);
}

}  // namespace task_queue
