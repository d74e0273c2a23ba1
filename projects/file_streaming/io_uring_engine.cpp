// The engine of io_uring, through Asio's random_access_file.
//
// Two things about that class are not in its reference. It hands the kernel one read at a time: the
// next one of the same object waits in a queue of Asio's until that has completed. So this keeps
// several objects for a file, each with a duplicate of the descriptor, and several reads are under
// way. And asio::async_read_at, which reads until the buffer is full, asks for 64 KiB at a time. So
// the loops here are written out.
//
// What remains to be computed, and fsync, which Asio has no asynchronous form of, go to a thread.

#include "file_streaming/engine.hpp"

#include <boost/asio/detail/config.hpp>

#if defined(BOOST_ASIO_HAS_IO_URING)

#include "file_streaming/file_error.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/random_access_file.hpp>
#include <boost/system/system_error.hpp>

#include <cerrno>
#include <utility>
#include <vector>

#include <fcntl.h>

namespace asio = boost::asio;
using boost::asio::awaitable;

namespace file_streaming {

namespace {

class ring_file final : public async_file {
public:
    ring_file(asio::any_io_executor loop, int file, std::string name)
        : loop_(std::move(loop)), file_(file), name_(std::move(name))
    {
    }

    awaitable<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> into) override
    {
        auto lane = take_lane();
        std::size_t have = 0;
        while (have < into.size()) {
            const asio::mutable_buffer rest = asio::buffer(into.data(), into.size()) + have;
            auto reading =
                lane.async_read_some_at(offset + have, rest, asio::as_tuple(asio::deferred));
            const auto [error, size] = co_await std::move(reading);
            if (error == asio::error::eof) {
                break;
            }
            throw_unless_interrupted(error);
            have += size;
        }
        idle_.push_back(std::move(lane));
        co_return have;
    }

    awaitable<void> write_at(std::uint64_t offset, std::span<const std::byte> bytes) override
    {
        auto lane = take_lane();
        std::size_t written = 0;
        while (written < bytes.size()) {
            const asio::const_buffer rest = asio::buffer(bytes.data(), bytes.size()) + written;
            auto writing =
                lane.async_write_some_at(offset + written, rest, asio::as_tuple(asio::deferred));
            const auto [error, size] = co_await std::move(writing);
            throw_unless_interrupted(error);
            written += size;
        }
        idle_.push_back(std::move(lane));
    }

private:
    // As many are made as are under way at once. One whose operation has failed is not used again.
    asio::random_access_file take_lane()
    {
        if (idle_.empty()) {
            const int copy = ::fcntl(file_, F_DUPFD_CLOEXEC, 0);
            if (copy < 0) {
                throw file_error(name_, errno);
            }
            return asio::random_access_file(loop_, copy);
        }
        auto lane = std::move(idle_.back());
        idle_.pop_back();
        return lane;
    }

    // The kernel says `interrupted` when an operation is cancelled while a thread of its own is at
    // it. The await in the next round then throws; without a cancellation it tries again.
    void throw_unless_interrupted(boost::system::error_code error) const
    {
        if (error && error != asio::error::interrupted) {
            throw_error(name_, error);
        }
    }

    const asio::any_io_executor loop_;
    const int file_;
    const std::string name_;
    std::vector<asio::random_access_file> idle_;
};

class io_uring_engine final : public engine {
public:
    explicit io_uring_engine(asio::any_io_executor loop) : loop_(std::move(loop)) {}

    std::string_view name() const override { return "io_uring"; }

    std::unique_ptr<async_file> attach(const descriptor& file, std::string name) override
    {
        return std::make_unique<ring_file>(loop_, file.number(), std::move(name));
    }

    awaitable<void> run(const std::function<void()>& job) override { return thread_->run(job); }

private:
    const asio::any_io_executor loop_;
    const std::unique_ptr<engine> thread_ = make_thread_engine(1);
};

}  // namespace

// The first file that is made on a loop makes the ring, and throws if the kernel will not have it.
// So this asks in the same way: it allows what the program is going to need.
std::unique_ptr<engine> make_io_uring_engine(asio::any_io_executor loop, std::string& refusal)
{
    try {
        const asio::random_access_file trial(loop);
    } catch (const boost::system::system_error& refused) {
        refusal = "the kernel refuses it: " + refused.code().message();
        return nullptr;
    }
    return std::make_unique<io_uring_engine>(std::move(loop));
}

}  // namespace file_streaming

#else

namespace file_streaming {

std::unique_ptr<engine> make_io_uring_engine(boost::asio::any_io_executor, std::string& refusal)
{
    refusal = "this program was built without it, because liburing was missing";
    return nullptr;
}

}  // namespace file_streaming

#endif
