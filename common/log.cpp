#include "common/log.hpp"

#include "common/clock.hpp"

#include <chrono>
#include <cstdio>
#include <string>

namespace common {

namespace {

void print_line(const std::string& line)
{
    std::fwrite(line.data(), 1, line.size(), stdout);  // one call, so that lines stay whole
    std::fflush(stdout);
}

}  // namespace

void detail::print_log_line(std::string_view who, std::string_view text)
{
    const std::chrono::duration<double> seconds = elapsed();
    print_line(fmt::format("[{:.2f}s] {}: {}\n", seconds.count(), who, text));
}

void section(std::string_view title)
{
    print_line(fmt::format("== {} ==\n", title));
}

}  // namespace common
