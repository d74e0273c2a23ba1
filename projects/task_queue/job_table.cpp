#include "task_queue/job_table.hpp"

#include "task_queue/json.hpp"

#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace json = boost::json;

namespace task_queue {

namespace {

constexpr std::array<std::string_view, 4> state_names = {"waiting", "delayed", "running", "dead"};
constexpr std::array<std::string_view, 9> kind_names = {
    "put", "started", "done", "failed", "given back", "buried", "requeued", "forgotten", "counted"};

template <class Enum, std::size_t Count>
Enum named(std::string_view name, const std::array<std::string_view, Count>& names)
{
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
        throw std::runtime_error(fmt::format("'{}' is not known", name));
    }
    return static_cast<Enum>(found - names.begin());
}

std::int64_t number_of(wall_time time)
{
    return time.time_since_epoch().count();
}

wall_time time_of(const json::value& number)
{
    return wall_time(milliseconds(number.to_number<std::int64_t>()));
}

json::object object_of(const job_entry& entry)
{
    json::object text;
    text["job"] = parse_object(to_json(entry.what));
    text["state"] = state_names[static_cast<std::size_t>(entry.state)];
    text["tries"] = entry.tries;
    text["since"] = number_of(entry.since);
    if (entry.deadline) {
        text["deadline"] = number_of(*entry.deadline);
    }
    text["error"] = entry.error;
    return text;
}

job_entry entry_from(std::string id, const json::object& fields)
{
    job_entry entry;
    entry.what = job_from_json(std::move(id), json::serialize(fields.at("job")));
    entry.state = named<job_state>(fields.at("state").as_string(), state_names);
    entry.tries = fields.at("tries").to_number<int>();
    entry.since = time_of(fields.at("since"));
    if (const auto* const deadline = fields.if_contains("deadline")) {
        entry.deadline = time_of(*deadline);
    }
    entry.error = fields.at("error").as_string();
    return entry;
}

}  // namespace

job_entry submitted(job what, wall_time now)
{
    job_entry entry;
    if (what.delay > milliseconds::zero()) {
        entry.state = job_state::delayed;
        entry.since = now + what.delay;
    }
    if (what.lifetime) {
        entry.deadline = now + *what.lifetime;
    }
    entry.what = std::move(what);
    return entry;
}

std::string to_json(const change& what)
{
    json::object text;
    text["change"] = kind_names[static_cast<std::size_t>(what.kind)];
    if (!what.id.empty()) {
        text["id"] = what.id;
    }
    if (!what.text.empty()) {
        text["text"] = what.text;
    }
    if (what.when != wall_time()) {
        text["when"] = number_of(what.when);
    }
    if (what.number != 0) {
        text["number"] = what.number;
    }
    if (what.entry) {
        text["id"] = what.entry->what.id;
        text["entry"] = object_of(*what.entry);
    }
    return json::serialize(text);
}

change change_from_json(std::string_view text)
{
    const auto fields = parse_object(text);
    change what{named<change_kind>(fields.at("change").as_string(), kind_names)};
    if (const auto* const id = fields.if_contains("id")) {
        what.id = id->as_string();
    }
    if (const auto* const reason = fields.if_contains("text")) {
        what.text = reason->as_string();
    }
    if (const auto* const when = fields.if_contains("when")) {
        what.when = time_of(*when);
    }
    if (const auto* const number = fields.if_contains("number")) {
        what.number = number->to_number<std::uint64_t>();
    }
    if (const auto* const entry = fields.if_contains("entry")) {
        what.entry = entry_from(what.id, entry->as_object());
    }
    return what;
}

bool job_table::apply(const change& what)
{
    if (what.kind == change_kind::counted) {
        done_ += what.number;
        return true;
    }
    if (what.kind == change_kind::put) {
        const auto [job, is_new] = jobs_.try_emplace(what.entry->what.id, placed{*what.entry});
        if (is_new) {
            enter(job->second, job->second.entry.state);
        }
        return is_new;
    }
    const auto job = jobs_.find(what.id);
    return job != jobs_.end() && apply_to(job, what);
}

