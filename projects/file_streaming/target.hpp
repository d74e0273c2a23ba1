// Where a copy goes, and how it gets there: complete, or not at all.
//
// What is written goes to a file without a name, in the folder of the target. A program that ends
// before it is done, also by SIGKILL or a power failure, leaves nothing: the system frees a file
// that has no name and is not open. When all bytes are there, fsync puts them on the disk, and only
// then the file gets a name: first one of its own, then rename gives it the target's, which
// replaces what was there in one step. Whoever opens the target has the old file or the new one. A
// last fsync, of the folder, puts the new name on the disk.
//
// Some file systems know no files without a name. There the file has one that begins with a dot,
// which is removed when the copy fails; SIGKILL then leaves it behind, and every signal that the
// program does not hear.

#pragma once

#include "file_streaming/descriptor.hpp"
#include "file_streaming/source.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <sys/stat.h>

namespace file_streaming {

// What DST means for a copy of `from`, as cp has it: in a folder, the file of the same name; of a
// symbolic link, the file that it points to. Throws file_error when a copy must not go there: it is
// the source itself, or exists and is not a regular file, or must not be written to.
struct target {
    target(const source& from, const std::string& to);

    std::filesystem::path path;
    std::optional<struct stat> existing;  // the file that is going to be replaced
};

enum class naming {
    late,   // no name before publish(), where the file system can do that
    early,  // a name at once, as where it cannot
};

// Is gone when it is destroyed, unless it has been published.
class unfinished_file {
public:
    // It has the owner of the file that it is going to replace, if there is one. Throws file_error,
    // also when this program may not give files away.
    explicit unfinished_file(const target& where, naming when = naming::late);

    unfinished_file(const unfinished_file&) = delete;
    unfinished_file& operator=(const unfinished_file&) = delete;

    const descriptor& file() const { return file_; }

    // Makes it as long as the source, where that ends in a hole; gives it the mode of what it
    // replaces, or else of the source, as far as the umask allows. With `exactly`, it has the mode
    // and the times of the source. Then puts everything on the disk.
    void finish(const source& from, bool exactly);

    // Gives it its name, and puts that on the disk, where the folder may be read.
    void publish();

private:
    // The name of its own that it has in the folder, if any. It goes with this, also when the
    // constructor of the file throws.
    struct own_name {
        ~own_name();

        const descriptor& folder;
        std::string text;
    };

    void create_named();
    void keep_owner();
    void check(bool succeeded) const;

    const target& where_;
    descriptor folder_;
    descriptor file_;
    own_name name_{folder_, ""};
};

}  // namespace file_streaming
