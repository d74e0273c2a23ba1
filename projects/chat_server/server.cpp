#include "chat_server/server.hpp"

#include "chat_server/connection.hpp"

#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/semaphore.hpp"
#include "common/serving.hpp"
#include "common/task_group.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>

#include <utility>

namespace asio = boost::asio;
using asio::awaitable;
using asio::ip::tcp;
using namespace asio::experimental::awaitable_operators;

namespace chat {

namespace {

awaitable<void> serve_one(tcp::socket client, common::semaphore::permit place, house& host)
{
    co_await serve_connection(std::move(client), host);
    place.release();
}

// Has a place for the connection before it takes it. Without one, new connections wait outside, in
// the system's queue.
awaitable<void> take_connections(
    tcp::acceptor& door, common::semaphore& places, house& host, common::task_group& connections)
{
    while (true) {
        auto place = co_await places.acquire();
        auto client = co_await common::accept(door);
        if (!client) {
            break;
        }
        connections.spawn(serve_one(std::move(*client), std::move(place), host));
    }
    common::log("chat", "takes no more clients");
}

}  // namespace

awaitable<void> serve(
    tcp::acceptor& door, limits allowed, std::vector<std::string> origins, awaitable<void> stop)
{
    house host{allowed, std::move(origins)};
    common::semaphore places(allowed.clients + allowed.visitors);

    const auto open = [&](common::task_group& connections) -> awaitable<void> {
        co_await take_connections(door, places, host, connections);
    };
    const auto close = [&]() -> awaitable<void> {
        co_await std::move(stop);
        door.close();
        host.closing.set();
        host.chat.close();
        co_await common::sleep_for(allowed.grace);
    };
    // || ends with the first of these, and cancels the others.
    co_await (common::with_task_group(open) || close() || host.chat.drop_the_stuck());
}

awaitable<void> serve_port(unsigned short port, limits allowed, std::vector<std::string> origins)
{
    const tcp::endpoint address(asio::ip::address_v4::loopback(), port);
    tcp::acceptor door(co_await asio::this_coro::executor, address);
    common::stop_signal stop(door.get_executor());
    common::raise_descriptor_limit();
    common::log("chat", "listens on http://127.0.0.1:{}/", door.local_endpoint().port());
    co_await serve(door, allowed, std::move(origins), stop.wait());
}

}  // namespace chat
