// The list of the tasks that live, by name, and where each waits. For lesson 016.
//
// An io_context knows how much work is left, and not whose. So a task that wants to be found says
// so itself: it has a `listed::task` among its locals, which is in the list from its construction
// to its destruction. The frame of a coroutine destroys its locals at every exit: at the end, when
// an exception leaves it, and when it is destroyed while it is suspended. In the same way a `stop`
// is a local of whatever waits. So the list need not be kept up to date, and cannot fall behind.
//
// It is for the tasks of one thread.

#pragma once

#include "common/event.hpp"
#include "common/mutex.hpp"

#include <boost/asio/awaitable.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace listed {

class mutex;
class task;

// Every task that lives, in the order in which they began. As asyncio.all_tasks.
inline std::vector<task*> all_tasks;

// For as long as it lives, the task waits there. It may wait for something inside which it waits
// for something else; so it has several of these, the innermost last.
struct stop {
    stop(task& who, std::string what, std::source_location where, const mutex* wanted = nullptr);
    ~stop();
    stop(const stop&) = delete;
    stop& operator=(const stop&) = delete;

    task& who;
    const std::string what;
    const std::source_location where;
    const mutex* const wanted;  // null where it is no mutex that it waits for
};

class task {
public:
    // A task without a parent is on top, such as main's.
    explicit task(std::string name_, const task* parent_ = nullptr)
        : name(std::move(name_)), parent(parent_)
    {
        all_tasks.push_back(this);
    }

    ~task()
    {
        std::erase(all_tasks, this);
        for (task* const other : all_tasks) {
            if (other->parent == this) {
                other->parent = parent;  // outlives it, and goes to who is left
            }
        }
    }

    task(const task&) = delete;
    task& operator=(const task&) = delete;

    const std::string name;
    const task* parent;
    std::vector<const stop*> stops;
    common::event give_way;  // whoever sets it asks the task to let go of what it has
};

inline stop::stop(task& who_, std::string what_, std::source_location where_, const mutex* wanted_)
    : who(who_), what(std::move(what_)), where(where_), wanted(wanted_)
{
    who.stops.push_back(this);
}

inline stop::~stop()
{
    std::erase(who.stops, this);
}

// Awaits `operation`; meanwhile the list says for what the task waits, and in which line.
template <class T>
boost::asio::awaitable<T> wait_for(
    task& who, std::string what, boost::asio::awaitable<T> operation,
    std::source_location where = std::source_location::current())
{
    const stop here(who, std::move(what), where);
    co_return co_await std::move(operation);
}

// A mutex that knows who has it. That makes two lists a graph: a task waits for a mutex, and the
// mutex is held by a task.
class mutex {
public:
    struct unlock {
        void operator()(mutex* held) const
        {
            held->holder_ = nullptr;
            held->guard_.unlock();
        }
    };

    // Whoever has this has the lock, until it is destroyed.
    using hold = std::unique_ptr<mutex, unlock>;

    explicit mutex(std::string name_) : name(std::move(name_)) {}

    boost::asio::awaitable<hold> lock(
        task& who, std::source_location where = std::source_location::current())
    {
        const stop here(who, "the " + name, where, this);
        guard_ = co_await mutex_.lock();
        holder_ = &who;
        co_return hold(this);
    }

    task* holder() const { return holder_; }

    const std::string name;

private:
    common::mutex mutex_;
    common::mutex::guard guard_;
    task* holder_ = nullptr;  // null when nobody has it
};

// `Bob waits for the chair, line 190; the drill, which Ada has, line 170`, the innermost last.
inline std::string describe(const task& each)
{
    std::string text = each.name + (each.stops.empty() ? " runs" : " waits for ");
    const char* separator = "";
    for (const stop* const at : each.stops) {
        const auto* const holder = at->wanted == nullptr ? nullptr : at->wanted->holder();
        const auto whose = holder == nullptr ? "" : ", which " + holder->name + " has";
        text += fmt::format("{}{}{}, line {}", separator, at->what, whose, at->where.line());
        separator = "; ";
    }
    return text;
}

// All tasks below `parent`, a line for each, and those that it has started under it. As
// asyncio.print_call_graph, turned upside down.
inline std::vector<std::string> lines(const task* parent = nullptr, std::string indent = "")
{
    std::vector<std::string> all;
    for (const task* const each : all_tasks) {
        if (each->parent == parent) {
            all.push_back(indent + describe(*each));
            const auto below = lines(each, indent + "  ");
            all.insert(all.end(), below.begin(), below.end());
        }
    }
    return all;
}

// Who has what the task waits for, or null.
inline task* waits_for_task(const task& waiting)
{
    for (const stop* const at : waiting.stops) {
        if (at->wanted != nullptr && at->wanted->holder() != nullptr) {
            return at->wanted->holder();
        }
    }
    return nullptr;
}

// Tasks of which each waits for what the next has, and the last for what the first has: a deadlock.
// Empty where there is none.
inline std::vector<task*> find_circle()
{
    for (task* const first : all_tasks) {
        std::vector<task*> chain{first};
        while (task* const next = waits_for_task(*chain.back())) {
            if (next == first) {
                return chain;
            }
            if (std::count(chain.begin(), chain.end(), next) > 0) {
                break;  // a circle that `first` is not part of; it is found from another
            }
            chain.push_back(next);
        }
    }
    return {};
}

}  // namespace listed
