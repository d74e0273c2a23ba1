// A proxy before PostgreSQL that breaks connections: at a moment of the test's choosing, or after
// so many bytes. It listens on a socket in a folder of its own, and needs no protocol but one word.

#pragma once

#include "common/task_group.hpp"
#include "common/temporary_folder.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>

namespace tests {

class proxy {
public:
    using socket = boost::asio::local::stream_protocol::socket;

    // To the server's socket.
    explicit proxy(std::string server) : server_(std::move(server)) {}

    std::string folder() const { return folder_.path(); }

    // The answers to the next so many commits are swallowed, and the connections broken then.
    void lose_answers_to_commits(int count) { answers_to_lose_ = count; }

    // Every connection breaks after at most so many bytes, in either direction. 0 for never.
    void break_after(std::size_t bytes) { lifetime_ = bytes; }

    int broken() const { return broken_; }

    // Serves until it is cancelled.
    boost::asio::awaitable<void> run()
    {
        const auto executor = co_await boost::asio::this_coro::executor;
        boost::asio::local::stream_protocol::acceptor acceptor(
            executor, boost::asio::local::stream_protocol::endpoint(folder() + "/.s.PGSQL.5432"));
        co_await common::with_task_group(
            [&](common::task_group& group) -> boost::asio::awaitable<void> {
                while (true) {
                    auto link = std::make_shared<pair>(executor);
                    co_await acceptor.async_accept(link->client, boost::asio::deferred);
                    group.spawn(serve(std::move(link)));
                }
            });
    }

private:
    struct pair {
        explicit pair(boost::asio::any_io_executor executor) : client(executor), server(executor) {}

        void close()
        {
            client.close();
            server.close();
        }

        socket client;
        socket server;
        std::size_t left = 0;  // bytes until it breaks; 0 for never
        bool lose_answer = false;
    };

    boost::asio::awaitable<void> serve(std::shared_ptr<pair> link)
    {
        if (lifetime_ > 0) {
            link->left = 1 + chance_() % lifetime_;
        }
        const auto [error] = co_await link->server.async_connect(
            boost::asio::local::stream_protocol::endpoint(server_),
            boost::asio::as_tuple(boost::asio::deferred));
        if (error) {
            co_return;
        }
        co_await common::with_task_group(
            [&](common::task_group& group) -> boost::asio::awaitable<void> {
                group.spawn(copy(link, link->client, link->server, true));
                group.spawn(copy(link, link->server, link->client, false));
                co_return;
            });
    }

    boost::asio::awaitable<void> copy(
        std::shared_ptr<pair> link, socket& from, socket& to, bool is_question)
    {
        std::array<char, 4096> bytes;
        while (true) {
            const auto [end, size] = co_await from.async_read_some(
                boost::asio::buffer(bytes), boost::asio::as_tuple(boost::asio::deferred));
            if (end) {
                break;
            }
            const std::string_view text(bytes.data(), size);
            if (is_question && answers_to_lose_ > 0 &&
                text.find(std::string_view("commit\0", 7)) != std::string_view::npos) {
                --answers_to_lose_;
                link->lose_answer = true;
            } else if (!is_question && link->lose_answer) {
                ++broken_;
                break;
            }
            if (link->left > 0 && link->left <= size) {
                ++broken_;
                break;
            }
            link->left -= link->left > 0 ? size : 0;
            const auto [broken, written] = co_await boost::asio::async_write(
                to, boost::asio::buffer(text), boost::asio::as_tuple(boost::asio::deferred));
            if (broken) {
                break;
            }
        }
        link->close();
    }

    common::temporary_folder folder_;
    const std::string server_;
    int answers_to_lose_ = 0;
    std::size_t lifetime_ = 0;
    int broken_ = 0;
    std::mt19937 chance_{7};
};

}  // namespace tests
