// The server of lesson 012 as a process of its own, and clients that it would rather not have.

#include "common/serving.hpp"

#include "tests/lessons/012_server.hpp"
#include "tests/support/client.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sys/resource.h>

using support::client;
using tests::server;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t longest_line = 65536;  // with its newline
constexpr std::size_t mebibyte = 1 << 20;

// What a client's doings may cost in memory. AddressSanitizer keeps what was freed for a while.
#ifdef __SANITIZE_ADDRESS__
constexpr std::size_t little = 48 * mebibyte;
#else
constexpr std::size_t little = 8 * mebibyte;
#endif

// What a server must be able to do whatever else is going on.
void check_serves(const server& kitchen)
{
    client guest(kitchen.port());
    guest.send("soup\n");
    CHECK(guest.line() == "here is soup");
}

void check_stops(server& kitchen)
{
    kitchen.signal(SIGTERM);
    const auto run = kitchen.wait();
    CHECK(run.status == 0);
    CHECK(run.err == "");
}

}  // namespace

TEST_CASE("012 serve: a signal stops it with status 0")
{
    const int signal = GENERATE(SIGINT, SIGTERM);
    server kitchen;
    check_serves(kitchen);
    kitchen.signal(signal);
    const auto run = kitchen.wait();
    CHECK(run.status == 0);
    CHECK(run.err == "");
    CHECK(support::is_refused(kitchen.port()));
}

TEST_CASE("012 serve: a port that is taken is an error, and no other's trouble")
{
    server kitchen;
    const auto second = support::run_program(
        support::lesson_program("012_streams"),
        {.arguments = {"serve", std::to_string(kitchen.port())}});
    CHECK(second.status == 1);
    CHECK(second.err == "012_streams: Address already in use\n");
    check_serves(kitchen);
}

TEST_CASE("012 serve: a thousand clients at once")
{
    // The server inherits a low limit, and has to raise it.
    rlimit low{};
    ::getrlimit(RLIMIT_NOFILE, &low);
    low.rlim_cur = 100;
    ::setrlimit(RLIMIT_NOFILE, &low);
    server kitchen;
    const std::size_t limit = common::raise_descriptor_limit();
    const std::size_t count = std::min<std::size_t>(1000, limit - 50);
    if (count < 1000) {
        WARN("the system allows " << limit << " descriptors, so there are " << count << " clients");
    }
    std::vector<client> guests;
    for (std::size_t guest = 0; guest < count; ++guest) {
        guests.emplace_back(kitchen.port());
    }
    for (std::size_t guest = 0; guest < count; ++guest) {
        guests[guest].send("order " + std::to_string(guest) + "\n");
    }
    for (std::size_t guest = 0; guest < count; ++guest) {
        REQUIRE(guests[guest].line() == "here is order " + std::to_string(guest));
    }
    CHECK(support::open_descriptors(kitchen.id()) >= count);
    guests.clear();
    check_stops(kitchen);
}

// One byte a second, but for the sake of the tests a tenth of one.
TEST_CASE("012 serve: a client that sends a byte now and then is served, and so are others")
{
    server kitchen;
    client slow(kitchen.port());
    for (const char byte : std::string("tea\n")) {
        slow.send(std::string(1, byte));
        std::this_thread::sleep_for(100ms);
        check_serves(kitchen);
    }
    CHECK(slow.line() == "here is tea");
}

