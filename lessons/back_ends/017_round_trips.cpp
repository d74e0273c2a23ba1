// Lesson 017, on three back ends: how Asio waits for sockets is chosen when it is compiled. This
// program is built once for each, and measures round trips between two sockets, alone and beside
// many that are silent.
//
// Run      cmake --build build/default --target back_ends
// Read     docs/progression.md, lesson 017

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include <fmt/core.h>

#include <chrono>
#include <exception>
#include <list>
#include <string_view>
#include <utility>

#include <sys/resource.h>

#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
#include <liburing.h>
#include <cstring>
#endif

namespace asio = boost::asio;
using boost::asio::awaitable;
using local_socket = asio::local::stream_protocol::socket;

namespace {

#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
constexpr std::string_view back_end = "io_uring";
#elif defined(BOOST_ASIO_HAS_EPOLL)
constexpr std::string_view back_end = "epoll";
#else
constexpr std::string_view back_end = "select";
#endif

// A kernel may have no io_uring, or refuse it: containers often do. Asio would throw from the first
// socket that it makes. This asks before.
bool kernel_allows()
{
#if defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
    io_uring ring;
    const int refusal = io_uring_queue_init(1, &ring, 0);
    if (refusal < 0) {
        fmt::print("{}: the kernel refuses it: {}\n", back_end, std::strerror(-refusal));
        return false;
    }
    io_uring_queue_exit(&ring);
#endif
    return true;
}

void rethrow(std::exception_ptr failure)
{
    if (failure) {
        std::rethrow_exception(failure);
    }
}

constexpr int trips = 10'000;

// Gives back one more than what comes, as often as it is asked.
awaitable<void> answer(local_socket socket)
{
    for (int trip = 0; trip < trips; ++trip) {
        unsigned char number = 0;
        co_await socket.async_read_some(asio::buffer(&number, 1), asio::deferred);
        ++number;
        co_await socket.async_write_some(asio::buffer(&number, 1), asio::deferred);
    }
}

awaitable<void> ask(local_socket socket, int& sum)
{
    for (int trip = 0; trip < trips; ++trip) {
        auto number = static_cast<unsigned char>(trip % 100);
        co_await socket.async_write_some(asio::buffer(&number, 1), asio::deferred);
        co_await socket.async_read_some(asio::buffer(&number, 1), asio::deferred);
        sum += number;
    }
}

// Waits for a byte that never comes.
awaitable<void> stay_silent(local_socket& socket)
{
    char never = ' ';
    co_await socket.async_read_some(asio::buffer(&never, 1), asio::deferred);
}

double seconds_of_cpu()
{
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void measure(int silent)
{
    asio::io_context loop(1);
    std::list<local_socket> sockets;
    for (int i = 0; i < silent; ++i) {
        auto& mute = sockets.emplace_back(loop);
        auto& deaf = sockets.emplace_back(loop);
        asio::local::connect_pair(mute, deaf);
        asio::co_spawn(loop, stay_silent(deaf), asio::detached);  // destroyed with the loop
    }
    local_socket near(loop);
    local_socket far(loop);
    asio::local::connect_pair(near, far);

    int sum = 0;
    asio::co_spawn(loop, answer(std::move(far)), rethrow);
    asio::co_spawn(loop, ask(std::move(near), sum), [&loop](std::exception_ptr failure) {
        rethrow(failure);
        loop.stop();
    });
    const auto start = std::chrono::steady_clock::now();
    const double start_of_cpu = seconds_of_cpu();
    loop.run();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const double cpu = seconds_of_cpu() - start_of_cpu;
    fmt::print(
        "{}, {} silent: {} round trips, sum {}; {:.0f} a second, {:.1f} us of CPU each\n", back_end,
        silent, trips, sum, trips / took.count(), cpu / trips * 1e6);
}

}  // namespace

int main()
{
    if (kernel_allows()) {
        measure(0);
        measure(400);
    }
}
