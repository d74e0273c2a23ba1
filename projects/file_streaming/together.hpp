// A task group whose failure is the first of its tasks' failures, as itself.
//
// When the disk is full, every write that is under way fails, and with_task_group gives them all.
// The user wants to be told once.

#pragma once

#include "common/task_group.hpp"

#include <boost/asio/awaitable.hpp>

#include <utility>

namespace file_streaming {

// As common::with_task_group, but throws what the first task threw.
template <class Body>
boost::asio::awaitable<void> together(Body body)
{
    try {
        co_await common::with_task_group(std::move(body));
    } catch (const common::exception_group& failures) {
        failures.throw_first();
    }
}

}  // namespace file_streaming
