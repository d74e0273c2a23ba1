#include "task_queue/file.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace task_queue {

namespace {

// As many as Linux follows.
constexpr int most_links = 40;

[[noreturn]] void throw_errno(std::string_view what, const std::filesystem::path& path)
{
    throw std::system_error(
        errno, std::system_category(), fmt::format("cannot {} {}", what, path.string()));
}

// Calls it again when a signal has interrupted it.
template <class Call>
auto retry(Call call)
{
    auto result = call();
    while (result == -1 && errno == EINTR) {
        result = call();
    }
    return result;
}

}  // namespace

file::file(std::filesystem::path path, int flags)
    : path_(std::move(path)),
      descriptor_(retry([&] { return ::open(path_.c_str(), flags | O_CLOEXEC, 0666); }))
{
    if (descriptor_ == -1) {
        throw_errno("open", path_);
    }
}

file::~file()
{
    if (descriptor_ != -1) {
        ::close(descriptor_);
    }
}

void file::write(std::string_view bytes)
{
    while (!bytes.empty()) {
        const auto size = retry([&] { return ::write(descriptor_, bytes.data(), bytes.size()); });
        if (size == -1) {
            throw_errno("write to", path_);
        }
        bytes.remove_prefix(static_cast<std::size_t>(size));
    }
}

void file::sync()
{
    if (retry([&] { return ::fsync(descriptor_); }) == -1) {
        throw_errno("sync", path_);
    }
}

void file::truncate(std::size_t size)
{
    if (retry([&] { return ::ftruncate(descriptor_, static_cast<off_t>(size)); }) == -1) {
        throw_errno("truncate", path_);
    }
}

void file::rename(std::filesystem::path path)
{
    std::filesystem::rename(path_, path);
    path_ = std::move(path);
}

void file::take_mode_of(const std::filesystem::path& other)
{
    struct stat seen{};
    if (::stat(other.c_str(), &seen) == 0 && ::fchmod(descriptor_, seen.st_mode & 07777) == -1) {
        throw_errno("change the mode of", path_);
    }
}

bool file::try_lock()
{
    if (retry([&] { return ::flock(descriptor_, LOCK_EX | LOCK_NB); }) == 0) {
        return true;
    }
    if (errno != EWOULDBLOCK) {
        throw_errno("lock", path_);
    }
    return false;
}

std::filesystem::path follow_links(std::filesystem::path path)
{
    for (int links = 0; std::filesystem::is_symlink(path); ++links) {
        if (links == most_links) {
            errno = ELOOP;
            throw_errno("open", path);
        }
        path = path.parent_path() / std::filesystem::read_symlink(path);
    }
    return std::filesystem::weakly_canonical(path);
}

std::string read_file(const std::filesystem::path& path)
{
    const int descriptor = retry([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC); });
    if (descriptor == -1) {
        if (errno == ENOENT) {
            return "";
        }
        throw_errno("open", path);
    }
    std::string bytes;
    std::array<char, 65536> part;
    while (true) {
        const auto size = retry([&] { return ::read(descriptor, part.data(), part.size()); });
        if (size <= 0) {
            const int error = errno;
            ::close(descriptor);
            if (size == -1) {
                errno = error;
                throw_errno("read", path);
            }
            return bytes;
        }
        bytes.append(part.data(), static_cast<std::size_t>(size));
    }
}

void sync_directory_of(const std::filesystem::path& path)
{
    const auto directory = path.parent_path();
    file(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY).sync();
}

file replace_file(const std::filesystem::path& path, std::string_view bytes)
{
    auto beside = path;
    beside += ".tmp";
    file fresh(beside, O_RDWR | O_CREAT | O_TRUNC | O_APPEND);
    try {
        fresh.take_mode_of(path);
        fresh.write(bytes);
        fresh.sync();
        fresh.rename(path);
    } catch (const std::system_error&) {
        ::unlink(beside.c_str());
        throw;
    }
    return fresh;
}

void write_whole_file(const std::filesystem::path& path, std::string_view bytes)
{
    replace_file(path, bytes);
    sync_directory_of(path);
}

}  // namespace task_queue
