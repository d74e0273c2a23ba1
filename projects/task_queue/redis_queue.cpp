#include "task_queue/redis_queue.hpp"

#include "common/log.hpp"
#include "common/task_group.hpp"
#include "common/timeout.hpp"
#include "task_queue/redis_scripts.hpp"

#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include <unistd.h>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace task_queue {

namespace {

// So many jobs go to Redis with one script, and so many dead letters come back. A script keeps
// everybody else waiting.
constexpr std::size_t batch = 200;

// What a command that waits inside Redis may take longer than it was told to.
constexpr common::duration slack = 10s;

// Tells this worker from all others, also from one that had its process id before.
std::string new_consumer()
{
    char host[256] = "";
    ::gethostname(host, sizeof host - 1);
    return fmt::format("{}-{}-{}", host, ::getpid(), new_job_id());
}

std::string script_of(std::string_view text)
{
    return std::string(scripts::common_part) + std::string(text);
}

// Adds the stream of a job that was taken, and its entry in that. A delivery has both in one text,
// and an entry has no blank in it.
void add_place(std::vector<std::string>& arguments, const std::string& place)
{
    const auto blank = place.find(' ');
    arguments.push_back(place.substr(blank + 1));
    arguments.push_back(place.substr(0, blank));
}

// What each report begins with.
std::vector<std::string> place_and_id(const delivery& taken)
{
    std::vector<std::string> arguments;
    add_place(arguments, taken.place);
    arguments.push_back(taken.what.id);
    return arguments;
}

std::size_t count_in(const redis_reply& reply)
{
    return static_cast<std::size_t>(std::max(0LL, reply.number));
}

// The reply to scripts::status.
queue_status status_in(const redis_reply& reply)
{
    const auto& numbers = reply.elements;
    queue_status status;
    for (std::size_t i = 0; i < 3; ++i) {
        status.waiting[i] = count_in(numbers.at(i));
    }
    status.running = count_in(numbers.at(3));
    status.delayed = count_in(numbers.at(4));
    if (numbers.at(5).number >= 0) {
        status.next_due = milliseconds(numbers.at(5).number);
    }
    status.dead = count_in(numbers.at(6));
    status.done = count_in(numbers.at(7));
    return status;
}

}  // namespace

redis_queue::redis_queue(redis_options options)
    : options_(std::move(options)),
      consumer_(new_consumer()),
      client_(options_.address, options_.quiet),
      sleeper_(options_.address, true)
{
}

asio::awaitable<redis_reply> redis_queue::run_once(
    std::string_view script, std::vector<std::string> arguments)
{
    std::vector<std::string> keys(1, fmt::format("{{{}}}", options_.name));
    try {
        co_return co_await client_.run_script(script_of(script), keys, arguments);
    } catch (const redis_error& error) {
        if (!is_error(error.what(), "NOGROUP")) {
            throw;
        }
    }
    co_await client_.run_script(script_of(scripts::prepare), keys, {});
    co_return co_await client_.run_script(script_of(script), keys, std::move(arguments));
}

asio::awaitable<redis_reply> redis_queue::repeat(
    std::string_view script, std::vector<std::string> arguments)
{
    while (true) {
        try {
            co_return co_await run_once(script, arguments);
        } catch (const connection_lost&) {
            // The script was run, or was not. It can be run again.
        }
    }
}

asio::awaitable<redis_reply> redis_queue::run_script(
    std::string_view script, std::vector<std::string> arguments)
{
    auto answer = repeat(script, std::move(arguments));
    if (!options_.patience) {
        co_return co_await std::move(answer);
    }
    try {
        co_return co_await common::with_timeout(*options_.patience, std::move(answer));
    } catch (const common::timeout_error&) {
        throw std::runtime_error(fmt::format(
            "no answer from Redis at {} in {}: {}", options_.address.text(),
            text_of(*options_.patience), client_.trouble()));
    }
}

