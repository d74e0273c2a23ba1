#include "common/run.hpp"

#include "common/detail/run_clock.hpp"

namespace asio = boost::asio;

namespace common::detail {

run_loop::run_loop(clock_mode mode)
    : context_(1),  // the hint that one thread runs it
      clock_(asio::make_service<run_clock>(context_, mode))
{
}

void run_loop::run(asio::awaitable<void> main)
{
    asio::co_spawn(context_, std::move(main), [](std::exception_ptr failure) {
        if (failure) {
            std::rethrow_exception(failure);
        }
    });
    clock_.drive(context_);
}

}  // namespace common::detail
