#include "chat_server/outbox.hpp"

#include <utility>

namespace asio = boost::asio;

namespace chat {

void outbox::post(const message& news)
{
    post(std::vector<message>{news});
}

void outbox::post(std::vector<message> together)
{
    if (!finished_ && !posts_.try_put(std::move(together))) {
        drop("its outbox is full");
    }
}

asio::awaitable<std::vector<message>> outbox::next()
{
    busy_ = false;
    looks_ = 0;
    std::vector<message> all;
    try {
        all = co_await posts_.get();
        while (const auto more = posts_.try_get()) {
            all.insert(all.end(), more->begin(), more->end());
        }
    } catch (const common::queue_closed&) {
        // and none is left
    }
    busy_ = !all.empty();
    co_return all;
}

int outbox::look_while_busy()
{
    looks_ += busy_ ? 1 : 0;
    return looks_;
}

void outbox::drop(std::string_view why)
{
    if (!is_dropped()) {
        why_dropped_ = why;
        dropped_.set();
        finish(goodbye());  // lets nothing in any more
    }
}

void outbox::finish(const goodbye& last_words)
{
    if (!std::exchange(finished_, true)) {
        last_words_ = last_words;
        posts_.close();
    }
}

}  // namespace chat
