// What the tests of task_queue share.

#pragma once

#include "task_queue/job.hpp"
#include "task_queue/work_queue.hpp"

#include "common/temporary_folder.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

namespace task_queue::tests {

// In memory, where the system has such a place: an fsync costs nothing there, and no test takes the
// power away.
class temporary_directory : public common::temporary_folder {
public:
    temporary_directory() : temporary_folder(place()) {}

private:
    static std::filesystem::path place()
    {
        const std::filesystem::path memory = "/dev/shm";
        const bool can_use = ::access(memory.c_str(), W_OK) == 0;
        return can_use ? memory : std::filesystem::temp_directory_path();
    }
};

inline job builtin_job(std::string id, std::vector<std::string> words)
{
    job made;
    made.id = std::move(id);
    made.words = std::move(words);
    made.builtin = true;
    return made;
}

inline std::vector<std::string> lines_of(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

// The numbers from `first` to `end`, without that, as lines for `submit --each-line`.
inline std::string job_lines(int first, int end)
{
    std::string lines;
    for (int i = first; i < end; ++i) {
        lines += std::to_string(i) + '\n';
    }
    return lines;
}

// What became of jobs that had to append one of `count` numbers each, as lines.
struct number_count {
    int missing = 0;     // numbers that are not there
    int duplicates = 0;  // lines beyond the first of a number
    int strange = 0;     // lines that are none of the numbers
};

inline number_count count_numbers(const std::string& text, int count)
{
    std::map<std::string, int> times;
    for (int i = 0; i < count; ++i) {
        times[std::to_string(i)] = 0;
    }
    number_count result;
    for (const auto& line : lines_of(text)) {
        const auto number = times.find(line);
        if (number == times.end()) {
            ++result.strange;
        } else if (number->second++ > 0) {
            ++result.duplicates;
        }
    }
    for (const auto& [number, found] : times) {
        result.missing += found == 0 ? 1 : 0;
    }
    return result;
}

// Whether there was a dead letter of this id.
inline boost::asio::awaitable<bool> deal_with_dead(
    queue_client& queue, dead_action action, std::string id)
{
    bool found = false;
    const ids_handler tell = [&found](const auto& ids) { found = !ids.empty(); };
    std::vector<std::string> ids(1, std::move(id));
    co_await queue.deal_with_dead(action, std::move(ids), tell);
    co_return found;
}

inline boost::asio::awaitable<bool> requeue(queue_client& queue, std::string id)
{
    return deal_with_dead(queue, dead_action::requeue, std::move(id));
}

inline boost::asio::awaitable<bool> forget(queue_client& queue, std::string id)
{
    return deal_with_dead(queue, dead_action::forget, std::move(id));
}

}  // namespace task_queue::tests
