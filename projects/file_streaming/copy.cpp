#include "file_streaming/copy.hpp"

#include "file_streaming/together.hpp"

#include <functional>

using boost::asio::awaitable;

namespace file_streaming {

namespace {

awaitable<void> write_one(block_stream& blocks, block& full, async_file& out, progress& work)
{
    co_await out.write_at(full.offset(), full.bytes());
    work.add(full.bytes().size());
    blocks.give_back(full);
}

// The writes that have begun are tasks of the group: it ends when they have.
awaitable<void> write_all(
    common::task_group& group, block_stream& blocks, async_file& out, progress& work)
{
    while (block* const full = co_await blocks.next()) {
        group.spawn(write_one(blocks, *full, out, work));
    }
}

}  // namespace

// Two jobs end the copy. A cancellation is heard before each of them. Once the second has begun,
// the copy gets its name.
awaitable<void> copy(
    engine& with, const source& from, const target& to, block_limits limits, bool exactly,
    progress& work)
{
    unfinished_file copied(to);
    const auto in = with.attach(from.file(), from.path());
    const auto out = with.attach(copied.file(), to.path.string());
    block_stream blocks(from, *in, limits);

    const auto transfer = [&](common::task_group& group) -> awaitable<void> {
        group.spawn(blocks.read_ahead(group, holes::leave_out, work));
        co_await write_all(group, blocks, *out, work);
    };
    co_await together(transfer);
    from.require_unchanged();

    const std::function<void()> finish = [&] { copied.finish(from, exactly); };
    co_await with.run(finish);
    const std::function<void()> publish = [&] { copied.publish(); };
    co_await with.run(publish);
}

}  // namespace file_streaming
