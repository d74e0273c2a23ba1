#include "task_queue/backoff.hpp"

#include <algorithm>
#include <cstdint>

namespace task_queue {

milliseconds backoff_limit(int failures, milliseconds first, milliseconds longest)
{
    auto limit = first;
    for (int failure = 1; failure < failures && limit < longest; ++failure) {
        limit += limit;
        if (limit == milliseconds::zero()) {
            break;
        }
    }
    return std::min(limit, longest);
}

// Not std::uniform_int_distribution, which each standard library draws in a way of its own.
milliseconds backoff_pause(
    int failures, milliseconds first, milliseconds longest, std::minstd_rand& chance)
{
    const auto limit = backoff_limit(failures, first, longest);
    const double part = static_cast<double>(chance() - std::minstd_rand::min()) /
                        static_cast<double>(std::minstd_rand::max() - std::minstd_rand::min());
    const auto sure = limit / 2;
    return sure + milliseconds(static_cast<std::int64_t>(
                      part * static_cast<double>((limit - sure).count())));
}

}  // namespace task_queue
