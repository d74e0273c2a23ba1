// An evening: a thousand orders, called through a pipe and sent back as dishes. For lesson 020.
//
// Who waits and who cooks are coroutines on one loop. What may matter can be chosen: how many of
// them there are, how many orders go to a write, how many there is room for, and the completion
// token. And the same evening with threads that block.

#pragma once

#include "lessons/020_measure.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstddef>
#include <deque>
#include <exception>
#include <thread>
#include <vector>

#include <sys/socket.h>

namespace tuning {

using order = std::array<char, 16>;
using pipe = boost::asio::local::stream_protocol::socket;

inline void rethrow(std::exception_ptr failure)
{
    if (failure) {
        std::rethrow_exception(failure);
    }
}

// Calls orders to the kitchen, so many at once, and waits until as many dishes have come back.
template <class Token>
boost::asio::awaitable<void> waiter(
    pipe& kitchen, std::size_t left, std::size_t at_once, Token token)
{
    std::vector<order> called(at_once);
    for (; left > 0; left -= at_once) {
        co_await boost::asio::async_write(kitchen, boost::asio::buffer(called), token);
        co_await boost::asio::async_read(kitchen, boost::asio::buffer(called), token);
    }
}

// Reads what has come, as far as there is room, and sends it back.
template <class Token>
boost::asio::awaitable<void> cook(pipe& hatch, std::size_t left, std::size_t room, Token token)
{
    std::vector<order> heard(room);
    for (left *= sizeof(order); left > 0;) {
        const auto size = co_await hatch.async_read_some(boost::asio::buffer(heard), token);
        co_await boost::asio::async_write(hatch, boost::asio::buffer(heard, size), token);
        left -= size;
    }
}

// As many cooks as waiters, all of them coroutines on one loop.
template <class Token = boost::asio::deferred_t>
figures evening(std::size_t waiters, std::size_t at_once, std::size_t room, Token token = {})
{
    boost::asio::io_context loop(1);
    std::deque<pipe> ends;
    for (std::size_t i = 0; i < waiters; ++i) {
        auto& kitchen = ends.emplace_back(loop);
        auto& hatch = ends.emplace_back(loop);
        boost::asio::local::connect_pair(kitchen, hatch);
        boost::asio::co_spawn(loop, waiter(kitchen, orders / waiters, at_once, token), rethrow);
        boost::asio::co_spawn(loop, cook(hatch, orders / waiters, room, token), rethrow);
    }
    return measure([&loop] { handlers += loop.run(); });
}

// A cook who blocks the thread, until an order has come whole.
template <class Socket>
void block_and_cook(Socket& hatch, std::size_t dishes)
{
    order heard;
    for (; dishes > 0; --dishes) {
        hatch.receive(boost::asio::buffer(heard), MSG_WAITALL);
        hatch.send(boost::asio::buffer(heard));
    }
}

// The same evening without a loop: one thread does it all, or each cook has one.
inline figures evening_of_threads(std::size_t waiters, bool cooks_have_threads)
{
    boost::asio::io_context loop;  // sockets need one, though nobody runs it
    std::deque<pipe> kitchens;
    std::deque<pipe> hatches;
    std::vector<std::jthread> cooks;
    for (std::size_t i = 0; i < waiters; ++i) {
        auto& hatch = hatches.emplace_back(loop);
        boost::asio::local::connect_pair(kitchens.emplace_back(loop), hatch);
        if (cooks_have_threads) {
            cooks.emplace_back([&hatch, waiters] { block_and_cook(hatch, orders / waiters); });
        }
    }
    return measure([&] {
        order called{};
        for (std::size_t round = 0; round < orders / waiters; ++round) {
            for (auto& kitchen : kitchens) {
                kitchen.send(boost::asio::buffer(called));
            }
            for (std::size_t i = 0; i < waiters; ++i) {
                if (!cooks_have_threads) {
                    block_and_cook(hatches[i], 1);
                }
                kitchens[i].receive(boost::asio::buffer(called), MSG_WAITALL);
            }
        }
    });
}

}  // namespace tuning
