// An engine for tests. Its operations really read and write, but only after the time that the test
// says; that time is virtual. It counts what goes on at once, and can call the test between two
// operations, so that a fault comes exactly there.

#pragma once

#include "common/clock.hpp"
#include "file_streaming/engine.hpp"

#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>

struct slow_engine_script {
    // How long the operation of this number takes; the first is number 1.
    std::function<common::duration(int)> read_time = [](int) { return common::duration(0); };
    std::function<common::duration(int)> write_time = [](int) { return common::duration(0); };
    std::function<common::duration(int)> job_time = [](int) { return common::duration(0); };

    // Called before each operation, whatever it is, with its number among all.
    std::function<void(int)> before = [](int) {};
};

class slow_engine final : public file_streaming::engine {
public:
    explicit slow_engine(slow_engine_script script) : script_(std::move(script)) {}

    std::string_view name() const override { return "slow"; }

    std::unique_ptr<file_streaming::async_file> attach(
        const file_streaming::descriptor& file, std::string name) override
    {
        return std::make_unique<slow_file>(*this, below_->attach(file, std::move(name)));
    }

    boost::asio::awaitable<void> run(const std::function<void()>& job) override
    {
        co_await wait(script_.job_time(++jobs_));
        co_await below_->run(job);
    }

    int operations() const { return operations_; }
    int most_reads_at_once() const { return most_reads_; }

    // How many reads began while a write was under way.
    int reads_beside_writes() const { return reads_beside_writes_; }

private:
    class slow_file final : public file_streaming::async_file {
    public:
        slow_file(slow_engine& engine, std::unique_ptr<file_streaming::async_file> below)
            : engine_(engine), below_(std::move(below))
        {
        }

        boost::asio::awaitable<std::size_t> read_at(
            std::uint64_t offset, std::span<std::byte> into) override
        {
            engine_.most_reads_ = std::max(engine_.most_reads_, ++engine_.reads_under_way_);
            engine_.reads_beside_writes_ += engine_.writes_under_way_ > 0 ? 1 : 0;
            co_await engine_.wait(engine_.script_.read_time(++engine_.reads_));
            --engine_.reads_under_way_;
            co_return co_await below_->read_at(offset, into);
        }

        boost::asio::awaitable<void> write_at(
            std::uint64_t offset, std::span<const std::byte> bytes) override
        {
            ++engine_.writes_under_way_;
            co_await engine_.wait(engine_.script_.write_time(++engine_.writes_));
            --engine_.writes_under_way_;
            co_await below_->write_at(offset, bytes);
        }

    private:
        slow_engine& engine_;
        const std::unique_ptr<file_streaming::async_file> below_;
    };

    boost::asio::awaitable<void> wait(common::duration time)
    {
        script_.before(++operations_);
        if (time > common::duration(0)) {
            co_await common::sleep_for(time);
        }
    }

    const slow_engine_script script_;
    const std::unique_ptr<file_streaming::engine> below_ = file_streaming::make_blocking_engine();
    int operations_ = 0;
    int reads_ = 0;
    int writes_ = 0;
    int jobs_ = 0;
    int reads_under_way_ = 0;
    int writes_under_way_ = 0;
    int most_reads_ = 0;
    int reads_beside_writes_ = 0;
};
