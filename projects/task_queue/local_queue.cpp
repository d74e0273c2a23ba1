#include "task_queue/local_queue.hpp"

#include "common/log.hpp"
#include "common/timeout.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <chrono>
#include <set>
#include <system_error>
#include <utility>

namespace asio = boost::asio;

namespace task_queue {

namespace {

// A journal shorter than that is left as it is.
constexpr std::size_t worth_compacting = 1 << 20;

queue_status status_of(job_table& table, wall_time now)
{
    table.wake_due(now);
    queue_status status;
    for (const auto each : priorities) {
        status.waiting[static_cast<std::size_t>(each)] = table.waiting(each);
    }
    status.delayed = table.delayed();
    if (const auto due = table.next_due()) {
        status.next_due = *due - now;
    }
    status.running = table.running();
    status.dead = table.dead();
    status.done = table.done();
    return status;
}

std::vector<dead_letter> dead_letters_of(const job_table& table)
{
    std::vector<dead_letter> letters;
    for (const auto* const entry : table.with_state(job_state::dead)) {
        letters.push_back({entry->what, entry->tries, entry->error});
    }
    return letters;
}

std::vector<change> puts(std::vector<job> jobs, wall_time now)
{
    std::vector<change> changes;
    for (auto& each : jobs) {
        changes.push_back(change{change_kind::put});
        changes.back().entry = submitted(std::move(each), now);
    }
    return changes;
}

// What the action changes in each of these jobs that is dead, once.
std::vector<change> changes_to_dead(
    const job_table& table, dead_action action, const std::vector<std::string>& ids)
{
    const auto kind =
        action == dead_action::requeue ? change_kind::requeued : change_kind::forgotten;
    std::vector<change> changes;
    for (const auto& id : std::set<std::string>(ids.begin(), ids.end())) {
        const auto* const entry = table.find(id);
        if (entry != nullptr && entry->state == job_state::dead) {
            changes.push_back(change{kind});
            changes.back().id = id;
        }
    }
    return changes;
}

// Of jobs, or of changes to them.
template <class T>
std::vector<std::string> ids_of(const std::vector<T>& items)
{
    std::vector<std::string> ids;
    for (const auto& each : items) {
        ids.push_back(each.id);
    }
    return ids;
}

std::vector<std::string> records_of(const std::vector<change>& changes)
{
    std::vector<std::string> records;
    for (const auto& each : changes) {
        records.push_back(to_json(each));
    }
    return records;
}

}  // namespace

wall_time system_time()
{
    return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

local_queue::local_queue(wall_clock clock) : clock_(std::move(clock)) {}

local_queue::local_queue(const std::filesystem::path& path, wall_clock clock)
    : clock_(std::move(clock)), journal_(path), spool_(journal_->path())
{
    spool_->create();
    recover();
}

void local_queue::recover()
{
    for (const auto& record : journal_->take_records()) {
        table_.apply(change_from_json(record));
    }
    if (journal_->torn_bytes() > 0) {
        common::log(
            "journal", "dropped {} bytes, a record that was never complete",
            journal_->torn_bytes());
    }
    for (const auto* const entry : table_.with_state(job_state::running)) {
        const auto id = entry->what.id;
        common::log("journal", "job {} was running when its worker died", id);
        commit(change_kind::failed, id, "its worker died", clock_());
    }
    spool_->remove_leftovers();
    take_letters();
    compact_if_worthwhile();
}

// First all of it is in the journal and on the disk, then the letters go, and only then can a job
// of theirs start: a letter that comes back after a crash is about jobs that are still known.
void local_queue::take_letters()
{
    const auto letters = spool_->letters();
    std::vector<change> changes;
    for (const auto& each : letters) {
        changes.insert(changes.end(), each.changes.begin(), each.changes.end());
    }
    if (!letters.empty()) {
        commit(changes);
        journal_->sync();
        spool_->remove(letters);
        news_.set();
    }
}

void local_queue::commit(const std::vector<change>& changes)
{
    if (journal_) {
        journal_->append(records_of(changes));
    }
    for (const auto& each : changes) {
        table_.apply(each);
    }
}

void local_queue::commit(change_kind kind, const std::string& id, std::string text, wall_time when)
{
    std::vector<change> changes(1, change{kind});
    changes[0].id = id;
    changes[0].text = std::move(text);
    changes[0].when = when;
    commit(changes);
}

void local_queue::compact_if_worthwhile()
{
    if (!journal_ || journal_->size() < std::max(worth_compacting, 2 * compacted_size_)) {
        return;
    }
    // Where it fails, the old one goes on to be used, and the next attempt waits as after a
    // success.
    const auto before = journal_->size();
    try {
        journal_->rewrite(records_of(table_.snapshot()));
        common::log("journal", "rewritten: {} bytes, {} before", journal_->size(), before);
    } catch (const std::system_error& failure) {
        common::log("journal", "not rewritten: {}", failure.what());
    }
    compacted_size_ = journal_->size();
}

asio::awaitable<void> local_queue::submit(std::vector<job> jobs, ids_handler tell)
{
    const auto ids = ids_of(jobs);
    commit(puts(std::move(jobs), clock_()));
    if (journal_) {
        journal_->sync();
    }
    news_.set();
    tell(ids);
    co_return;
}

asio::awaitable<queue_status> local_queue::status()
{
    co_return status_of(table_, clock_());
}

asio::awaitable<std::vector<dead_letter>> local_queue::dead()
{
    co_return dead_letters_of(table_);
}

asio::awaitable<void> local_queue::deal_with_dead(
    dead_action action, std::vector<std::string> ids, ids_handler tell)
{
    const auto changes = changes_to_dead(table_, action, ids);
    commit(changes);
    news_.set();
    tell(ids_of(changes));
    co_return;
}

// Watches the spool. It looks once more after the watch has begun, so that nothing falls between
// the two.
asio::awaitable<void> local_queue::run()
{
    if (!spool_) {
        common::event never;
        co_await never.wait();
    }
    spool_watch watch(co_await asio::this_coro::executor, *spool_);
    while (true) {
        take_letters();
        compact_if_worthwhile();
        co_await watch.wait();
    }
}

asio::awaitable<std::optional<delivery>> local_queue::try_take()
{
    const auto now = clock_();
    table_.wake_due(now);
    while (const auto* const entry = table_.next()) {
        if (entry->deadline && now > *entry->deadline) {
            common::log("queue", "job {} has expired", entry->what.id);
            commit(change_kind::buried, std::string(entry->what.id), "expired", now);
            continue;
        }
        delivery taken;
        taken.what = entry->what;
        commit(change_kind::started, taken.what.id);
        taken.tries = table_.find(taken.what.id)->tries;
        co_return taken;
    }
    co_return std::nullopt;
}

asio::awaitable<void> local_queue::wait_for_work(common::duration longest)
{
    if (const auto due = table_.next_due()) {
        longest = std::min<common::duration>(longest, *due - clock_());
    }
    news_.clear();
    try {
        co_await common::with_timeout(longest, news_.wait());
    } catch (const common::timeout_error&) {
        // The next one is due, or it has been long enough.
    }
}

asio::awaitable<bool> local_queue::is_empty()
{
    co_return table_.size() == table_.dead();
}

asio::awaitable<void> local_queue::done(const delivery& taken)
{
    commit(change_kind::done, taken.what.id);
    compact_if_worthwhile();
    news_.set();  // it may have been the last
    co_return;
}

asio::awaitable<after_failure> local_queue::failed(
    const delivery& taken, std::string error, milliseconds pause)
{
    commit(change_kind::failed, taken.what.id, std::move(error), clock_() + pause);
    news_.set();
    const bool is_dead = table_.find(taken.what.id)->state == job_state::dead;
    co_return is_dead ? after_failure::dead : after_failure::again;
}

asio::awaitable<void> local_queue::give_back(const delivery& taken)
{
    commit(change_kind::given_back, taken.what.id);
    news_.set();
    co_return;
}

asio::awaitable<void> local_queue::leave()
{
    if (journal_) {
        journal_->sync();
    }
    co_return;
}

spool_client::spool_client(std::filesystem::path journal)
    : journal_(follow_links(std::move(journal))), spool_(journal_)
{
}

asio::awaitable<void> spool_client::submit(std::vector<job> jobs, ids_handler tell)
{
    const auto ids = ids_of(jobs);
    spool_.leave(puts(std::move(jobs), system_time()));
    tell(ids);
    co_return;
}

asio::awaitable<queue_status> spool_client::status()
{
    auto table = read();
    co_return status_of(table, system_time());
}

asio::awaitable<std::vector<dead_letter>> spool_client::dead()
{
    co_return dead_letters_of(read());
}

asio::awaitable<void> spool_client::deal_with_dead(
    dead_action action, std::vector<std::string> ids, ids_handler tell)
{
    const auto changes = changes_to_dead(read(), action, ids);
    if (!changes.empty()) {
        spool_.leave(changes);
    }
    tell(ids_of(changes));
    co_return;
}

// The letters first: a worker moves them into the journal meanwhile, and what is read in the other
// order could be in neither. What is in both counts once.
job_table spool_client::read() const
{
    const auto letters = spool_.letters();
    job_table table;
    std::set<std::string> known;
    for (const auto& record : read_journal(journal_)) {
        const auto each = change_from_json(record);
        known.insert(each.id);
        table.apply(each);
    }
    for (const auto& letter : letters) {
        for (const auto& each : letter.changes) {
            if (each.kind != change_kind::put || !known.contains(each.id)) {
                table.apply(each);
            }
        }
    }
    return table;
}

}  // namespace task_queue
