#include "file_streaming/source.hpp"

#include "file_streaming/blocking_calls.hpp"
#include "file_streaming/file_error.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>

namespace file_streaming {

namespace {

bool same_time(const timespec& one, const timespec& other)
{
    return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

}  // namespace

// O_NONBLOCK is for a pipe, which would wait for somebody to write to it. It is taken back, because
// io_uring would heed it.
source::source(std::string path)
    : path_(std::move(path)), file_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))
{
    if (!file_.is_open() || ::fstat(file_.number(), &at_first_) != 0) {
        throw file_error(path_, errno);
    }
    if (S_ISDIR(at_first_.st_mode)) {
        throw file_error(path_, EISDIR);
    }
    if (!S_ISREG(at_first_.st_mode)) {
        throw file_error(path_, "is not a regular file");
    }
    if (::fcntl(file_.number(), F_SETFL, 0) != 0) {
        throw file_error(path_, errno);
    }
    ::posix_fadvise(file_.number(), 0, 0, POSIX_FADV_SEQUENTIAL);  // a hint, which may be ignored
}

void source::require_unchanged() const
{
    std::byte behind_the_end[1];
    if (read_fully(file_.number(), size(), behind_the_end, path_) > 0) {
        throw file_error(path_, "has more bytes than its size said: it has grown meanwhile");
    }
    struct stat now = {};
    if (::fstat(file_.number(), &now) != 0) {
        throw file_error(path_, errno);
    }
    if (now.st_size < at_first_.st_size) {
        throw file_error(path_, "has shrunk while it was read");
    }
    if (now.st_size != at_first_.st_size || !same_time(now.st_mtim, at_first_.st_mtim)) {
        throw file_error(path_, "has been changed while it was read");
    }
}

pieces::pieces(const source& file, std::size_t block_size, holes what_of_holes)
    : file_(file),
      block_size_(block_size),
      end_of_data_(what_of_holes == holes::read ? file.size() : 0)
{
}

std::optional<piece> pieces::next()
{
    while (position_ == end_of_data_ && position_ < file_.size()) {
        find_data();
    }
    if (position_ >= file_.size()) {
        return std::nullopt;
    }
    const auto next_multiple = position_ - position_ % block_size_ + block_size_;
    const auto end = std::min(next_multiple, end_of_data_);
    const piece found{position_, static_cast<std::size_t>(end - position_)};
    position_ = end;
    return found;
}

void pieces::find_data()
{
    const auto size = file_.size();
    const auto seek = [this](int whence) {
        return ::lseek(file_.file().number(), static_cast<off_t>(position_), whence);
    };

    auto begin = seek(SEEK_DATA);
    if (begin < 0 && errno == ENXIO) {
        begin = static_cast<off_t>(size);  // nothing but a hole up to the end
    } else if (begin < 0 && errno == EINVAL) {
        end_of_data_ = size;  // the file system knows no holes
        return;
    } else if (begin < 0) {
        throw file_error(file_.path(), errno);
    }
    const auto data = std::min(static_cast<std::uint64_t>(begin), size);
    left_out_ += data - position_;
    position_ = data;
    end_of_data_ = data;
    if (data == size) {
        return;
    }
    const auto end = seek(SEEK_HOLE);
    if (end < 0) {
        throw file_error(file_.path(), errno == ENXIO ? "has shrunk while it was read" : "lseek");
    }
    // A file that has grown since it was opened may have its next hole behind its old end.
    end_of_data_ = std::min(static_cast<std::uint64_t>(end), size);
}

}  // namespace file_streaming
