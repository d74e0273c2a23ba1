// A server that answers as a script says, also as no server should.
//
// The tests of this project need a server that is slow, breaks off, or talks nonsense, each at a
// moment of their choosing. A real one can't be asked to. This one listens on a real port on
// loopback, so the client's own sockets are part of the test, and it runs on the same event loop as
// the client: on virtual time a pause of a minute takes none, and everything happens in the same
// order each time.
//
// A script is a function. It is called for each request, and says which bytes to send, with which
// pauses, and what becomes of the connection then. `answer` makes a proper answer, and the
// functions after it spoil one.
//
//     scripted_server server(executor, [](const heard& request) {
//         return request.target == "/" ? answer(200, "hello") : cut_to(20, answer(200, "hello"));
//     });
//
// The script runs inside the server, so it is also the place to take notes, or to call refuse().

#pragma once

#include "api_client/http_message.hpp"
#include "api_client/url.hpp"

#include "common/clock.hpp"
#include "common/event.hpp"
#include "common/task_group.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace api {

// What becomes of the connection after a reply.
enum class ending {
    keep,   // it waits for the next request
    close,  // it ends as it should
    reset,  // it breaks: the client's next read fails
};

struct reply {
    struct part {
        common::duration pause;  // before it is sent
        std::string bytes;
    };

    std::vector<part> parts;
    ending then = ending::keep;
};

// A proper answer, with its Content-Length.
reply answer(int status, std::string body = "", const http::fields& headers = {});

// These bytes, whatever they are.
reply raw(std::string bytes, ending then = ending::close);

// The same, after a pause.
reply late(common::duration pause, reply what);

// The same, with a pause before each byte.
reply dripping(common::duration pause, const reply& what);

// The first bytes of it, then the end of the connection.
reply cut_to(std::size_t bytes, const reply& what, ending then = ending::close);

// A request as the server has seen it.
struct heard {
    int connection = 0;  // the first is 1
    std::string method;
    std::string target;
    http::fields headers;
    std::string body;
};

using script = std::function<reply(const heard&)>;

// Gives one after the other, and the last of them again and again.
script in_order(std::vector<reply> replies);

class scripted_server {
public:
    // Listens from now on, on a port that the system picks.
    scripted_server(boost::asio::any_io_executor executor, script what);

    http::url at(std::string_view target) const;

    // Serves until it is cancelled.
    boost::asio::awaitable<void> serve();

    // From now on connections are refused, until listen(). Those that are open stay so.
    void refuse();
    void listen();

    const std::vector<heard>& requests() const { return requests_; }

    // How many connections it has accepted, and how many of them are still there.
    int accepted() const { return accepted_; }
    int connected() const { return connected_; }

private:
    boost::asio::awaitable<void> serve_one(boost::asio::ip::tcp::socket peer, int number);

    script script_;
    boost::asio::ip::tcp::acceptor door_;
    boost::asio::ip::tcp::acceptor keeper_;  // while refusing: keeps the port, and does not listen
    boost::asio::ip::tcp::endpoint address_;
    common::event listening_;
    std::vector<heard> requests_;
    int accepted_ = 0;
    int connected_ = 0;
};

// Runs `body`, an awaitable<void>(scripted_server&), beside a server, and ends the server with it.
// Throws what the body throws, in a common::exception_group.
template <class Body>
boost::asio::awaitable<void> with_server(script what, Body body)
{
    const auto executor = co_await boost::asio::this_coro::executor;
    scripted_server server(executor, std::move(what));
    const auto both = [&](common::task_group& group) -> boost::asio::awaitable<void> {
        group.spawn(server.serve());
        co_await body(server);
        group.cancel();
    };
    co_await common::with_task_group(both);
}

}  // namespace api
