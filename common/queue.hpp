// A queue between coroutines that make things and coroutines that use them.
//
// Who gets from an empty queue waits until there is something; who puts into a full one waits until
// there is room. The second is what keeps a fast producer from running away from a slow consumer:
// the capacity bounds how far it can be ahead. Items leave in the order in which they came, and
// getters and putters are served in the order of theirs.
//
// What is promised and what is done are two things. A getter that waits is promised an item, and
// queued with the event loop; but the item stays in the queue until the getter runs. If the getter
// is cancelled before, the item is still there, and its promise goes to the next. In the same way
// a putter that waits is promised room, and keeps its item until it runs, or until a getter reaches
// for it. That saves a trip through the event loop for each item of a short queue: the getter that
// has made room goes on with the item of the putter that it woke.
//
// What `get` has returned is the caller's. `queue.get() || sleep_for(1s)` drops it when both
// finish, and it is lost. So bound the wait with `with_timeout(1s, queue.get())`, which gives what
// there is.
//
// Use a queue from one thread or one strand, and keep it until those have run that `close` has
// woken.

#pragma once

#include "common/detail/wait_list.hpp"

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <cstddef>
#include <deque>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

namespace common {

// The capacity of a queue that is never full.
inline constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

class queue_closed : public std::runtime_error {
public:
    queue_closed();
};

namespace detail {

// Throws std::invalid_argument for a capacity of 0.
std::size_t checked_capacity(std::size_t capacity);

// Counts the items of a queue that nobody has finished with.
class unfinished_items {
public:
    void add() { ++count_; }
    void remove();
    boost::asio::awaitable<void> wait_for_none();

private:
    std::size_t count_ = 0;
    wait_list waiting_;  // empty while count_ is 0
};

}  // namespace detail

// T need not be default constructible, and may be movable only. Moving it must not throw.
template <class T>
class queue {
public:
    // Throws std::invalid_argument for a capacity of 0.
    explicit queue(std::size_t capacity = unbounded) : capacity_(detail::checked_capacity(capacity))
    {
    }

    // Completes when the item is in the queue: at once, without a trip through the event loop,
    // where there is room. Throws queue_closed when the queue is closed, or is closed while this
    // waits.
    //
    // Cancelled (terminal, partial or total), it throws operation_aborted, and the item is dropped.
    // Once a getter has it, that is too late, and the put completes.
    //
    // As asyncio.Queue.put.
    boost::asio::awaitable<void> put(T item)
    {
        require_open();
        if (can_push()) {
            push(std::move(item));
            co_return;
        }

        std::optional<T> offer(std::move(item));
        auto room = putters_.async_wait<putter>([this, &offer](putter& waiting) {
            waiting.queue_ = this;
            waiting.offer_ = &offer;
            keep_promises();
        });
        co_await std::move(room);
        if (offer) {
            require_open();
            push(std::move(*offer));
        }
    }

    // Completes with the item that came first: at once, without a trip through the event loop,
    // where there is one. Throws queue_closed when the queue is closed and nothing is left.
    //
    // Cancelled (terminal, partial or total), it throws operation_aborted, and takes nothing.
    //
    // As asyncio.Queue.get.
    boost::asio::awaitable<T> get()
    {
        if (!can_take()) {
            if (empty()) {
                require_open();
            }
            auto turn = getters_.async_wait<getter>([this](getter& waiting) {
                waiting.queue_ = this;
                keep_promises();
            });
            co_await std::move(turn);
            if (left() == 0) {
                throw queue_closed();  // which is why it was released
            }
        }
        co_return take();
    }

    // Puts the item if that needs no waiting; else gives false, and leaves the item as it was.
    // Throws queue_closed when the queue is closed. As asyncio.Queue.put_nowait.
    bool try_put(T&& item)
    {
        require_open();
        const bool can = can_push();
        if (can) {
            push(std::move(item));
        }
        return can;
    }

    bool try_put(const T& item)
        requires std::copy_constructible<T>
    {
        require_open();
        return can_push() && try_put(T(item));
    }

    // Takes an item if that needs no waiting. As asyncio.Queue.get_nowait.
    std::optional<T> try_get() { return can_take() ? std::optional<T>(take()) : std::nullopt; }

    // Lets nothing in any more. Who waits to put fails; what is in the queue can still be got, and
    // when the last of it has been, who waits to get fails. As asyncio.Queue.shutdown.
    void close()
    {
        closed_ = true;
        while (putters_.granted() > 0) {
            putters_.settle(putters_.first_granted());  // finds the queue closed when it runs
        }
        putters_.release_all();
        keep_promises();
    }

    // Whoever has got an item says that it is done with, so that `join` can wait for them all.
    // Throws std::logic_error when it is called more often than items have been put.
    void task_done() { unfinished_.remove(); }

    // Completes when every item that was put is done with, at once where that is so; also when the
    // queue is closed. Cancelled (terminal, partial or total), it throws operation_aborted.
    //
    // As asyncio.Queue.join.
    boost::asio::awaitable<void> join() { return unfinished_.wait_for_none(); }

    // Counts the items that are promised to getters, until these run.
    std::size_t size() const { return items_.size() + putters_.granted(); }
    bool empty() const { return size() == 0; }
    bool full() const { return size() >= capacity_; }

private:
    class getter : public detail::wait_list::node {
        friend class queue;

        void give_back() final { queue_->keep_promises(); }

        queue* queue_ = nullptr;
    };

    class putter : public detail::wait_list::node {
        friend class queue;

        void give_back() final { queue_->keep_promises(); }

        queue* queue_ = nullptr;
        std::optional<T>* offer_ = nullptr;  // in the coroutine; empty once a getter has taken it
    };

    void require_open() const
    {
        if (closed_) {
            throw queue_closed();
        }
    }

    // Items that are promised to nobody.
    std::size_t left() const { return size() - getters_.granted(); }

    // Nobody came earlier and is still to be served, and it needs no waiting.
    bool can_push() const { return putters_.idle() && !full(); }
    bool can_take() const { return getters_.idle() && !empty(); }

    void push(T&& item)
    {
        items_.push_back(std::move(item));
        unfinished_.add();
        keep_promises();
    }

    T take()
    {
        if (items_.empty()) {
            reach_for_offer();
        }
        T item = std::move(items_.front());
        items_.pop_front();
        keep_promises();
        return item;
    }

    // Takes the item of a putter that has been promised room, before it runs.
    void reach_for_offer()
    {
        auto& first = static_cast<putter&>(putters_.first_granted());
        items_.push_back(std::move(**first.offer_));
        putters_.settle(first);
        unfinished_.add();
        first.offer_->reset();
    }

    // Promises what has become free, in the order in which they wait.
    void keep_promises()
    {
        while (!putters_.empty() && !full()) {
            putters_.grant_first();
        }
        while (!getters_.empty() && getters_.granted() < items_.size()) {
            getters_.grant_first();
        }
        if (closed_ && empty()) {
            getters_.release_all();  // whoever waits now waits for what will not come
        }
    }

    const std::size_t capacity_;
    bool closed_ = false;
    std::deque<T> items_;        // behind them, in order, come the offers of the granted putters
    detail::wait_list getters_;  // granted: at most as many as items_, each of them has one
    detail::wait_list putters_;  // granted: at most as many as there is room behind items_
    detail::unfinished_items unfinished_;
};

}  // namespace common
