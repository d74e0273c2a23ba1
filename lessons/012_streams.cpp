// 012 · A line server and its clients
//
// Idea     Each connection has a coroutine of its own, and reads, works and writes at its own pace.
// asyncio  `server = await asyncio.start_server(serve, "127.0.0.1", 0)`
// Before   011_barriers.cpp
// Run      ./learn run 12
// Read     docs/progression.md, lesson 012, beside this file

#include "common/clock.hpp"
#include "common/command_line.hpp"
#include "common/console.hpp"
#include "common/event.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/run.hpp"
#include "common/serving.hpp"
#include "common/task_group.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/experimental/coro.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <cstddef>
#include <istream>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::asio::awaitable;
using namespace boost::asio::experimental::awaitable_operators;
using namespace std::chrono_literals;

namespace {

const auto localhost = asio::ip::address_v4::loopback();
constexpr std::size_t longest_line = 64 * 1024;  // as in asyncio
constexpr auto patience = 5s;                    // with a guest who takes no answer, or does not go
constexpr auto grace = 3s;                       // for the guests who are there at closing time

// An async generator gives one value after another, each when it is asked for, and may await in
// between. This one gives the lines of a connection until the other side has ended it. A line that
// is too long comes cut off, and is the last.
asio::experimental::coro<std::string> lines_of(tcp::socket& socket)
{
    asio::streambuf buffer(longest_line);  // keeps what was read beyond a line, for the next
    std::istream stream(&buffer);
    for (std::string line; stream.good();) {
        const auto [error, size] =
            co_await asio::async_read_until(socket, buffer, '\n', asio::as_tuple(asio::deferred));
        if (error && error != asio::error::eof && error != asio::error::not_found) {
            throw boost::system::system_error(error);
        }
        if (std::getline(stream, line)) {
            co_yield line;
        }
    }
}

// One guest, from the first order to the last. What goes wrong ends this session, and no other.
awaitable<void> serve(tcp::socket guest, common::duration work)
{
    try {
        auto orders = lines_of(guest);
        while (const auto order = co_await orders.async_resume(asio::deferred)) {
            co_await common::sleep_for(work);
            const bool too_long = order->size() == longest_line;
            const auto answer = too_long ? "sorry, that is too long\n" : "here is " + *order + "\n";
            // No further order is read before the guest has taken this answer. So nothing piles up
            // here, and the guest is slowed down: backpressure. But nobody is waited for for ever.
            co_await common::send(guest, answer, patience);
        }
        co_await common::hang_up(guest, patience);
    } catch (const boost::system::system_error& error) {
        common::log("kitchen", "loses a guest: {}", error.code().message());
    }
}

// Open until closing time. Who is inside may finish, but not for longer than the grace: then the
// house is cancelled, and with it the guests.
awaitable<void> kitchen(tcp::acceptor& door, awaitable<void> closing_time, common::duration work)
{
    const auto take_guests = [&](common::task_group& guests) -> awaitable<void> {
        while (auto guest = co_await common::accept(door)) {
            guests.spawn(serve(std::move(*guest), work));
        }
        common::log("kitchen", "takes no more guests");
    };
    const auto close = [&](common::task_group& house) -> awaitable<void> {
        co_await std::move(closing_time);
        door.close();
        co_await common::sleep_for(grace);
        house.cancel();
    };
    co_await common::with_task_group([&](common::task_group& house) -> awaitable<void> {
        house.spawn(close(house));
        co_await common::with_task_group(take_guests);
        house.cancel();
    });
}

// A guest: sends all orders, ends this side of the connection, and reads the answers to the end.
awaitable<std::string> ask(tcp::endpoint address, std::string orders)
{
    tcp::socket table(co_await asio::this_coro::executor);
    co_await table.async_connect(address, asio::deferred);
    co_await asio::async_write(table, asio::buffer(orders), asio::deferred);
    table.shutdown(tcp::socket::shutdown_send);
    std::string answers;
    auto lines = lines_of(table);
    while (const auto line = co_await lines.async_resume(asio::deferred)) {
        answers += answers.empty() ? *line : ", " + *line;
    }
    co_return answers;
}

awaitable<void> visit(std::string who, tcp::endpoint address, std::string orders)
{
    const auto answers = co_await ask(address, std::move(orders));
    common::log(who, "gets: {}", answers);
}

awaitable<void> fifty_visit(tcp::endpoint address)
{
    const auto start = common::now();
    std::vector<awaitable<std::string>> guests;
    for (int guest = 0; guest < 50; ++guest) {
        guests.push_back(ask(address, "tea\n"));
    }
    const auto answers = co_await common::gather(std::move(guests));
    common::log(
        "main", "{} guests were served in {:.2f} s", answers.size(), common::seconds_since(start));
}

// With this option close() resets the connection. Without it, the stream ends in good order, also
// when a program is killed, and only what is sent after that is answered by a reset.
awaitable<void> order_and_vanish(tcp::endpoint address)
{
    tcp::socket table(co_await asio::this_coro::executor);
    co_await table.async_connect(address, asio::deferred);
    co_await asio::async_write(table, asio::buffer("cake\n", 5), asio::deferred);
    co_await common::sleep_for(50ms);
    common::log("guest 1", "vanishes");
    table.set_option(tcp::socket::linger(true, 0));
    table.close();
}

awaitable<void> come_late(tcp::endpoint address, common::event& closing_time)
{
    co_await common::sleep_for(50ms);
    closing_time.set();
    co_await common::yield();  // to close()
    tcp::socket table(co_await asio::this_coro::executor);
    const auto [error] = co_await table.async_connect(address, asio::as_tuple(asio::deferred));
    common::log("guest 2", "comes late: {}", error.message());
}

awaitable<void> day(tcp::endpoint address, common::event& closing_time)
{
    common::section("All orders sent, and all answers to come");
    co_await visit("guest", address, "soup\nbread\n");
    common::section("Fifty guests, 0.10 s of work for each");
    co_await fifty_visit(address);
    common::section("A guest who vanishes");
    co_await (order_and_vanish(address) && visit("guest 2", address, "soup\n"));
    common::section("Closing time");
    co_await (visit("guest 1", address, "tea\n") && come_late(address, closing_time));
}

// Pitfall: async_read_until reads what there is, and that can be more than the line. Whoever takes
// a new buffer for the next line has lost it.
awaitable<void> read_ahead()
{
    common::section("What was read beyond the line");
    tcp::acceptor door(co_await asio::this_coro::executor, {localhost, 0});
    tcp::socket guest(door.get_executor());
    guest.connect(door.local_endpoint());
    auto table = door.accept();

    std::string buffer;
    asio::write(guest, asio::buffer("soup\nbread\n", 11));
    const auto size =
        co_await asio::async_read_until(table, asio::dynamic_buffer(buffer), '\n', asio::deferred);
    common::log("wrong", "a line of {} bytes, {} were read", size, buffer.size());
    common::log("wrong", "left for the next line: {} bytes", table.available());

    asio::write(guest, asio::buffer("soup\nbread\n", 11));
    auto lines = lines_of(table);
    const auto first = co_await lines.async_resume(asio::deferred);
    const auto second = co_await lines.async_resume(asio::deferred);
    common::log("right", "{}, then {}", *first, *second);
}

awaitable<void> demonstrate(common::arguments)
{
    const common::real_work hold(50ms);  // virtual time waits for bytes that are on their way
    tcp::acceptor door(co_await asio::this_coro::executor, {localhost, 0});
    common::event closing_time;
    const auto address = door.local_endpoint();
    co_await (kitchen(door, closing_time.wait(), 100ms) && day(address, closing_time));
    co_await read_ahead();
}

awaitable<void> serve_port(common::arguments given)
{
    const auto port = common::parse_port(given[0]);
    tcp::acceptor door(co_await asio::this_coro::executor, {localhost, port});
    common::stop_signal stop(door.get_executor());
    common::raise_descriptor_limit();
    common::log("kitchen", "listens on 127.0.0.1:{}", door.local_endpoint().port());
    co_await kitchen(door, stop.wait(), 0s);
}

awaitable<void> connect_port(common::arguments given)
{
    tcp::socket table(co_await asio::this_coro::executor);
    const tcp::endpoint address(localhost, common::parse_port(given[0]));
    co_await table.async_connect(address, asio::deferred);
    co_await common::converse(table);
}

}  // namespace

int main(int argc, char** argv)
{
    constexpr auto real = common::clock_mode::steady;  // guests from outside live in real time
    return common::run_command(
        argc, argv,
        {{"", "shows a kitchen and its guests", demonstrate},
         {"serve PORT", "serves until SIGINT or SIGTERM; PORT 0 is a free one", serve_port, real},
         {"connect PORT", "sends stdin's lines and prints the answers", connect_port, real}});
}
