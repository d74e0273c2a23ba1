#include "file_streaming/progress.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <string>

using namespace file_streaming;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t mebibyte = 1024 * 1024;

}  // namespace

TEST_CASE("a size has three digits and a unit")
{
    CHECK(human_size(0) == "0 bytes");
    CHECK(human_size(1023) == "1023 bytes");
    CHECK(human_size(1024) == "1.00 KiB");
    CHECK(human_size(1536) == "1.50 KiB");
    CHECK(human_size(9.999 * mebibyte) == "10.0 MiB");
    CHECK(human_size(10.0 * mebibyte) == "10.0 MiB");
    CHECK(human_size(99.96 * 1024) == "100 KiB");
    CHECK(human_size(1023.6 * 1024) == "1.00 MiB");
    CHECK(human_size(5.0 * 1024 * 1024 * mebibyte) == "5.00 TiB");
}

TEST_CASE("the rate is that of the last three seconds")
{
    const common::time_point start;
    rate_meter meter;
    CHECK_FALSE(meter.rate());
    meter.add(start, 0);
    CHECK_FALSE(meter.rate());
    meter.add(start + 1s, 1000);
    CHECK(meter.rate() == 1000.0);
    for (unsigned second = 2; second <= 10; ++second) {
        meter.add(start + std::chrono::seconds(second), 1000 + 10 * (second - 1));
    }
    CHECK(meter.rate() == 10.0);

    SECTION("it is zero when nothing goes on")
    {
        for (int second = 11; second <= 14; ++second) {
            meter.add(start + std::chrono::seconds(second), 1090);
        }
        CHECK(meter.rate() == 0.0);
    }
    SECTION("samples that are further apart still make one")
    {
        meter.add(start + 100s, 1090 + 900);
        CHECK(meter.rate() == 10.0);
    }
}

TEST_CASE("a line of progress tells how far it is, how fast, and how long it takes")
{
    progress work("disk.img");
    work.set_total(1000 * mebibyte);
    CHECK(progress_line(work, {}) == "disk.img   0%  0 bytes of 1000 MiB");
    work.add(250 * mebibyte);
    CHECK(
        progress_line(work, 10.0 * mebibyte) ==
        "disk.img  25%  250 MiB of 1000 MiB  10.0 MiB/s  1:15 left");
    CHECK(
        progress_line(work, 0.1 * mebibyte) ==
        "disk.img  25%  250 MiB of 1000 MiB  102 KiB/s  2:05:00 left");
    CHECK(progress_line(work, 0.0) == "disk.img  25%  250 MiB of 1000 MiB  0 bytes/s");
    work.add(750 * mebibyte);
    CHECK(
        progress_line(work, 10.0 * mebibyte) ==
        "disk.img 100%  1000 MiB of 1000 MiB  10.0 MiB/s  0:00 left");

    progress empty("nothing");
    CHECK(progress_line(empty, {}) == "nothing 100%  0 bytes of 0 bytes");
}

TEST_CASE("a name cannot move the cursor")
{
    progress work("a\nb\033[2Jc");
    CHECK(progress_line(work, {}).starts_with("a?b?[2Jc "));
}

TEST_CASE("a bar is as wide as it may be, and no wider")
{
    progress work("disk.img");
    work.set_total(1000 * mebibyte);
    work.add(500 * mebibyte);
    CHECK(
        progress_bar(work, 10.0 * mebibyte, 79) ==
        "disk.img [=========          ]  50%  500 MiB of 1000 MiB  10.0 MiB/s  0:50 left");
    CHECK(progress_bar(work, 10.0 * mebibyte, 200).size() == 200);
    CHECK(
        progress_bar(work, 10.0 * mebibyte, 60) ==
        " 50%  500 MiB of 1000 MiB  10.0 MiB/s  0:50 left  disk.img");
    CHECK(progress_bar(work, 10.0 * mebibyte, 20) == " 50%  500 MiB of 100");
    CHECK(progress_bar(work, {}, 0).empty());
    work.add(500 * mebibyte);
    CHECK(progress_bar(work, {}, 79).find("=] 100%") != std::string::npos);
}
