// What the tests of this project share: a scripted server and its clients in one event loop, on
// virtual time.

#pragma once

#include "api_client/http_message.hpp"
#include "api_client/scripted_server.hpp"

#include "common/clock.hpp"
#include "tests/common/started.hpp"

#include <boost/asio/awaitable.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string_view>
#include <utility>

namespace tests {

// Runs `body`, an awaitable<void>(api::scripted_server&), beside a server that follows the script.
//
// The bytes between the two go through the kernel, where virtual time does not see them. So before
// time jumps, the loop waits for them, for 20 ms of real time. Nothing here depends on how fast the
// machine is: what is sent over loopback has arrived when the call that sends it returns.
template <class Body>
void with_script(api::script what, Body body)
{
    run([&]() -> awaitable<void> {
        const common::real_work sockets(std::chrono::milliseconds(20));
        co_await api::with_server(std::move(what), body);
    });
}

// The kind of failure with which an exchange ends. Fails the test if it does not fail.
template <class T>
awaitable<http::failure> failure_of(awaitable<T> exchange)
{
    try {
        (void)co_await std::move(exchange);
    } catch (const http::exchange_error& error) {
        co_return error.kind();
    }
    FAIL("the exchange went well");
    throw std::logic_error("unreachable");
}

inline http::request get(http::url where)
{
    return http::request(std::move(where));
}

inline http::request post(http::url where, std::string body)
{
    http::request what(std::move(where), "POST");
    what.body = std::move(body);
    return what;
}

}  // namespace tests
