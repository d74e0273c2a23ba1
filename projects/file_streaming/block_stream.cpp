#include "file_streaming/block_stream.hpp"

#include "file_streaming/file_error.hpp"

#include <fmt/format.h>

#include <stdexcept>

using boost::asio::awaitable;

namespace file_streaming {

block_stream::block_stream(const source& from, async_file& file, block_limits limits)
    : from_(from), file_(file), block_size_(limits.size), coming_(limits.count)
{
    try {
        for (std::size_t i = 0; i < limits.count; ++i) {
            give_back(blocks_.emplace_back(limits.size));
        }
    } catch (const std::bad_alloc&) {
        throw std::runtime_error(fmt::format(
            "not enough memory for {} blocks of {}", limits.count,
            human_size(static_cast<double>(limits.size))));
    }
}

awaitable<void> block_stream::read_ahead(
    common::task_group& group, holes what_of_holes, progress& work)
{
    pieces plan(from_, block_size_, what_of_holes);
    while (const auto piece = plan.next()) {
        work.set_total(from_.size() - plan.left_out());
        block* const empty = co_await idle_.get();
        empty->piece_ = *piece;
        empty->filled_.clear();
        group.spawn(fill(*empty));
        co_await coming_.put(empty);
    }
    work.set_total(from_.size() - plan.left_out());
    coming_.close();
}

awaitable<void> block_stream::fill(block& empty)
{
    const auto size = co_await file_.read_at(empty.offset(), empty.bytes());
    if (size < empty.bytes().size()) {
        throw file_error(from_.path(), "has shrunk while it was read");
    }
    empty.filled_.set();
}

awaitable<block*> block_stream::next()
{
    try {
        block* const first = co_await coming_.get();
        co_await first->filled_.wait();
        co_return first;
    } catch (const common::queue_closed&) {
        co_return nullptr;
    }
}

}  // namespace file_streaming
