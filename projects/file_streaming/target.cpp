#include "file_streaming/target.hpp"

#include "file_streaming/file_error.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdint>
#include <random>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace file_streaming {

namespace {

std::optional<struct stat> status_of(const fs::path& path)
{
    struct stat status = {};
    if (::stat(path.c_str(), &status) == 0) {
        return status;
    }
    if (errno == ENOENT) {
        return std::nullopt;
    }
    throw file_error(path.string(), errno);
}

fs::path folder_of(const fs::path& file)
{
    return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

// Who may write to a folder but not read it can make files in it all the same.
descriptor open_folder(const fs::path& folder)
{
    constexpr int flags = O_DIRECTORY | O_CLOEXEC;
    const int number = ::open(folder.c_str(), O_RDONLY | flags);
    return descriptor(
        number < 0 && errno == EACCES ? ::open(folder.c_str(), O_PATH | flags) : number);
}

std::string free_name()
{
    std::random_device random;
    return fmt::format(".file_streaming.{:08x}{:08x}", random(), random());
}

mode_t current_umask()
{
    const auto mask = ::umask(0);  // the only way to read it is to set it
    ::umask(mask);
    return mask;
}

std::string path_of(const descriptor& file)
{
    return fmt::format("/proc/self/fd/{}", file.number());
}

}  // namespace

target::target(const source& from, const std::string& to) : path(to), existing(status_of(to))
{
    if (existing && S_ISDIR(existing->st_mode)) {
        path /= fs::path(from.path()).filename();
        existing = status_of(path);
    }
    if (!path.has_filename()) {
        throw file_error(to, "is not a folder");
    }
    std::error_code failure;
    if (fs::is_symlink(fs::symlink_status(path, failure))) {
        if (!existing) {
            throw file_error(path.string(), "is a symbolic link to nowhere");
        }
        path = fs::canonical(path, failure);
        if (failure) {
            throw file_error(to, failure.value());
        }
    }
    if (!existing) {
        return;
    }
    if (existing->st_dev == from.status().st_dev && existing->st_ino == from.status().st_ino) {
        throw file_error(path.string(), "is the same file as " + printable(from.path()));
    }
    if (S_ISDIR(existing->st_mode)) {
        throw file_error(path.string(), EISDIR);
    }
    if (!S_ISREG(existing->st_mode)) {
        throw file_error(path.string(), "is not a regular file");
    }
    // rename asks only whether the folder may be written to.
    if (::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
        throw file_error(path.string(), errno);
    }
}

// Until it is finished, it is nobody's business but the owner's.
unfinished_file::unfinished_file(const target& where, naming when)
    : where_(where), folder_(open_folder(folder_of(where.path)))
{
    if (!folder_.is_open()) {
        throw file_error(folder_of(where.path).string(), errno);
    }
    if (when == naming::late && ::access("/proc/self/fd", X_OK) == 0) {  // publish() needs that
        file_ = descriptor(::openat(folder_.number(), ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
    }
    if (!file_.is_open()) {
        create_named();
    }
    keep_owner();
}

// Whatever kept the other way from working, if it is not the file system, fails here, too.
void unfinished_file::create_named()
{
    const auto name = free_name();
    constexpr int flags = O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC;
    file_ = descriptor(::openat(folder_.number(), name.c_str(), flags, 0600));
    if (!file_.is_open()) {
        throw file_error(folder_of(where_.path).string(), errno);
    }
    name_.text = name;
}

void unfinished_file::keep_owner()
{
    if (!where_.existing) {
        return;
    }
    struct stat ours = {};
    check(::fstat(file_.number(), &ours) == 0);
    const auto& theirs = *where_.existing;
    const bool same = ours.st_uid == theirs.st_uid && ours.st_gid == theirs.st_gid;
    if (!same && ::fchown(file_.number(), theirs.st_uid, theirs.st_gid) != 0) {
        throw file_error(where_.path.string(), "the copy would have another owner or group");
    }
}

unfinished_file::own_name::~own_name()
{
    if (!text.empty()) {
        ::unlinkat(folder.number(), text.c_str(), 0);
    }
}

void unfinished_file::check(bool succeeded) const
{
    if (!succeeded) {
        throw file_error(where_.path.string(), errno);
    }
}

void unfinished_file::finish(const source& from, bool exactly)
{
    const int file = file_.number();
    check(::ftruncate(file, static_cast<off_t>(from.size())) == 0);

    mode_t mode = from.status().st_mode & 0777;
    if (!exactly) {
        mode = where_.existing ? where_.existing->st_mode & 0777 : mode & ~current_umask();
    }
    check(::fchmod(file, mode) == 0);
    if (exactly) {
        const timespec times[] = {from.status().st_atim, from.status().st_mtim};
        check(::futimens(file, times) == 0);
    }
    check(::fsync(file) == 0);
}

void unfinished_file::publish()
{
    if (name_.text.empty()) {
        const auto name = free_name();
        check(
            ::linkat(
                AT_FDCWD, path_of(file_).c_str(), folder_.number(), name.c_str(),
                AT_SYMLINK_FOLLOW) == 0);
        name_.text = name;
    }
    const auto final_name = where_.path.filename();
    check(
        ::renameat(folder_.number(), name_.text.c_str(), folder_.number(), final_name.c_str()) ==
        0);
    name_.text.clear();
    // Not every file system has that, and a folder that must not be read is not open for it.
    if (::fsync(folder_.number()) != 0 && errno != EINVAL && errno != EBADF) {
        throw file_error(where_.path.string(), "is complete, but may not survive a power failure");
    }
}

}  // namespace file_streaming
