// Google Benchmark's main, with the measurements of this folder. `./learn bench` runs it.

#include "bench.hpp"

#include "common/gather.hpp"
#include "common/run.hpp"

#include <utility>

namespace bench {

void add(const std::string& name, body measured, std::size_t coroutines, common::clock_mode mode)
{
    benchmark::RegisterBenchmark(
        name.c_str(), [measured, coroutines, mode](benchmark::State& state) {
            rounds left(state);
            common::run(measured(left, coroutines), mode);
        });
}

boost::asio::awaitable<void> together(std::vector<boost::asio::awaitable<void>> coroutines)
{
    co_await common::gather(std::move(coroutines));
}

}  // namespace bench

int main(int argc, char** argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 2;
    }
    bench::add_alone();
    bench::add_floors();
    bench::add_locks();
    bench::add_channels_as_locks();
    bench::add_queues();
    bench::add_channels();
    bench::add_signals();
    bench::add_children();
    bench::add_sleeps();
    bench::add_memory();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
