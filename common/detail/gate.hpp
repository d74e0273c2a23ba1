// A gate that lets so many through and makes the others wait: what a mutex and a semaphore share.
//
// The gate counts how many may still pass. Who passes takes one from the count, and gives it back
// when done. While somebody waits, what is given back does not go into the count, where a newcomer
// could snatch it, but straight to the first in line. So the order is strict: whoever comes later
// passes later.
//
// A `pass` is what somebody holds who has passed. It can outlive the gate, in the frame of a
// coroutine that is destroyed with the event loop for instance, and is worth nothing then.

#pragma once

#include "common/detail/wait_list.hpp"

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace common::detail {

class gate {
public:
    class pass;

    // What is left of a gate for those who may outlive it.
    struct anchor : boost::intrusive_ref_counter<anchor, boost::thread_unsafe_counter> {
        explicit anchor(gate& there_) : there(&there_) {}

        gate* there;  // null when the gate has been destroyed
    };

    explicit gate(std::size_t free) : free_(free) {}
    ~gate();
    gate(const gate&) = delete;
    gate& operator=(const gate&) = delete;

    // How many may pass without waiting.
    std::size_t free() const { return free_; }

    bool try_enter()
    {
        if (free_ == 0) {
            return false;
        }
        --free_;
        return true;
    }

    // Waits in line, also if the gate is free; so call try_enter() first. Throws operation_aborted
    // when it is cancelled before the coroutine runs again; its turn then goes to the next.
    auto async_enter()
    {
        return line_.async_wait<entrant>([this](entrant& waiting) { waiting.gate_ = this; });
    }

    // The same for a coroutine that cannot do without: cancelled, it waits on.
    auto async_enter_uncancelled()
    {
        return line_.async_wait<stubborn_entrant>(
            [this](entrant& waiting) { waiting.gate_ = this; });
    }

    // Lets `count` more through.
    void open(std::size_t count = 1)
    {
        for (; count > 0 && !line_.empty(); --count) {
            line_.grant_first();
        }
        free_ += count;
    }

private:
    class entrant : public wait_list::node {
        friend class gate;

        void give_back() final { gate_->open(); }

        gate* gate_ = nullptr;
    };

    class stubborn_entrant : public entrant {
        void cancelled() final {}
    };

    std::size_t free_;  // zero while anybody waits
    wait_list line_;
    boost::intrusive_ptr<anchor> anchor_{std::make_unique<anchor>(*this).release()};
};

// Held by who has entered, and given back when it is destroyed. Holds nothing when it is default
// constructed, moved from or given back, or when the gate has been destroyed.
class gate::pass {
public:
    pass() = default;

    // For who has entered.
    explicit pass(gate& entered) noexcept : anchor_(entered.anchor_) {}

    pass(pass&& other) noexcept = default;

    pass& operator=(pass&& other) noexcept
    {
        if (this != &other) {
            give_back();
            anchor_ = std::move(other.anchor_);
        }
        return *this;
    }

    ~pass() { give_back(); }

    // The gate to which it is given back, or null.
    gate* holds() const noexcept { return anchor_ ? anchor_->there : nullptr; }

    // Survives both the pass and the gate. Null where the pass holds nothing.
    boost::intrusive_ptr<anchor> where() const { return anchor_; }

    void give_back()
    {
        if (auto* const entered = holds()) {
            anchor_.reset();
            entered->open();
        }
    }

private:
    boost::intrusive_ptr<anchor> anchor_;
};

inline gate::~gate()
{
    anchor_->there = nullptr;
}

}  // namespace common::detail
