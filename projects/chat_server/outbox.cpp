#include "chat_server/outbox.hpp"

#include <algorithm>
#include <cstddef>
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
    try {
        if (taken_.empty()) {
            take(co_await posts_.get());
        }
        while (taken_.size() < capacity_) {
            const auto more = posts_.try_get();
            if (!more) {
                break;
            }
            take(*more);
        }
    } catch (const common::queue_closed&) {
        // and none is left
    }
    const auto end =
        taken_.begin() + static_cast<std::ptrdiff_t>(std::min(capacity_, taken_.size()));
    std::vector<message> part(taken_.begin(), end);
    taken_.erase(taken_.begin(), end);
    busy_ = !part.empty();
    co_return part;
}

void outbox::take(const std::vector<message>& together)
{
    taken_.insert(taken_.end(), together.begin(), together.end());
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
