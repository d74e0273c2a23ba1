#include "task_queue/journal.hpp"

#include "task_queue/records.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include <fcntl.h>
#include <unistd.h>

namespace task_queue {

namespace {

// Every journal begins with it, so that no other file is ever taken for one, and cut.
constexpr std::string_view magic = "task_queue journal 1\n";

std::filesystem::path beside(std::filesystem::path path, std::string_view ending)
{
    path += ending;
    return path;
}

file locked(const std::filesystem::path& path)
{
    file lock(beside(path, ".lock"), O_RDWR | O_CREAT);
    if (!lock.try_lock()) {
        throw std::runtime_error(fmt::format(
            "{} belongs to a worker that is running, with process id {}", path.string(),
            read_file(lock.path())));
    }
    lock.truncate(0);
    lock.write(std::to_string(::getpid()));
    return lock;
}

// The part behind the magic. Empty also where somebody died while making the journal.
std::string_view body_of(std::string_view bytes, const std::filesystem::path& path)
{
    if (bytes.starts_with(magic)) {
        return bytes.substr(magic.size());
    }
    if (magic.starts_with(bytes)) {
        return {};
    }
    throw std::runtime_error(fmt::format("{} is no journal of task_queue", path.string()));
}

record_scan scan_body(std::string_view body, const std::filesystem::path& path)
{
    auto scan = scan_records(body);
    if (scan.damaged) {
        throw std::runtime_error(fmt::format(
            "{0} is damaged at byte {1}, with records behind it. Keep a copy; to go on without "
            "what follows: truncate -s {1} {0}",
            path.string(), magic.size() + scan.valid_size));
    }
    return scan;
}

std::string file_of(const std::vector<std::string>& records)
{
    std::string bytes(magic);
    for (const auto& record : records) {
        bytes += framed(record);
    }
    return bytes;
}

}  // namespace

journal::journal(const std::filesystem::path& path)
    // Where the name is a link, lock, replacement and spool belong to the file that it leads to.
    : path_(follow_links(path)), lock_(locked(path_)), file_(path_, O_RDWR | O_CREAT | O_APPEND)
{
    const auto bytes = read_file(path_);
    const auto body = body_of(bytes, path_);
    const auto scan = scan_body(body, path_);
    records_.assign(scan.records.begin(), scan.records.end());

    if (bytes.size() < magic.size()) {
        file_.truncate(0);
        file_.write(magic);
    }
    torn_bytes_ = body.size() - scan.valid_size;
    size_ = magic.size() + scan.valid_size;
    file_.truncate(size_);
    file_.sync();
    sync_directory_of(path_);
}

void journal::append(const std::vector<std::string>& records)
{
    if (broken_) {
        throw std::runtime_error(fmt::format("{} could not be written to before", path_.string()));
    }
    std::string bytes;
    for (const auto& record : records) {
        bytes += framed(record);
    }
    broken_ = true;
    file_.write(bytes);
    broken_ = false;
    size_ += bytes.size();
}

void journal::rewrite(const std::vector<std::string>& records)
{
    const auto bytes = file_of(records);
    auto fresh = replace_file(path_, bytes);

    // Until its name is safe, a crash can bring back the old one: what is appended could be lost
    // with either.
    broken_ = true;
    sync_directory_of(path_);
    file_ = std::move(fresh);
    size_ = bytes.size();
    broken_ = false;
}

std::vector<std::string> read_journal(const std::filesystem::path& path)
{
    const auto bytes = read_file(path);
    const auto scan = scan_body(body_of(bytes, path), path);
    return {scan.records.begin(), scan.records.end()};
}

}  // namespace task_queue
