#include "chat_server/outbox.hpp"

#include <utility>

namespace asio = boost::asio;

namespace chat {

void outbox::post(const message& news)
{
    if (!finished_ && !is_dropped() && !messages_.try_put(news)) {
        drop();
    }
}

asio::awaitable<std::vector<message>> outbox::next()
{
    taken_.reset();
    std::vector<message> all;
    try {
        all.push_back(co_await messages_.get());
        while (auto more = messages_.try_get()) {
            all.push_back(std::move(*more));
        }
    } catch (const common::queue_closed&) {
        // and none is left
    }
    taken_ = common::now();
    co_return all;
}

bool outbox::is_stuck(common::duration patience) const
{
    return taken_ && common::now() - *taken_ >= patience;
}

void outbox::finish(const goodbye& last_words)
{
    if (!std::exchange(finished_, true)) {
        last_words_ = last_words;
        messages_.close();
    }
}

}  // namespace chat
