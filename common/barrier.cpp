#include "common/barrier.hpp"

#include <optional>
#include <utility>

namespace asio = boost::asio;

namespace common {

class barrier::arrival : public detail::wait_list::node {
    friend class barrier;

    std::optional<std::size_t>* place_ = nullptr;  // in the coroutine; stays empty if it breaks
};

broken_barrier::broken_barrier() : std::runtime_error("the barrier is broken") {}

barrier::barrier(std::size_t parties) : parties_(parties)
{
    if (parties == 0) {
        throw std::invalid_argument("a barrier needs at least one party");
    }
}

asio::awaitable<std::size_t> barrier::arrive_and_wait()
{
    if (broken_) {
        throw broken_barrier();
    }
    if (waiting_.size() + 1 == parties_) {
        open();
        co_return parties_ - 1;
    }

    std::optional<std::size_t> place;
    auto opening =
        waiting_.async_wait<arrival>([&place](arrival& waiting) { waiting.place_ = &place; });
    co_await std::move(opening);
    if (!place) {
        throw broken_barrier();
    }
    co_return *place;
}

void barrier::open()
{
    for (std::size_t place = 0; !waiting_.empty(); ++place) {
        *static_cast<arrival&>(waiting_.first()).place_ = place;
        waiting_.release_first();
    }
}

void barrier::abort()
{
    broken_ = true;
    waiting_.release_all();
}

void barrier::reset()
{
    broken_ = false;
    waiting_.release_all();
}

}  // namespace common
