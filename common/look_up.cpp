#include "common/look_up.hpp"

#include "common/event.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <memory>
#include <utility>

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace common {

namespace {

// What a lookup that is left behind still needs.
struct lookup {
    event done;
    error_code error;
    tcp::resolver::results_type found;
};

}  // namespace

asio::awaitable<tcp::resolver::results_type> look_up(std::string host, std::string port)
{
    // Its end drops a lookup that is still in line. So it is here, and not in the lookup.
    tcp::resolver resolver(co_await asio::this_coro::executor);

    error_code is_a_name;
    auto address = resolver.resolve(
        host, port, tcp::resolver::numeric_host | tcp::resolver::numeric_service, is_a_name);
    if (!is_a_name) {
        co_return address;
    }

    const auto pending = std::make_shared<lookup>();
    resolver.async_resolve(
        host, port, [pending](error_code error, tcp::resolver::results_type found) {
            pending->error = error;
            pending->found = std::move(found);
            pending->done.set();
        });
    co_await pending->done.wait();
    if (pending->error) {
        throw boost::system::system_error(pending->error);
    }
    co_return std::move(pending->found);
}

}  // namespace common
