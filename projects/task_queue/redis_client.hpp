// A client of Redis that survives its restarts.
//
// run() keeps a connection: it makes one, waits until that ends, and makes another, with pauses
// that grow as long as there is no answer. Whoever has a command waits until there is a connection.
// When that ends before the reply has come, the command has been carried out or not, and only the
// caller knows whether it can be sent twice. It gets connection_lost, and decides.

#pragma once

#include "common/clock.hpp"
#include "common/event.hpp"
#include "task_queue/redis_connection.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace task_queue {

// Whether an error of Redis is of this kind. The kind is its first word; Redis 6 puts more in front
// of it where a script has had the error.
bool is_error(std::string_view error, std::string_view code);

class redis_client {
public:
    // A quiet one tells the log nothing.
    explicit redis_client(redis_address address, bool quiet = false)
        : address_(std::move(address)), quiet_(quiet)
    {
    }

    // Keeps a connection, until it is cancelled. Tells the log when one is lost, and when there is
    // one again. The password, where Redis wants one, is what REDISCLI_AUTH in the environment
    // says, as with redis-cli.
    boost::asio::awaitable<void> run();

    // Sends a command, once there is a connection, and completes with the reply. Throws
    // redis_error, and connection_lost, also when there is no reply within `limit`.
    boost::asio::awaitable<redis_reply> command(
        std::vector<std::string> words, common::duration limit = default_limit);

    // The same for a script in Lua, which Redis runs as one step. Redis keeps the text, and gives a
    // checksum by which it is called; after a restart it has to be told the text again. An error
    // that passes, such as that Redis is still loading its data, ends the connection, and throws
    // connection_lost.
    boost::asio::awaitable<redis_reply> run_script(
        std::string_view script, std::vector<std::string> keys, std::vector<std::string> arguments);

    bool connected() const { return connection_ && connection_->open(); }

    // Completes when there is a connection, and Redis answers.
    boost::asio::awaitable<void> wait_until_connected();

    // Ends the connection, so that run() makes another.
    void drop(const std::string& reason);

    // Why there is no answer.
    const std::string& trouble() const { return trouble_; }

    static constexpr common::duration default_limit = std::chrono::seconds(10);

private:
    boost::asio::awaitable<std::shared_ptr<redis_connection>> connect();
    void tell(std::string_view text) const;

    const redis_address address_;
    const bool quiet_;
    std::shared_ptr<redis_connection> connection_;
    common::event connected_;
    std::map<std::string, std::string, std::less<>> checksums_;  // of scripts, by their text
    std::minstd_rand chance_{std::random_device()()};
    std::string trouble_ = "not connected yet";
    bool refused_ = false;  // by the last answer to a script: that is the trouble, connected or not
};

}  // namespace task_queue
