#include "common/detail/wait_list.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>

namespace asio = boost::asio;

namespace common::detail {

void wait_list::node::cancelled()
{
    if (list_ == nullptr) {
        return;
    }
    list_->leave(*this);
    if (granted_) {
        fail_with(asio::error::operation_aborted);
        give_back();
    } else {
        resume(asio::error::operation_aborted);
    }
}

void wait_list::node::abandoned() noexcept
{
    if (list_ != nullptr) {
        list_->leave(*this);
        give_back();
    }
}

wait_list::~wait_list()
{
    while (!loops_.empty()) {
        loops_.back()->take_over(*this);
    }
    // Those who were granted something are about to run, and would find it gone.
    while (!granted_.empty()) {
        auto& granted = granted_.front();
        leave(granted);
        granted.fail_with(asio::error::operation_aborted);
    }
}

void wait_list::enrol_with(asio::execution_context& context)
{
    auto& loop = asio::use_service<loop_waiters>(context);
    std::erase(loops_, &loop);
    loops_.push_back(&loop);
    loop.enrol(*this);
}

void wait_list::hand_over(loop_waiters& loop, line& orphans)
{
    std::erase(loops_, &loop);
    for (auto next = waiting_.begin(); next != waiting_.end();) {
        auto& waiting = *next++;
        if (&waiting.context() == &loop.context()) {
            leave(waiting);
            orphans.push_back(waiting);
        }
    }
}

void loop_waiters::enrol(wait_list& list)
{
    const std::lock_guard lock(mutex_);
    lists_.insert(&list);
}

void loop_waiters::take_over(wait_list& list)
{
    const std::lock_guard lock(mutex_);
    lists_.erase(&list);
    list.hand_over(*this, orphans_);
}

void loop_waiters::shutdown() noexcept
{
    // First all leave their lines, and then they are destroyed: what a frame gives up as it is
    // destroyed, a lock for instance, is not granted to a coroutine that is to be destroyed next.
    for (auto* const list : lists_) {
        list->hand_over(*this, orphans_);
    }
    lists_.clear();
    orphans_.clear_and_dispose([](wait_list::node* orphan) { orphan->destroy(); });
}

}  // namespace common::detail
