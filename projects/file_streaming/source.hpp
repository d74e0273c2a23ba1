// A file that is read from its beginning to its end, and has to stay as it is meanwhile.
//
// Its size is taken when it is opened, and so many bytes are read. When another program writes to
// it meanwhile, what was read is neither the old file nor the new one. That is an error here: a
// file that has shrunk shows in a read that comes up short, one that has grown in a byte behind its
// end, and other changes in the time of the last one, which the system keeps. Who puts that time
// back is not noticed. The time of the last change to the inode would tell, but it also moves when
// the file is renamed, linked, removed or given another mode, and all of its bytes are right.
//
// A sparse file has holes: stretches which nobody has written to, which take no room on the disk,
// and read as zeros. lseek knows where the next data begin, and where the next hole does.

#pragma once

#include "file_streaming/descriptor.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <sys/stat.h>

namespace file_streaming {

class source {
public:
    // Opens it. Throws file_error, also when it is not a regular file: a folder, a device, a pipe.
    explicit source(std::string path);

    const std::string& path() const { return path_; }
    const descriptor& file() const { return file_; }
    std::uint64_t size() const { return static_cast<std::uint64_t>(at_first_.st_size); }

    // As it was when it was opened.
    const struct stat& status() const { return at_first_; }

    // Throws file_error if it is not as it was then. To be called when everything has been read.
    void require_unchanged() const;

private:
    const std::string path_;
    descriptor file_;
    struct stat at_first_ = {};
};

// A part of a file that is read at once.
struct piece {
    std::uint64_t offset;
    std::size_t size;
};

enum class holes { read, leave_out };

// The pieces of a file, one after another. They begin and end at multiples of the block size, but
// for the first and last of each stretch of data.
class pieces {
public:
    pieces(const source& file, std::size_t block_size, holes what_of_holes);

    // Nothing at the end. Throws file_error.
    std::optional<piece> next();

    // The bytes of the holes that were left out so far.
    std::uint64_t left_out() const { return left_out_; }

private:
    void find_data();

    const source& file_;
    const std::size_t block_size_;
    std::uint64_t position_ = 0;
    std::uint64_t end_of_data_ = 0;  // of the stretch that position_ is in
    std::uint64_t left_out_ = 0;
};

}  // namespace file_streaming