asio::awaitable<void> redis_queue::submit(std::vector<job> jobs, ids_handler tell)
{
    for (std::size_t first = 0; first < jobs.size(); first += batch) {
        std::vector<std::string> ids;
        std::vector<std::string> arguments;
        for (auto i = first; i < std::min(first + batch, jobs.size()); ++i) {
            const auto& each = jobs[i];
            ids.push_back(each.id);
            arguments.push_back(each.id);
            arguments.push_back(to_json(each));
            arguments.emplace_back(name_of(each.urgency));
            arguments.push_back(std::to_string(each.delay.count()));
            arguments.push_back(each.lifetime ? std::to_string(each.lifetime->count()) : "");
            arguments.push_back(std::to_string(each.max_tries));
        }
        co_await run_script(scripts::submit, std::move(arguments));
        tell(ids);
    }
}

asio::awaitable<queue_status> redis_queue::status()
{
    const auto reply = co_await run_script(scripts::status, {});
    co_return status_in(reply);
}

asio::awaitable<std::vector<dead_letter>> redis_queue::dead()
{
    std::vector<dead_letter> letters;
    while (true) {
        std::vector<std::string> part;
        part.push_back(std::to_string(letters.size()));
        part.push_back(std::to_string(batch));
        const auto reply = co_await run_script(scripts::dead_letters, std::move(part));
        for (const auto& each : reply.elements) {
            const auto& fields = each.elements;
            dead_letter letter;
            letter.what = job_from_json(fields.at(0).text, fields.at(1).text);
            letter.tries = static_cast<int>(fields.at(2).number);
            letter.error = fields.at(3).text;
            letters.push_back(std::move(letter));
        }
        if (reply.elements.size() < batch) {
            co_return letters;
        }
    }
}

asio::awaitable<void> redis_queue::deal_with_dead(
    dead_action action, std::vector<std::string> ids, ids_handler tell)
{
    const auto script = action == dead_action::requeue ? scripts::requeue : scripts::forget;
    for (std::size_t first = 0; first < ids.size(); first += batch) {
        std::vector<std::string> arguments(1, new_job_id());
        for (auto i = first; i < std::min(first + batch, ids.size()); ++i) {
            arguments.push_back(ids[i]);
        }
        const auto reply = co_await run_script(script, std::move(arguments));
        std::vector<std::string> found;
        for (const auto& each : reply.elements) {
            found.push_back(each.text);
        }
        tell(found);
    }
}

asio::awaitable<void> redis_queue::run()
{
    co_await common::with_task_group([this](common::task_group& all) -> asio::awaitable<void> {
        all.spawn(client_.run());
        all.spawn(sleeper_.run());
        co_await keep_leases();
    });
}

// After a connection that was lost it renews them as soon as there is another: Redis counts the
// time in which it was away, too.
asio::awaitable<void> redis_queue::keep_leases()
{
    while (true) {
        try {
            co_await renew_leases();
        } catch (const connection_lost&) {
            continue;
        }
        co_await common::sleep_for(options_.lease / 3);
    }
}

asio::awaitable<void> redis_queue::renew_leases()
{
    const auto asked = common::now();
    std::vector<std::string> places;
    std::vector<std::string> arguments(1, consumer_);
    for (const auto& [place, lost] : held_) {
        places.push_back(place);
        add_place(arguments, place);
    }
    if (!places.empty()) {
        const auto reply = co_await run_once(scripts::renew, std::move(arguments));
        for (std::size_t i = 0; i < places.size(); ++i) {
            const auto job = held_.find(places[i]);  // it may have been reported meanwhile
            if (reply.elements.at(i).number == 0 && job != held_.end()) {
                job->second->set();
                held_.erase(job);
            }
        }
    }
    renewed_ = asked;
}

