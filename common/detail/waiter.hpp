// A suspended coroutine, as the thing that it waits for holds it.
//
// A coroutine that has to wait suspends into an asynchronous operation, and what remains of it is a
// completion handler: call it, and the coroutine goes on. `waiter` is that handler with its type
// erased, in a node that the thing waited for can link into a list of its own. Three things can
// happen to it:
//
// - resume(): whoever grants the wait calls it. The coroutine goes on from the event loop, never
//   from inside the call, so a chain of a hundred thousand hand-offs needs no stack.
// - cancelled(): the coroutine has been asked to stop. The kind of waiter decides what that means.
//   It can come as long as the handler has not run, so also after resume().
// - destroy(): the event loop is going away. The coroutine's frame is destroyed, and nothing runs.
//   A waiter that was resumed, and whose turn will not come any more, hears abandoned() before.
//
// The cancellation slot belongs to the coroutine and can die before the waiter does, or after it.
// So the two know each other: whichever dies first tells the other. Nothing ever clears the slot,
// which must not happen while it is being emitted.

#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/asio/require.hpp>
#include <boost/system/error_code.hpp>

#include <memory>
#include <utility>

namespace common::detail {

using boost::system::error_code;

class waiter {
public:
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    // Queues the coroutine on its executor. It sees `error` as a boost::system::system_error, or
    // goes on normally. The waiter is gone when the coroutine runs.
    void resume(error_code error = {})
    {
        error_ = error;
        post();
    }

    virtual void destroy() noexcept = 0;

    // The event loop that the coroutine runs on.
    boost::asio::execution_context& context() const { return *context_; }

protected:
    waiter() = default;
    ~waiter() = default;

    // Changes what the coroutine will see, between resume() and its turn.
    void fail_with(error_code error) { error_ = error; }

    error_code error() const { return error_; }

private:
    friend class resumption;
    friend class cancellation_link;
    template <class Kind, class Handler>
    friend class waiter_with_handler;

    virtual void post() = 0;
    virtual void complete() = 0;
    virtual void cancelled() = 0;
    virtual void abandoned() noexcept {}

    boost::asio::execution_context* context_ = nullptr;
    error_code error_;
};

// What is queued by resume(): completes the waiter when its turn comes, or destroys it with the
// queue.
class resumption {
public:
    explicit resumption(waiter& resumed) : waiter_(&resumed) {}

    void operator()() { waiter_.release()->complete(); }

private:
    struct destroyer {
        void operator()(waiter* waiting) const noexcept
        {
            waiting->abandoned();
            waiting->destroy();
        }
    };

    std::unique_ptr<waiter, destroyer> waiter_;
};

// The waiter's end of the tie to its cancellation slot is a pointer to this object, which lives in
// the slot; its own end is `waiter_`. Each is null when the other is gone.
class cancellation_link {
public:
    cancellation_link(waiter& waiting, cancellation_link*& other_end)
        : waiter_(&waiting), other_end_(&other_end)
    {
        other_end = this;
    }

    cancellation_link(const cancellation_link&) = delete;
    cancellation_link& operator=(const cancellation_link&) = delete;

    ~cancellation_link()
    {
        if (waiter_ != nullptr) {
            *other_end_ = nullptr;
        }
    }

    // Called by the signal. Terminal, partial and total all ask for the same thing here: stop
    // waiting.
    void operator()(boost::asio::cancellation_type type)
    {
        if (waiter_ != nullptr && type != boost::asio::cancellation_type::none) {
            waiter_->cancelled();
        }
    }

    void release() { waiter_ = nullptr; }

private:
    waiter* waiter_;
    cancellation_link** other_end_;
};

// A `Kind` of waiter, which derives from waiter, together with the handler that it stands for.
template <class Kind, class Handler>
class waiter_with_handler final : public Kind {
public:
    static waiter_with_handler* make(Handler handler)
    {
        auto memory = allocator(boost::asio::get_associated_allocator(
            handler, boost::asio::recycling_allocator<void>()));
        waiter_with_handler* made = traits::allocate(memory, 1);
        ::new (static_cast<void*>(made)) waiter_with_handler(std::move(handler));
        return made;
    }

    void destroy() noexcept override { take_handler(); }

private:
    using allocator = typename std::allocator_traits<
        boost::asio::associated_allocator_t<Handler, boost::asio::recycling_allocator<void>>>::
        template rebind_alloc<waiter_with_handler>;
    using traits = std::allocator_traits<allocator>;

    explicit waiter_with_handler(Handler&& handler) : handler_(std::move(handler))
    {
        const boost::asio::any_io_executor executor =
            boost::asio::get_associated_executor(handler_);
        if (const auto* const plain = executor.target<boost::asio::io_context::executor_type>()) {
            loop_ = &plain->context();
            this->context_ = loop_;
        } else {
            this->context_ = &boost::asio::query(executor, boost::asio::execution::context);
        }

        auto slot = boost::asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.template emplace<cancellation_link>(*this, link_);
        }
    }

    ~waiter_with_handler()
    {
        if (link_ != nullptr) {
            link_->release();
        }
    }

    // Frees the waiter before its handler is called, so that the memory serves the next one.
    Handler take_handler()
    {
        auto handler = std::move(handler_);
        auto memory = allocator(boost::asio::get_associated_allocator(
            handler, boost::asio::recycling_allocator<void>()));
        this->~waiter_with_handler();
        traits::deallocate(memory, this, 1);
        return handler;
    }

    void post() override
    {
        // co_spawn keeps the work count up for as long as a coroutine lives, so no guard is needed
        // here.
        if (loop_ != nullptr) {
            boost::asio::require(loop_->get_executor(), boost::asio::execution::blocking.never)
                .execute(resumption(*this));
        } else {
            boost::asio::post(boost::asio::get_associated_executor(handler_), resumption(*this));
        }
    }

    void complete() override
    {
        const auto error = this->error();
        auto handler = take_handler();
        std::move(handler)(error);
    }

    Handler handler_;
    cancellation_link* link_ = nullptr;

    // The io_context whose executor the coroutine has, or null where it has another, such as a
    // strand. An io_context takes a post in half the time when asked directly, and not through an
    // any_io_executor.
    boost::asio::io_context* loop_ = nullptr;
};

// Suspends the calling coroutine into a `Kind` of waiter, and then calls `start(Kind&)`, which
// links it where it waits. Cancellation can arrive from the moment that `start` is called.
template <class Kind, class Start>
auto async_wait_as(Start start)
{
    return boost::asio::async_initiate<const boost::asio::deferred_t&, void(error_code)>(
        [](auto handler, Start begin) {
            begin(*waiter_with_handler<Kind, decltype(handler)>::make(std::move(handler)));
        },
        boost::asio::deferred, std::move(start));
}

}  // namespace common::detail
