// The journal: the file in which a queue writes down what happens to its jobs, before it does.
//
// It is only ever appended to, so a crash can spoil nothing but its end (records.hpp). After a
// restart all records are read again, in their order, and the queue is where it was. The file
// grows with each record, and most of them are about jobs that are long done. So now and then
// rewrite() replaces it by one that has the same result and is short: written beside it, brought to
// the disk, and renamed over it. A crash in the middle of that leaves the old one.
//
// Two workers that append to one journal would each go by half of the truth. The first one locks a
// file beside it, NAME.lock. It cannot be the journal itself, which rewrite() replaces, and the
// lock with it. The system frees the lock when its owner dies, also by SIGKILL, so none is ever
// left.

#pragma once

#include "task_queue/file.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace task_queue {

class journal {
public:
    // Opens the journal, or makes one. Throws std::runtime_error when another process has it, when
    // the file is no journal, and when it is damaged in the middle; std::system_error.
    explicit journal(const std::filesystem::path& path);

    // The records that were in it, once. A torn one at the end has been dropped.
    std::vector<std::string> take_records() { return std::move(records_); }

    // The bytes that were dropped.
    std::size_t torn_bytes() const { return torn_bytes_; }

    // Appends the records with one write(). When it returns, they survive the end of the program;
    // sync() makes them survive that of the machine. Once it has thrown std::system_error, the end
    // of the file may be torn, and nothing can be appended any more: it throws each time.
    void append(const std::vector<std::string>& records);
    void sync() { file_.sync(); }

    // Replaces all records by these, which are on the disk when it returns. When it throws
    // std::system_error, the journal is as it was; or it is not known which one a crash would
    // leave, and then append() throws from now on.
    void rewrite(const std::vector<std::string>& records);

    std::size_t size() const { return size_; }

    // Where it is: what it was opened by may have been a link.
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
    file lock_;
    file file_;
    std::size_t size_ = 0;
    std::size_t torn_bytes_ = 0;
    bool broken_ = false;
    std::vector<std::string> records_;
};

// The records of a journal that belongs to another process, or to none: as many as are whole at
// this moment. None where there is no journal. Throws as the constructor of journal does.
std::vector<std::string> read_journal(const std::filesystem::path& path);

}  // namespace task_queue
