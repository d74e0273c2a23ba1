// A client that does not give up too early, or too late.
//
// A call is a loop of tries. Each try has a limit, since a server that is silent may be a server
// that has forgotten us; the call as a whole has a deadline, because that is what the caller cares
// about. What a try makes of itself decides what comes next: retry.hpp says which failures are
// worth another one. A server that says when to come back is believed, and if that is after the
// deadline, the call ends at once: a wait that cannot help is a wait for nothing.
//
// A cancellation is none of these failures. It goes through to the caller, who does not want the
// answer any more.

#pragma once

#include "api_client/http_message.hpp"
#include "api_client/http_pool.hpp"
#include "api_client/retry.hpp"

#include "common/clock.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>

namespace api {

// A try that failed, and is followed by another one.
struct failed_try {
    int number;  // the first is 1
    std::string why;
    common::duration pause;  // before the next
};

struct client_options {
    common::duration deadline = std::chrono::seconds(30);   // for the call, pauses included
    common::duration try_limit = std::chrono::seconds(10);  // for a try and its wait for the pool
    retry_policy retry = {};
    std::function<void(const failed_try&)> on_retry = {};
};

// The deadline came before an answer. what() says what the last try had come to.
class deadline_exceeded : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// There is an answer, but not the one that was asked for: its status is not one of success, or its
// body is not what it should be.
class unexpected_answer : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class client {
public:
    // The pool must outlive it. Chance is for the pauses; a test gives it a seed.
    explicit client(
        http::pool& pool, client_options options = client_options(),
        std::minstd_rand chance = std::minstd_rand(std::random_device()()));

    // Completes with the last answer, whatever its status: one that is not worth another try, or
    // the one after which there was no time, or there were no tries, left. Throws
    // http::exchange_error where the last try had no answer; deadline_exceeded;
    // std::invalid_argument for a request that cannot be sent.
    //
    // Cancelled (terminal), it throws operation_aborted, wherever it is, and leaves the pool as it
    // was, without the connection that was in use.
    boost::asio::awaitable<http::response> send(http::request what);

private:
    struct outcome;

    boost::asio::awaitable<http::response> try_until_done(
        const http::request& what, common::time_point deadline, std::string& last);
    boost::asio::awaitable<outcome> try_once(const http::request& what);

    http::pool& pool_;
    const client_options options_;
    std::minstd_rand chance_;
};

// Throws unexpected_answer unless the status is from 200 to 299.
void require_success(const http::response& answer);

// The body, taken apart. Throws unexpected_answer if it is not JSON.
boost::json::value json_of(const http::response& answer);

}  // namespace api
