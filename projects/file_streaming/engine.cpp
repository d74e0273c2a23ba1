#include "file_streaming/engine.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace file_streaming {

std::unique_ptr<engine> make_engine(
    engine_kind kind, boost::asio::any_io_executor loop, std::size_t threads)
{
    if (kind == engine_kind::automatic || kind == engine_kind::io_uring) {
        std::string refusal;
        if (auto ring = make_io_uring_engine(std::move(loop), refusal)) {
            return ring;
        }
        if (kind == engine_kind::io_uring) {
            throw std::runtime_error(fmt::format("no io_uring: {}", refusal));
        }
    }
    return kind == engine_kind::blocking ? make_blocking_engine() : make_thread_engine(threads);
}

}  // namespace file_streaming
