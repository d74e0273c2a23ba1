#include "api_client/http_pool.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <iterator>
#include <stdexcept>
#include <utility>

namespace asio = boost::asio;
using asio::awaitable;

namespace http {

namespace {

// Adds one for as long as it lives.
class counted {
public:
    explicit counted(std::size_t& counter) : counter_(counter) { ++counter_; }
    ~counted() { --counter_; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;

private:
    std::size_t& counter_;
};

// The connection may have been closed while the request was on its way to it. If so, the request
// can be sent again.
bool was_stale(const exchange_error& error, const request& what)
{
    return error.kind() == failure::no_answer && is_idempotent(what);
}

}  // namespace

pool::pool(pool_limits limits) : limits_(limits)
{
    if (limits_.connections_per_host == 0) {
        throw std::invalid_argument("a pool needs a connection per host at least");
    }
}

awaitable<response> pool::exchange(request what)
{
    require_sendable(what);
    auto& places =
        places_.try_emplace(what.where.authority(), limits_.connections_per_host).first->second;
    const auto place = co_await places.acquire();
    const counted one_more(in_use_);

    if (auto link = what.new_connection ? nullptr : take(what.where.authority())) {
        try {
            auto answer = co_await exchange_on(std::move(link), what);
            answer.on_kept_connection = true;
            co_return answer;
        } catch (const exchange_error& error) {
            if (what.only_once || !was_stale(error, what)) {
                throw exchange_error(error.kind(), error.what(), true);
            }
        }
    }
    co_return co_await exchange_on_new(what);
}

awaitable<response> pool::exchange_on_new(const request& what)
{
    auto link = std::make_unique<connection>(co_await asio::this_coro::executor);
    co_await link->open(what.where);
    ++opened_;
    co_return co_await exchange_on(std::move(link), what);
}

// The connection is this coroutine's own. Unless it comes to the last line, it is closed.
awaitable<response> pool::exchange_on(std::unique_ptr<connection> link, const request& what)
{
    auto answer = co_await link->exchange(what);
    keep(what.where.authority(), std::move(link));
    co_return answer;
}

// The one that was used last is the least likely to have been closed.
std::unique_ptr<connection> pool::take(const std::string& host)
{
    std::erase_if(kept_, [this](const kept_connection& each) {
        return common::now() - each.since > limits_.kept_for;
    });
    for (auto each = kept_.rbegin(); each != kept_.rend();) {
        if (each->host != host) {
            ++each;
            continue;
        }
        auto link = std::move(each->link);
        each = std::make_reverse_iterator(kept_.erase(std::next(each).base()));
        if (link->is_reusable()) {
            return link;
        }
    }
    return nullptr;
}

void pool::keep(const std::string& host, std::unique_ptr<connection> link)
{
    if (link->is_reusable()) {
        kept_.push_back(kept_connection{host, std::move(link), common::now()});
    }
    while (kept_.size() > limits_.kept) {
        kept_.pop_front();
    }
}

}  // namespace http
