// Files that are right after a crash.
//
// write() hands bytes to the system. From then on they survive the end of the program, however it
// comes, but not that of the machine: for that they have to be on the disk, and fsync() waits until
// they are. The name of a file is part of its directory, which needs an fsync() of its own.
//
// All of this blocks. What takes longest is sync(), a few milliseconds on most disks.

#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace task_queue {

// An open file, closed when this is destroyed. What fails throws std::system_error, which names the
// file.
class file {
public:
    // `flags` as open(2) has them; O_CLOEXEC is added, so that no child process keeps it open.
    file(std::filesystem::path path, int flags);
    ~file();
    file(file&& other) noexcept
        : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1))
    {
    }
    file& operator=(file&& other) noexcept
    {
        std::swap(path_, other.path_);
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }

    // When it throws, part of the bytes may have been written.
    void write(std::string_view bytes);
    void sync();
    void truncate(std::size_t size);

    // Who may read and write it; nothing changes where the other is not there.
    void take_mode_of(const std::filesystem::path& other);

    // What has that name already is replaced.
    void rename(std::filesystem::path path);

    // Locks it for as long as it is open, in this process. Gives false where another process has
    // locked it. The system gives the lock back when its owner dies.
    bool try_lock();

    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
    int descriptor_;
};

// Where a path leads to in the end: what opens or makes a file there opens or makes it here.
// std::filesystem::weakly_canonical() alone stops at a link to a file that is not there yet. Throws
// std::system_error, also when links lead in a circle.
std::filesystem::path follow_links(std::filesystem::path path);

// The bytes of a file, or "" when there is none. Throws std::system_error.
std::string read_file(const std::filesystem::path& path);

// Makes the names in the directory of `path` safe: that it is there, or is gone.
void sync_directory_of(const std::filesystem::path& path);

// Makes or replaces a file in one step: whoever opens it, and whatever crashes, finds the old one
// or the new one. It is first written beside the file, with ".tmp" added to the name. Gives the new
// one, open for appending. Its bytes are on the disk, and after sync_directory_of() its name is,
// too. When it throws std::system_error, all is as it was.
file replace_file(const std::filesystem::path& path, std::string_view bytes);

// Both. It throws std::system_error also when only the second has failed: then the new file is
// there, and a crash may bring back the old one.
void write_whole_file(const std::filesystem::path& path, std::string_view bytes);

}  // namespace task_queue
