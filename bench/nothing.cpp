#include "bench.hpp"

namespace bench {

boost::asio::awaitable<void> nothing()
{
    co_return;
}

}  // namespace bench
