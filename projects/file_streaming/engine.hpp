// Three ways to read and write files, behind one interface.
//
// A socket tells when it is ready, and that is what an event loop waits for. A file on a disk is
// always ready, for epoll and for select, and then the read blocks for as long as the disk takes.
// So there are these ways:
//
// - io_uring: the kernel is handed a read and tells when it is done. That is what Asio's
//   random_access_file is built on. No thread of this program waits. Old kernels have no io_uring,
//   and containers often refuse it.
// - threads: a thread of a pool makes the call that blocks, and the loop goes on. The pool has a
//   fixed number of threads; what is more than that waits in its queue.
// - blocking: the loop makes the call itself and stands still meanwhile. Nothing overlaps. It is
//   here to compare with.
//
// A call that has gone to a thread cannot be cancelled: a cancellation waits until it has returned.
// A block takes milliseconds, and so the program still stops at once when it is told to. Only the
// fsync at the end of a copy can take longer, when the disk is slow.

#pragma once

#include "file_streaming/descriptor.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace file_streaming {

// An open file, read and written at offsets, so that several operations can be under way at once.
// It must outlive them. Errors are file_errors that name the file.
class async_file {
public:
    virtual ~async_file() = default;

    // Completes when the buffer is full, or the file ends: gives the number of bytes, which is less
    // than asked for only at the end.
    virtual boost::asio::awaitable<std::size_t> read_at(
        std::uint64_t offset, std::span<std::byte> into) = 0;

    // Completes when all the bytes are written.
    virtual boost::asio::awaitable<void> write_at(
        std::uint64_t offset, std::span<const std::byte> bytes) = 0;
};

class engine {
public:
    virtual ~engine() = default;

    virtual std::string_view name() const = 0;

    // A file that is open already, and stays open for as long as the result lives. `name` is for
    // what goes wrong.
    virtual std::unique_ptr<async_file> attach(const descriptor& file, std::string name) = 0;

    // Runs what blocks or computes, and completes when it has returned, or thrown. It is not
    // cancelled half way. The job must live until then.
    virtual boost::asio::awaitable<void> run(const std::function<void()>& job) = 0;
};

enum class engine_kind {
    automatic,  // io_uring where it works, else threads
    io_uring,
    threads,
    blocking,
};

// `threads` is the size of the pool, at least 1. Throws std::runtime_error, which says why, when
// io_uring is asked for and is not to be had.
std::unique_ptr<engine> make_engine(
    engine_kind kind, boost::asio::any_io_executor loop, std::size_t threads);

// One each. The first gives null, and the reason, where this program or the kernel has no io_uring.
std::unique_ptr<engine> make_io_uring_engine(
    boost::asio::any_io_executor loop, std::string& refusal);
std::unique_ptr<engine> make_thread_engine(std::size_t threads);
std::unique_ptr<engine> make_blocking_engine();

}  // namespace file_streaming
