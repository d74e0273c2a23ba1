#include "common/task_group.hpp"

#include <fmt/format.h>

#include <string>

namespace asio = boost::asio;

namespace common {

namespace {

std::string message_of(const std::exception_ptr& exception)
{
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an exception that is no std::exception";
    }
}

std::string summary(const std::vector<std::exception_ptr>& exceptions)
{
    std::string text =
        fmt::format("{} {} failed", exceptions.size(), exceptions.size() == 1 ? "task" : "tasks");
    const char* separator = ": ";
    for (const auto& exception : exceptions) {
        text += separator + message_of(exception);
        separator = "; ";
    }
    return text;
}

}  // namespace

exception_group::exception_group(std::vector<std::exception_ptr> exceptions)
    : std::runtime_error(summary(exceptions)),
      exceptions_(std::make_shared<const std::vector<std::exception_ptr>>(std::move(exceptions)))
{
}

void exception_group::throw_first() const
{
    try {
        std::rethrow_exception(exceptions_->front());
    } catch (const exception_group& inner) {
        inner.throw_first();
    }
}

void task_group::spawn(asio::awaitable<void> task)
{
    if (!failures_.empty()) {
        throw std::logic_error("spawn: a task of this group has failed, and it takes no new ones");
    }
    children_.start(std::move(task), outcome{this});
}

void task_group::task_failed(std::exception_ptr failure)
{
    if (children_.cancelled() && detail::is_abort(failure)) {
        return;
    }
    failures_.push_back(std::move(failure));
    children_.cancel_once();
}

void task_group::throw_failures() const
{
    if (!failures_.empty()) {
        throw exception_group(failures_);
    }
    if (children_.parent_cancelled()) {
        std::rethrow_exception(detail::aborted());
    }
}

}  // namespace common
