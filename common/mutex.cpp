#include "common/mutex.hpp"

#include <utility>

namespace asio = boost::asio;

namespace common {

asio::awaitable<mutex::guard> mutex::lock()
{
    if (!gate_.try_enter()) {
        auto turn = gate_.async_enter();
        co_await std::move(turn);
    }
    co_return guard(gate_);
}

std::optional<mutex::guard> mutex::try_lock()
{
    if (!gate_.try_enter()) {
        return std::nullopt;
    }
    return guard(gate_);
}

}  // namespace common