TEST_CASE("012 serve: a client that never reads is slowed down, costs little, and is given up")
{
    server kitchen;
    check_serves(kitchen);
    const auto before = support::resident_memory(kitchen.id());

    client deaf(kitchen.port(), 4096);
    const std::string order = std::string(60'000, 'x') + "\n";
    std::size_t sent = 0;
    while (sent < 256 * mebibyte) {
        const auto size = deaf.send_some(order, 1000);
        if (size == 0) {
            break;
        }
        sent += size;
    }
    CHECK(sent < 256 * mebibyte);
    CHECK(support::resident_memory(kitchen.id()) < before + little);
    check_serves(kitchen);

    kitchen.wait_for_line("loses a guest: Connection timed out");
    check_serves(kitchen);
    check_stops(kitchen);
}

TEST_CASE("012 serve: clients that reset the connection hurt no other")
{
    server kitchen;
    client other(kitchen.port());
    for (const std::string orders : {"", "half a li", "soup\n", "soup\nbread\ntea\nhalf a li"}) {
        for (int time = 0; time < 20; ++time) {
            client guest(kitchen.port());
            guest.send(orders);
            guest.reset();
        }
        other.send("cake\n");
        CHECK(other.line() == "here is cake");
    }
    kitchen.wait_for_line("loses a guest: Connection reset by peer");
    check_serves(kitchen);
    other.end_sending();
    CHECK(other.rest() == "");
    check_stops(kitchen);
}

TEST_CASE("012 serve: a client that has ended its side gets all its answers")
{
    server kitchen;
    std::string orders;
    std::string answers;
    for (int order = 0; order < 1000; ++order) {
        orders += std::to_string(order) + "\n";
        answers += "here is " + std::to_string(order) + "\n";
    }

    client guest(kitchen.port());
    guest.send(orders);
    guest.end_sending();
    CHECK(guest.rest() == answers);

    // Also when the end comes later than the last order, and when that has no newline.
    client late(kitchen.port());
    late.send("soup\nbread");
    CHECK(late.line() == "here is soup");
    std::this_thread::sleep_for(100ms);
    late.end_sending();
    CHECK(late.rest() == "here is bread\n");

    client silent(kitchen.port());
    silent.end_sending();
    CHECK(silent.rest() == "");
    check_stops(kitchen);
}

TEST_CASE("012 serve: lines that come in one piece are all answered")
{
    server kitchen;
    client guest(kitchen.port());
    guest.send("soup\nbread\n\ntea\n");
    CHECK(guest.line() == "here is soup");
    CHECK(guest.line() == "here is bread");
    CHECK(guest.line() == "here is ");
    CHECK(guest.line() == "here is tea");
}

TEST_CASE("012 serve: the longest line is answered, and one that is longer refused")
{
    server kitchen;
    client guest(kitchen.port());
    const std::string longest(longest_line - 1, 'x');
    guest.send(longest + "\nsoup\n" + longest + "\n");
    CHECK(guest.line() == "here is " + longest);
    CHECK(guest.line() == "here is soup");
    CHECK(guest.line() == "here is " + longest);
    guest.send("x" + longest + "\nsoup\n");
    CHECK(guest.rest() == "sorry, that is too long\n");
}

TEST_CASE("012 serve: a line of a mebibyte gets its refusal, and one of many costs no more memory")
{
    server kitchen;
    check_serves(kitchen);
    const auto before = support::resident_memory(kitchen.id());
    for (const std::size_t size : {1U, 64U}) {
        client guest(kitchen.port());
        guest.send(std::string(size * mebibyte, 'x'));
        guest.send("\n");
        guest.end_sending();
        CHECK(guest.rest() == "sorry, that is too long\n");
    }
    CHECK(support::resident_memory(kitchen.id()) < before + little);
    check_stops(kitchen);
}

TEST_CASE("012 serve: a refused client that goes on sending is given up, and others are served")
{
    server kitchen;
    client endless(kitchen.port());
    endless.send(std::string(mebibyte, 'x'));
    CHECK(endless.line() == "sorry, that is too long");
    try {
        const std::string more(4096, 'x');
        for (int i = 0; i < 6000; ++i) {
            endless.send(more);
            std::this_thread::sleep_for(10ms);
        }
        FAIL("the server has listened for a minute");
    } catch (const std::system_error& error) {
        const bool broken =
            error.code() == std::errc::broken_pipe || error.code() == std::errc::connection_reset;
        CHECK(broken);
    }
    check_serves(kitchen);
}

TEST_CASE("012 serve: bytes that are no text come back as they are, and are not printed")
{
    server kitchen;
    std::string bytes;
    for (int byte = 0; byte < 256; ++byte) {
        if (byte != '\n') {
            bytes += static_cast<char>(byte);
        }
    }
    client guest(kitchen.port());
    guest.send(bytes + "\n");
    CHECK(guest.line() == "here is " + bytes);
    CHECK(kitchen.out().find('\x01') == std::string::npos);
}

TEST_CASE("012 serve: out of descriptors, it waits without spinning, and then goes on")
{
#ifdef __SANITIZE_ADDRESS__
    SKIP("the sanitizers want descriptors themselves");
#endif
    server kitchen({.descriptor_limit = 30});
    std::vector<client> inside;
    while (support::open_descriptors(kitchen.id()) < 30) {
        inside.emplace_back(kitchen.port());
        inside.back().send("soup\n");
        REQUIRE(inside.back().line() == "here is soup");
    }

    client outside(kitchen.port());
    outside.send("tea\n");
    const auto before = support::processor_time(kitchen.id());
    std::this_thread::sleep_for(2s);
    CHECK(support::processor_time(kitchen.id()) - before < 200ms);

    // Those inside do not notice.
    for (auto& guest : inside) {
        guest.send("bread\n");
        CHECK(guest.line() == "here is bread");
    }
    inside.pop_back();
    CHECK(outside.line() == "here is tea");
    outside.end_sending();
    CHECK(outside.rest() == "");
    inside.clear();
    for (int i = 0; i < 100; ++i) {
        check_serves(kitchen);
    }
    check_stops(kitchen);
}

TEST_CASE("012 serve: told to stop, it takes nobody new, and who is there may finish")
{
    server kitchen;
    client guest(kitchen.port());
    guest.send("soup\nbr");
    CHECK(guest.line() == "here is soup");
    kitchen.signal(SIGTERM);
    kitchen.wait_for_line("takes no more guests");
    CHECK(support::is_refused(kitchen.port()));

    guest.send("ead\n");
    CHECK(guest.line() == "here is bread");
    guest.end_sending();
    CHECK(guest.rest() == "");
    const auto run = kitchen.wait();
    CHECK(run.status == 0);
    CHECK(run.out.find("loses a guest") == std::string::npos);
}

TEST_CASE("012 serve: told to stop, it does not wait for ever for those who stay")
{
    server kitchen;
    client idle(kitchen.port());
    idle.send("soup\nbr");
    CHECK(idle.line() == "here is soup");
    client deaf(kitchen.port(), 4096);
    const std::string order = std::string(60'000, 'x') + "\n";
    while (deaf.send_some(order, 200) > 0) {
    }

    const auto start = std::chrono::steady_clock::now();
    kitchen.signal(SIGTERM);
    const auto run = kitchen.wait();
    CHECK(std::chrono::steady_clock::now() - start >= 3s);
    CHECK(run.status == 0);
    CHECK(run.out.find("loses a guest: Operation canceled") != std::string::npos);
}

TEST_CASE("012 serve: a second signal ends it at once")
{
    server kitchen;
    client idle(kitchen.port());
    idle.send("soup\n");
    CHECK(idle.line() == "here is soup");
    kitchen.signal(SIGINT);
    kitchen.wait_for_line("takes no more guests");
    kitchen.signal(SIGINT);
    CHECK(kitchen.wait().status == 128 + SIGINT);
}
