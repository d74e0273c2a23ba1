// The lowest layer: sends a request to whatever server its URL names, over a connection that is
// kept for the next one.
//
// A connection costs a round trip before the first byte can be sent, so after an exchange it is not
// closed but kept, and the next exchange with the same host and port takes it. That has its price:
// the server may close it at any time, and often has when it is wanted again. Three things are done
// about it.
//
// - A connection that has lain for too long is dropped.
// - Before one is used, the system is asked whether it is quiet. If the server has closed it, it is
//   dropped, and nothing has been lost.
// - The server can still close it in the very moment in which the request is sent. Then it ends
//   without a byte of an answer, and nobody can tell whether the request was read. An idempotent
//   request is sent once more, on a new connection. Any other, and one that is to be sent
//   `only_once`, fails with failure::no_answer, and the caller has to decide.
//
// A connection that was used for an exchange that failed, or that was cancelled, is closed. What
// this layer does not do: deadlines (put it into common::with_timeout), redirects, retries
// (client.hpp).
//
//     http::pool pool;
//     const auto answer = co_await pool.exchange(http::request(http::url("http://example.org/")));
//
// Use a pool from one thread or one strand. It must outlive its exchanges, and has to be gone
// before the event loop is: make it in the coroutine that `common::run` runs.

#pragma once

#include "api_client/http_connection.hpp"
#include "api_client/http_message.hpp"

#include "common/clock.hpp"
#include "common/semaphore.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <string>

namespace http {

struct pool_limits {
    std::size_t connections_per_host = 8;  // more exchanges than that wait in line
    std::size_t kept = 64;                 // connections that wait, of all hosts
    common::duration kept_for = std::chrono::seconds(30);
};

class pool {
public:
    // Throws std::invalid_argument if a host may have no connection.
    explicit pool(pool_limits limits = pool_limits());
    pool(const pool&) = delete;
    pool& operator=(const pool&) = delete;

    // Completes with the answer, whatever its status, when it has come whole. Throws
    // exchange_error; std::invalid_argument for a request that cannot be sent. Cancelled
    // (terminal), it throws operation_aborted, and its connection is closed.
    boost::asio::awaitable<response> exchange(request what);

    // How many connections wait for another exchange.
    std::size_t kept() const { return kept_.size(); }

    // How many exchanges are under way.
    std::size_t in_use() const { return in_use_; }

    // How many connections have been opened so far.
    std::size_t opened() const { return opened_; }

    // Closes the connections that wait.
    void close_kept() { kept_.clear(); }

private:
    struct kept_connection {
        std::string host;  // and port
        std::unique_ptr<connection> link;
        common::time_point since;
    };

    std::unique_ptr<connection> take(const std::string& host);
    void keep(const std::string& host, std::unique_ptr<connection> link);
    boost::asio::awaitable<response> exchange_on(
        std::unique_ptr<connection> link, const request& what);
    boost::asio::awaitable<response> exchange_on_new(const request& what);

    const pool_limits limits_;
    std::map<std::string, common::semaphore> places_;  // by host and port
    std::list<kept_connection> kept_;                  // the one that was used last is at the back
    std::size_t in_use_ = 0;
    std::size_t opened_ = 0;
};

}  // namespace http
