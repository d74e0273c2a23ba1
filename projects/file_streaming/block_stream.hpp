// A file as a stream of blocks, read ahead of whoever takes them, in bounded memory.
//
// There is a fixed number of blocks, and each is always in one place: idle, in the queue, or in the
// hands of one coroutine. Whoever reads takes an idle block, starts the read, and puts the block in
// the queue before its bytes are there. So several reads are under way, and finish in any order,
// while the blocks in the queue stand in the order of the file. Whoever takes the next block waits
// until it is filled, uses it, and gives it back. When nobody gives blocks back, there are no idle
// ones, and no read begins: that is the backpressure, and the bound on memory.

#pragma once

#include "common/event.hpp"
#include "common/queue.hpp"
#include "common/task_group.hpp"
#include "file_streaming/engine.hpp"
#include "file_streaming/progress.hpp"
#include "file_streaming/source.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <new>
#include <span>

namespace file_streaming {

// The memory for the bytes of a file under way is count times size.
struct block_limits {
    std::size_t size = 1024 * 1024;  // bytes
    std::size_t count = 8;
};

class block {
public:
    explicit block(std::size_t capacity)
        : bytes_(static_cast<std::byte*>(::operator new(capacity, page)))
    {
    }

    std::uint64_t offset() const { return piece_.offset; }
    std::span<std::byte> bytes() { return {bytes_.get(), piece_.size}; }

private:
    friend class block_stream;

    // Where pages of memory begin. Some processors copy several times more slowly between a page of
    // the system's cache and bytes that begin a little behind the start of one.
    static constexpr auto page = std::align_val_t(4096);

    struct free_bytes {
        void operator()(std::byte* bytes) const { ::operator delete(bytes, page); }
    };

    const std::unique_ptr<std::byte, free_bytes> bytes_;
    piece piece_ = {};
    common::event filled_;
};

class block_stream {
public:
    // Both must outlive it. Throws std::runtime_error when there is no memory for the blocks.
    block_stream(const source& from, async_file& file, block_limits limits);

    // Reads to the end, as far ahead as there are blocks. Starts the reads in `group`, and throws
    // file_error there when the file ends too early. `work` learns how much there is to do.
    boost::asio::awaitable<void> read_ahead(
        common::task_group& group, holes what_of_holes, progress& work);

    // Completes with the next block, in the order of the file, when its bytes have come; with
    // nullptr at the end.
    boost::asio::awaitable<block*> next();

    // The block can be read into again.
    void give_back(block& used) { idle_.try_put(&used); }

private:
    boost::asio::awaitable<void> fill(block& empty);

    const source& from_;
    async_file& file_;
    const std::size_t block_size_;
    std::deque<block> blocks_;
    common::queue<block*> idle_;
    common::queue<block*> coming_;  // filled, or being filled
};

}  // namespace file_streaming
