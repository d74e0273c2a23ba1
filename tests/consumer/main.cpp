#include "common/clock.hpp"
#include "common/log.hpp"
#include "common/run.hpp"

boost::asio::awaitable<int> answer()
{
    co_await common::sleep_for(std::chrono::seconds(42));
    common::log("consumer", "slept");
    co_return 0;
}

int main()
{
    return common::run(answer(), common::clock_mode::virtual_time);
}
