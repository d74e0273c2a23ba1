#include "task_queue/redis_client.hpp"

#include "common/log.hpp"
#include "common/look_up.hpp"
#include "common/timeout.hpp"
#include "task_queue/backoff.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace task_queue {

namespace {

constexpr common::duration connect_limit = 5s;
constexpr milliseconds first_pause = 100ms;
constexpr milliseconds longest_pause = 3s;
constexpr const char* no_answer = "it is there, and does not answer";

}  // namespace

bool is_error(std::string_view error, std::string_view code)
{
    return error.starts_with(fmt::format("{} ", code)) ||
           error.find(fmt::format("-{} ", code)) != error.npos;
}

namespace {

// Redis is there, and cannot do it now: it loads its data, its disk or memory is full, it is about
// to be replaced by another.
bool will_pass(std::string_view error)
{
    constexpr std::array<std::string_view, 8> codes = {
        "LOADING", "BUSY", "READONLY", "MASTERDOWN", "OOM", "MISCONF", "TRYAGAIN", "CLUSTERDOWN"};
    return std::any_of(
        codes.begin(), codes.end(), [&](auto code) { return is_error(error, code); });
}

asio::awaitable<void> greet(redis_connection& fresh)
{
    if (const char* const password = std::getenv("REDISCLI_AUTH")) {
        std::vector<std::string> login;
        login.emplace_back("AUTH");
        login.emplace_back(password);
        co_await fresh.command(std::move(login));
    }
    std::vector<std::string> ping(1, "PING");
    co_await fresh.command(std::move(ping));
}

}  // namespace

// One after another of the addresses that the name has, until one answers.
asio::awaitable<std::shared_ptr<redis_connection>> redis_client::connect()
{
    const auto executor = co_await asio::this_coro::executor;
    if (!address_.path.empty()) {
        auto fresh = std::make_shared<redis_connection>(executor, address_.path);
        co_await greet(*fresh);
        co_return fresh;
    }
    const auto found = co_await common::look_up(address_.host, address_.port);
    std::exception_ptr failure;
    for (const auto& each : found) {
        const auto endpoint = each.endpoint();
        try {
            auto fresh = std::make_shared<redis_connection>(
                executor, endpoint.address().to_string(), endpoint.port());
            co_await greet(*fresh);
            co_return fresh;
        } catch (const connection_lost&) {
            failure = std::current_exception();
        }
    }
    std::rethrow_exception(failure);
}

asio::awaitable<void> redis_client::run()
{
    for (int failures = 0;; ++failures) {
        try {
            connection_ = co_await common::with_timeout(connect_limit, connect());
            if (std::exchange(failures, 0) > 0) {
                tell("connected");
            }
            if (!refused_) {
                trouble_ = no_answer;
            }
            connected_.set();
            co_await connection_->wait_for_end();
            trouble_ = connection_->why();
        } catch (const boost::system::system_error& failure) {
            if (failure.code() == asio::error::operation_aborted) {
                throw;
            }
            trouble_ = failure.code().message();
            refused_ = false;
        } catch (const std::exception& failure) {
            trouble_ = failure.what();
            refused_ = false;
        }
        connected_.clear();
        if (failures == 0) {
            tell(trouble_ + "; trying again");
        }
        co_await common::sleep_for(
            backoff_pause(failures + 1, first_pause, longest_pause, chance_));
    }
}

// Commands hear that the connection has ended before run() does, and may ask again at once.
asio::awaitable<void> redis_client::wait_until_connected()
{
    if (!connected()) {
        connected_.clear();
    }
    co_await connected_.wait();
}

asio::awaitable<redis_reply> redis_client::command(
    std::vector<std::string> words, common::duration limit)
{
    co_await wait_until_connected();
    const auto connection = connection_;
    try {
        co_return co_await common::with_timeout(limit, connection->command(std::move(words)));
    } catch (const common::timeout_error&) {
        connection->close("there was no answer in time");
        throw connection_lost("there was no answer in time");
    }
}

asio::awaitable<redis_reply> redis_client::run_script(
    std::string_view script, std::vector<std::string> keys, std::vector<std::string> arguments)
{
    bool load = !checksums_.contains(script);
    while (true) {
        if (load) {
            std::vector<std::string> words{"SCRIPT", "LOAD", std::string(script)};
            auto reply = co_await command(std::move(words));
            checksums_[std::string(script)] = std::move(reply.text);
        }
        std::vector<std::string> words{"EVALSHA", checksums_.find(script)->second};
        words.push_back(std::to_string(keys.size()));
        words.insert(words.end(), keys.begin(), keys.end());
        words.insert(words.end(), arguments.begin(), arguments.end());
        try {
            auto reply = co_await command(std::move(words));
            refused_ = false;
            trouble_ = no_answer;
            co_return reply;
        } catch (const redis_error& error) {
            const std::string_view what = error.what();
            if (will_pass(what)) {
                drop(error.what());
                throw connection_lost(error.what());
            }
            if (load || !is_error(what, "NOSCRIPT")) {
                throw;
            }
            load = true;
        }
    }
}

void redis_client::drop(const std::string& reason)
{
    refused_ = true;
    if (connection_) {
        connection_->close(reason);
    }
}

void redis_client::tell(std::string_view text) const
{
    if (!quiet_) {
        common::log("redis", "{}: {}", address_.text(), text);
    }
}

}  // namespace task_queue