// Where this program was stopped for a while, its leases have run out, and it could take over its
// own jobs. So it renews them first.
asio::awaitable<std::optional<delivery>> redis_queue::try_take()
{
    seen_.clear();
    if (!client_.connected()) {
        co_return std::nullopt;
    }
    try {
        if (!held_.empty() && common::now() - renewed_ > options_.lease / 2) {
            co_await renew_leases();
        }
        std::vector<std::string> arguments(1, consumer_);
        arguments.push_back(std::to_string(options_.lease.count()));
        if (std::exchange(unanswered_, true)) {
            arguments.emplace_back("again");
            for (const auto& [place, lost] : held_) {
                add_place(arguments, place);
            }
        }
        const auto asked = common::now();
        const auto reply = co_await run_once(scripts::take, std::move(arguments));
        unanswered_ = false;
        const auto& fields = reply.elements;
        if (fields.at(0).is == redis_reply::kind::number) {
            next_due_ =
                fields[0].number >= 0 ? milliseconds(fields[0].number) : common::duration::max();
            for (std::size_t i = 1; i < fields.size(); ++i) {
                seen_.push_back(fields[i].text);
            }
            co_return std::nullopt;
        }
        delivery taken;
        taken.what = job_from_json(fields.at(2).text, fields.at(3).text);
        taken.tries = static_cast<int>(fields.at(4).number);
        taken.place = fmt::format("{} {}", fields[1].text, fields[0].text);
        if (held_.empty()) {
            renewed_ = asked;
        }
        // One that is not new runs already: its lease was out, and it was taken over from itself.
        const bool is_new = held_.try_emplace(taken.place, taken.lost).second;
        if (is_new) {
            co_return taken;
        }
    } catch (const connection_lost&) {
        // A job that was taken nevertheless comes with the next take.
    }
    co_return std::nullopt;
}

// Sleeps inside Redis, until something is written to one of the streams, or something is due.
asio::awaitable<void> redis_queue::wait_for_work(common::duration longest)
{
    try {
        if (!client_.connected()) {
            co_await common::with_timeout(longest, client_.wait_until_connected());
        } else if (!seen_.empty()) {
            // A worker that dies writes nothing. So look for its jobs now and then.
            const auto pause = std::min({longest, next_due_, common::duration(options_.lease / 2)});
            const auto rounded = std::max(std::chrono::ceil<milliseconds>(pause), 1ms);
            std::vector<std::string> words{
                "XREAD", "BLOCK", std::to_string(rounded.count()), "STREAMS"};
            for (const auto* const name : {"high", "normal", "low", "wake"}) {
                words.push_back(fmt::format("{{{}}}:{}", options_.name, name));
            }
            words.insert(words.end(), seen_.begin(), seen_.end());
            auto sleep = sleeper_.command(std::move(words), rounded + slack);
            co_await common::with_timeout(longest + slack, std::move(sleep));
        }
    } catch (const common::timeout_error&) {
        // Long enough.
    } catch (const connection_lost&) {
        // It is worth asking again, once there is another connection.
    }
}

asio::awaitable<bool> redis_queue::is_empty()
{
    if (!client_.connected()) {
        co_return false;
    }
    try {
        const auto reply = co_await run_once(scripts::status, {});
        const auto now = status_in(reply);
        co_return now.waiting[0] + now.waiting[1] + now.waiting[2] + now.delayed + now.running == 0;
    } catch (const connection_lost&) {
        co_return false;
    }
}

asio::awaitable<void> redis_queue::done(const delivery& taken)
{
    auto arguments = place_and_id(taken);
    co_await run_script(scripts::done, std::move(arguments));
    held_.erase(taken.place);
}

asio::awaitable<after_failure> redis_queue::failed(
    const delivery& taken, std::string error, milliseconds pause)
{
    auto arguments = place_and_id(taken);
    arguments.push_back(consumer_);
    arguments.push_back(std::move(error));
    arguments.push_back(std::to_string(pause.count()));
    const auto reply = co_await run_script(scripts::failed, std::move(arguments));
    held_.erase(taken.place);
    co_return reply.number == 1 ? after_failure::again
    : reply.number == 0         ? after_failure::dead
                                : after_failure::lost;
}

asio::awaitable<void> redis_queue::give_back(const delivery& taken)
{
    auto arguments = place_and_id(taken);
    arguments.push_back(consumer_);
    co_await run_script(scripts::give_back, std::move(arguments));
    held_.erase(taken.place);
}

// A job that was taken, and its answer lost, goes back before.
asio::awaitable<void> redis_queue::leave()
{
    while (unanswered_) {
        co_await client_.wait_until_connected();
        if (const auto taken = co_await try_take()) {
            co_await give_back(*taken);
        }
    }
    std::vector<std::string> arguments(1, consumer_);
    co_await run_script(scripts::say_goodbye, std::move(arguments));
}

}  // namespace task_queue