bool job_table::apply_to(jobs::iterator job, const change& what)
{
    // Each change is for a job in one state.
    auto& entry = job->second.entry;
    const bool is_for_dead =
        what.kind == change_kind::requeued || what.kind == change_kind::forgotten;
    const bool is_for_waiting =
        what.kind == change_kind::started || what.kind == change_kind::buried;
    const auto expected = is_for_dead      ? job_state::dead
                          : is_for_waiting ? job_state::waiting
                                           : job_state::running;
    // The one that was due is waiting, though the table may not have been told the time since.
    if (is_for_waiting && entry.state == job_state::delayed) {
        leave(job->second);
        enter(job->second, job_state::waiting);
    }
    if (entry.state != expected) {
        return false;
    }

    leave(job->second);
    switch (what.kind) {
        case change_kind::started:
            ++entry.tries;
            enter(job->second, job_state::running);
            break;
        case change_kind::failed:
            entry.error = what.text;
            entry.since = what.when;
            enter(
                job->second,
                entry.tries < entry.what.max_tries ? job_state::delayed : job_state::dead);
            break;
        case change_kind::buried:
            entry.error = what.text;
            entry.since = what.when;
            enter(job->second, job_state::dead);
            break;
        case change_kind::given_back:
            --entry.tries;
            enter(job->second, job_state::waiting);
            break;
        case change_kind::requeued:
            entry.tries = 0;
            entry.deadline.reset();
            enter(job->second, job_state::waiting);
            break;
        case change_kind::done:
            ++done_;
            jobs_.erase(job);
            break;
        default:  // forgotten
            jobs_.erase(job);
            break;
    }
    return true;
}

void job_table::wake_due(wall_time now)
{
    while (!delayed_.empty() && std::get<0>(*delayed_.begin()) <= now) {
        auto& job = jobs_.find(std::get<2>(*delayed_.begin()))->second;
        leave(job);
        enter(job, job_state::waiting);
    }
}

const job_entry* job_table::next() const
{
    return waiting_.empty() ? nullptr : find(std::get<2>(*waiting_.begin()));
}

std::optional<wall_time> job_table::next_due() const
{
    return delayed_.empty() ? std::nullopt : std::optional(std::get<0>(*delayed_.begin()));
}

const job_entry* job_table::find(std::string_view id) const
{
    const auto job = jobs_.find(id);
    return job != jobs_.end() ? &job->second.entry : nullptr;
}

std::vector<const job_entry*> job_table::with_state(job_state state) const
{
    std::vector<const job_entry*> found;
    for (const auto& [id, job] : jobs_) {
        if (job.entry.state == state) {
            found.push_back(&job.entry);
        }
    }
    return found;
}

std::size_t job_table::waiting(priority urgency) const
{
    return static_cast<std::size_t>(std::count_if(
        waiting_.begin(), waiting_.end(),
        [=](const auto& job) { return std::get<0>(job) == urgency; }));
}

std::vector<change> job_table::snapshot() const
{
    std::vector<const placed*> ordered;
    for (const auto& [id, job] : jobs_) {
        ordered.push_back(&job);
    }
    std::sort(ordered.begin(), ordered.end(), [](const placed* one, const placed* other) {
        return one->place < other->place;
    });

    std::vector<change> changes;
    changes.push_back(change{change_kind::counted});
    changes.back().number = done_;
    for (const auto* const job : ordered) {
        changes.push_back(change{change_kind::put});
        changes.back().entry = job->entry;
    }
    return changes;
}

// Whoever enters goes to the end of the line.
void job_table::enter(placed& job, job_state state)
{
    auto& entry = job.entry;
    entry.state = state;
    job.place = ++last_place_;
    switch (state) {
        case job_state::waiting:
            waiting_.emplace(entry.what.urgency, job.place, entry.what.id);
            break;
        case job_state::delayed:
            delayed_.emplace(entry.since, job.place, entry.what.id);
            break;
        case job_state::running:
            ++running_;
            break;
        case job_state::dead:
            ++dead_;
            break;
    }
}

void job_table::leave(const placed& job)
{
    const auto& entry = job.entry;
    switch (entry.state) {
        case job_state::waiting:
            waiting_.erase({entry.what.urgency, job.place, entry.what.id});
            break;
        case job_state::delayed:
            delayed_.erase({entry.since, job.place, entry.what.id});
            break;
        case job_state::running:
            --running_;
            break;
        case job_state::dead:
            --dead_;
            break;
    }
}

}  // namespace task_queue
