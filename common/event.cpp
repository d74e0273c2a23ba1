#include "common/event.hpp"

#include <utility>

namespace asio = boost::asio;

namespace common {

void event::set()
{
    set_ = true;
    waiting_.release_all();
}

asio::awaitable<void> event::wait()
{
    if (!set_) {
        auto news = waiting_.async_wait<detail::wait_list::node>();
        co_await std::move(news);
    }
}

}  // namespace common
