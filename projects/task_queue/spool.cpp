#include "task_queue/spool.hpp"

#include "task_queue/file.hpp"
#include "task_queue/records.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include <sys/inotify.h>

namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace task_queue {

namespace {

constexpr std::string_view ending = ".letter";

// Nobody takes longer than that over a letter.
constexpr auto longest_write = std::chrono::hours(24);

int start_watch(const fs::path& directory)
{
    constexpr auto what = IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
    const int descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (descriptor == -1 || inotify_add_watch(descriptor, directory.c_str(), what) == -1) {
        throw std::system_error(
            errno, std::system_category(), fmt::format("cannot watch {}", directory.string()));
    }
    return descriptor;
}

// Whether one of the events says that the directory has gone. Which file the others are about does
// not matter.
bool is_gone(std::string_view events)
{
    while (!events.empty()) {
        inotify_event each{};
        std::memcpy(&each, events.data(), sizeof each);
        if ((each.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
            return true;
        }
        events.remove_prefix(sizeof each + each.len);
    }
    return false;
}

}  // namespace

spool::spool(const fs::path& journal) : directory_(follow_links(journal))
{
    directory_ += ".spool";
}

void spool::create() const
{
    if (fs::create_directory(directory_)) {
        sync_directory_of(directory_);
    }
}

// The name begins with the time, so that names sort by age. An id in it keeps two from being the
// same.
void spool::leave(const std::vector<change>& changes) const
{
    create();
    std::string bytes;
    for (const auto& each : changes) {
        bytes += framed(to_json(each));
    }
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    write_whole_file(
        directory_ / fmt::format(
                         "{:020}-{}{}",
                         std::chrono::duration_cast<std::chrono::nanoseconds>(now).count(),
                         new_job_id(), ending),
        bytes);
}

std::vector<spool::letter> spool::letters() const
{
    std::vector<fs::path> paths;
    if (!fs::exists(directory_)) {
        return {};
    }
    for (const auto& each : fs::directory_iterator(directory_)) {
        if (each.path().extension() == ending) {
            paths.push_back(each.path());
        }
    }
    std::sort(paths.begin(), paths.end());

    std::vector<letter> found;
    for (auto& path : paths) {
        const auto bytes = read_file(path);
        const auto scan = scan_records(bytes);
        if (scan.valid_size != bytes.size()) {
            throw std::runtime_error(
                fmt::format("{} is damaged; move it out of the way", path.string()));
        }
        found.emplace_back();
        for (const auto record : scan.records) {
            found.back().changes.push_back(change_from_json(record));
        }
        found.back().path = std::move(path);
    }
    return found;
}

void spool::remove(const std::vector<letter>& letters) const
{
    for (const auto& each : letters) {
        fs::remove(each.path);
    }
    sync_directory_of(directory_ / "any");
}

void spool::remove_leftovers() const
{
    for (const auto& each : fs::directory_iterator(directory_)) {
        std::error_code gone;
        const auto written = each.last_write_time(gone);
        if (each.path().extension() != ending && !gone &&
            fs::file_time_type::clock::now() - written > longest_write) {
            fs::remove(each.path(), gone);
        }
    }
}

spool_watch::spool_watch(asio::any_io_executor executor, const spool& watched)
    : directory_(watched.directory()), changes_(std::move(executor), start_watch(directory_))
{
}

asio::awaitable<void> spool_watch::wait()
{
    std::array<char, 4096> events;
    const auto size = co_await changes_.async_read_some(asio::buffer(events), asio::deferred);
    if (is_gone({events.data(), size})) {
        throw std::runtime_error(fmt::format(
            "{} has been removed; start the worker again to see what is submitted",
            directory_.string()));
    }
}

}  // namespace task_queue
