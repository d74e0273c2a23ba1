#include "common/semaphore.hpp"

#include <utility>

namespace asio = boost::asio;

namespace common {

asio::awaitable<semaphore::permit> semaphore::acquire()
{
    if (!gate_.try_enter()) {
        auto turn = gate_.async_enter();
        co_await std::move(turn);
    }
    co_return permit(gate_);
}

std::optional<semaphore::permit> semaphore::try_acquire()
{
    if (!gate_.try_enter()) {
        return std::nullopt;
    }
    return permit(gate_);
}

}  // namespace common
