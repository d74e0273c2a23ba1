// The engine that stands still: each call blocks the loop, and with it everything else.

#include "common/clock.hpp"
#include "file_streaming/blocking_calls.hpp"
#include "file_streaming/engine.hpp"

#include <utility>

using boost::asio::awaitable;

namespace file_streaming {

namespace {

// Between two calls the loop gets a turn. Without it a Ctrl-C would not be heard before the end.
class blocking_file final : public async_file {
public:
    blocking_file(int file, std::string name) : file_(file), name_(std::move(name)) {}

    awaitable<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        co_await common::yield();
        co_return read_fully(file_, offset, into, name_);
    }

    awaitable<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes) override
    {
        co_await common::yield();
        write_fully(file_, offset, bytes, name_);
    }

private:
    const int file_;
    const std::string name_;
};

class blocking_engine final : public engine {
public:
    std::string_view name() const override { return "blocking"; }

    std::unique_ptr<async_file> attach(const descriptor& file, std::string name) override
    {
        return std::make_unique<blocking_file>(file.number(), std::move(name));
    }

    awaitable<void> run(const std::function<void()>& job) override
    {
        co_await common::yield();
        job();
    }
};

}  // namespace

std::unique_ptr<engine> make_blocking_engine()
{
    return std::make_unique<blocking_engine>();
}

}  // namespace file_streaming
