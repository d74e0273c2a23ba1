// The engine of a bounded thread pool: each call blocks one of its threads, and not the loop.

#include "common/run_on.hpp"
#include "file_streaming/blocking_calls.hpp"
#include "file_streaming/engine.hpp"

#include <boost/asio/thread_pool.hpp>

#include <utility>

namespace asio = boost::asio;
using boost::asio::awaitable;

namespace file_streaming {

namespace {

// These have no await in them: they begin on a thread of the pool, and block it to their end.
awaitable<std::size_t> read_here(
    int file, std::uint64_t offset, std::span<std::byte> into, std::string_view name)
{
    co_return read_fully(file, offset, into, name);
}

awaitable<void> write_here(
    int file, std::uint64_t offset, std::span<const std::byte> bytes, std::string_view name)
{
    write_fully(file, offset, bytes, name);
    co_return;
}

awaitable<void> run_here(const std::function<void()>& job)
{
    job();
    co_return;
}

class pool_file final : public async_file {
public:
    pool_file(asio::any_io_executor pool, int file, std::string name)
        : pool_(std::move(pool)), file_(file), name_(std::move(name))
    {
    }

    awaitable<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        return common::run_on(pool_, read_here(file_, offset, into, name_));
    }

    awaitable<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes) override
    {
        return common::run_on(pool_, write_here(file_, offset, bytes, name_));
    }

private:
    const asio::any_io_executor pool_;
    const int file_;
    const std::string name_;
};

class thread_engine final : public engine {
public:
    explicit thread_engine(std::size_t threads) : pool_(threads) {}

    std::string_view name() const override { return "threads"; }

    std::unique_ptr<async_file> attach(const descriptor& file, std::string name) override
    {
        return std::make_unique<pool_file>(pool_.get_executor(), file.number(), std::move(name));
    }

    awaitable<void> run(const std::function<void()>& job) override
    {
        return common::run_on(asio::any_io_executor(pool_.get_executor()), run_here(job));
    }

private:
    asio::thread_pool pool_;
};

}  // namespace

std::unique_ptr<engine> make_thread_engine(std::size_t threads)
{
    return std::make_unique<thread_engine>(threads);
}

}  // namespace file_streaming
