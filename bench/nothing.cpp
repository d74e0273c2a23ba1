#include "bench.hpp"

namespace bench {

boost::asio::awaitable<void> nothing()
{
    co_return;
}

boost::asio::awaitable<int> number()
{
    co_return 42;
}

}  // namespace bench
