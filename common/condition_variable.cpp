#include "common/condition_variable.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <stdexcept>

namespace asio = boost::asio;

namespace common {

class condition_variable::listener : public detail::wait_list::node {
    friend class condition_variable;

    void give_back() final { condition_->notify_one(); }

    condition_variable* condition_ = nullptr;
};

asio::awaitable<void> condition_variable::wait(mutex::guard& guard)
{
    require_lock(guard);
    const auto lock = guard.pass_.where();

    std::exception_ptr cancelled;
    try {
        auto notification = waiting_.async_wait<listener>([this, &guard](listener& waiting) {
            waiting.condition_ = this;
            guard.unlock();
        });
        co_await std::move(notification);
    } catch (...) {
        cancelled = std::current_exception();
    }

    // Takes the lock, whatever happens. In a coroutine that has been cancelled every await throws,
    // unless it is told not to. Only if the mutex has been destroyed, there is nothing to take.
    if (lock->there == nullptr) {
        throw boost::system::system_error(asio::error::operation_aborted);
    }
    if (!lock->there->try_enter()) {
        const bool throws = co_await asio::this_coro::throw_if_cancelled();
        co_await asio::this_coro::throw_if_cancelled(false);
        auto turn = lock->there->async_enter_uncancelled()(asio::as_tuple(asio::deferred));
        const auto [gone] = co_await std::move(turn);
        co_await asio::this_coro::throw_if_cancelled(throws);
        if (gone) {
            throw boost::system::system_error(gone);
        }
    }
    guard = mutex::guard(*lock->there);
    if (cancelled) {
        std::rethrow_exception(cancelled);
    }
}

void condition_variable::notify_one()
{
    if (!waiting_.empty()) {
        waiting_.grant_first();
    }
}

void condition_variable::require_lock(const mutex::guard& guard)
{
    if (!guard.owns_lock()) {
        throw std::logic_error("wait: the guard holds no lock");
    }
}

}  // namespace common
