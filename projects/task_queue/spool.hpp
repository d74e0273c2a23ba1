// The spool: the directory where other programs leave what the worker is to write into its journal.
//
// A journal has one writer, the worker. Then its end is torn only by the writer's own death, nobody
// needs to find out where it ends before each append, and a submit never waits for a lock. Whoever
// submits puts a file of records into a directory beside the journal, NAME.spool: under another
// name first, brought to the disk, and then renamed. So the worker sees it whole or not at all, and
// a submit that has been answered survives whatever crashes. Mail has been delivered in this way
// for a long time, into a Maildir.
//
// The worker appends the records to the journal, syncs that, and then removes the file. If it dies
// in between, it finds the records in both, and knows the jobs by their ids.

#pragma once

#include "task_queue/job_table.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <filesystem>
#include <vector>

namespace task_queue {

class spool {
public:
    explicit spool(const std::filesystem::path& journal);

    // Makes the directory if there is none.
    void create() const;

    // When it returns, the changes are on the disk. Throws std::system_error; nothing has been left
    // then, unless it is the directory that cannot be synced.
    void leave(const std::vector<change>& changes) const;

    struct letter {
        std::filesystem::path path;
        std::vector<change> changes;
    };

    // What was left and not removed, in the order in which it came.
    std::vector<letter> letters() const;

    // When it returns, they will not come back, whatever crashes.
    void remove(const std::vector<letter>& letters) const;

    // Removes what others have begun to write and not finished, a day ago or longer.
    void remove_leftovers() const;

    const std::filesystem::path& directory() const { return directory_; }

private:
    std::filesystem::path directory_;
};

// Says when something has been left, by Linux's inotify: a descriptor that can be read when a
// directory has changed.
class spool_watch {
public:
    spool_watch(boost::asio::any_io_executor executor, const spool& watched);

    // Completes when something has been left since it was made, or since the last call completed.
    // Throws std::runtime_error when the directory has been removed or renamed: whoever submits
    // makes another, which nobody watches.
    boost::asio::awaitable<void> wait();

private:
    const std::filesystem::path directory_;
    boost::asio::posix::stream_descriptor changes_;
};

}  // namespace task_queue
