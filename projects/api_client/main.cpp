// api_client · A client that does not give up too early, or too late
//
// Idea     A request has a deadline, failures that may be tried again, and some that must not be.
// Lessons  004_exception_handling, 007_semaphore, 012_streams, 014_timeouts
// Run      ./learn run api_client --help
// Read     projects/api_client/README.md, and docs/progression.md, Part V

#include "api_client/http_pool.hpp"

#include "common/run.hpp"

#include <cstdio>

namespace {

boost::asio::awaitable<void> get(std::string where)
{
    http::pool pool;
    const auto answer = co_await pool.exchange(http::request(http::url(where)));
    std::printf("%d\n%s\n", answer.status, answer.body.c_str());
}

}  // namespace

int main(int, char** argv)
{
    try {
        common::run(get(argv[1]));
    } catch (const std::exception& e) {
        std::puts(e.what());
        return 1;
    }
}
