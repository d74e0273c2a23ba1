#include "file_streaming/progress.hpp"

#include "file_streaming/file_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include <sys/ioctl.h>

using boost::asio::awaitable;
using namespace std::chrono_literals;

namespace file_streaming {

namespace {

constexpr auto window = 3s;

std::string time_left(double seconds)
{
    if (seconds > 360'000) {
        return "long";
    }
    const auto whole = static_cast<int>(seconds + 0.999);
    if (whole >= 3600) {
        return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
    }
    return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

// Of an empty file everything is done.
double fraction_done(const progress& work)
{
    return work.total() == 0 ? 1.0
                             : static_cast<double>(work.done()) / static_cast<double>(work.total());
}

std::string percent(const progress& work)
{
    return fmt::format("{:3.0f}%", 100 * fraction_done(work));
}

std::string numbers(const progress& work, std::optional<double> rate)
{
    const auto done = static_cast<double>(work.done());
    const auto total = static_cast<double>(work.total());
    auto text = fmt::format("{} of {}", human_size(done), human_size(total));
    if (rate) {
        text += fmt::format("  {}/s", human_size(*rate));
        if (*rate > 0) {
            text += fmt::format("  {} left", time_left((total - done) / *rate));
        }
    }
    return text;
}

std::size_t terminal_width(std::FILE* terminal)
{
    winsize size{};
    const bool known = ::ioctl(::fileno(terminal), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

// Whether it can be shown makes no difference to the work.
void show(std::FILE* out, const std::string& text)
{
    std::fputs(text.c_str(), out);
    std::fflush(out);
}

// Draws over what it drew before, and leaves an empty line.
class drawn_line {
public:
    explicit drawn_line(std::FILE* terminal) : terminal_(terminal) {}
    drawn_line(const drawn_line&) = delete;
    drawn_line& operator=(const drawn_line&) = delete;

    ~drawn_line()
    {
        if (drawn_) {
            draw("");
        }
    }

    // A terminal moves to the next line when the last column is written to, so that stays free.
    void draw_bar(const progress& work, std::optional<double> rate)
    {
        draw(progress_bar(work, rate, terminal_width(terminal_) - 1));
    }

private:
    void draw(std::string_view text)
    {
        show(terminal_, fmt::format("\r{}\033[K", text));  // to the left, the text, erase the rest
        drawn_ = true;
    }

    std::FILE* const terminal_;
    bool drawn_ = false;
};

}  // namespace

void rate_meter::add(common::time_point when, std::uint64_t done)
{
    while (samples_.size() > 1 && samples_[1].first <= when - window) {
        samples_.pop_front();
    }
    samples_.emplace_back(when, done);
}

std::optional<double> rate_meter::rate() const
{
    if (samples_.size() < 2 || samples_.back().first == samples_.front().first) {
        return std::nullopt;
    }
    const std::chrono::duration<double> seconds = samples_.back().first - samples_.front().first;
    return static_cast<double>(samples_.back().second - samples_.front().second) / seconds.count();
}

// Three digits, as far as there are.
std::string human_size(double bytes)
{
    constexpr std::array units = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    while (bytes >= 1023.5 && unit + 1 < units.size()) {
        bytes /= 1024;
        ++unit;
    }
    const int decimals = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
    return fmt::format("{:.{}f} {}", bytes, decimals, units[unit]);
}

std::string progress_line(const progress& work, std::optional<double> rate)
{
    return fmt::format("{} {}  {}", printable(work.name()), percent(work), numbers(work, rate));
}

std::string progress_bar(const progress& work, std::optional<double> rate, std::size_t width)
{
    const auto name = printable(work.name());
    const auto right = percent(work) + "  " + numbers(work, rate);
    constexpr std::size_t around_bar = 4;  // the spaces and brackets
    constexpr std::size_t shortest = 10;

    if (name.size() + around_bar + shortest + right.size() <= width) {
        const auto length = width - name.size() - around_bar - right.size();
        const auto filled = std::min(
            length, static_cast<std::size_t>(static_cast<double>(length) * fraction_done(work)));
        return fmt::format(
            "{} [{}{}] {}", name, std::string(filled, '='), std::string(length - filled, ' '),
            right);
    }
    return (right + "  " + name).substr(0, width);
}

awaitable<void> show_progress(
    const progress& work, progress_style style, common::duration interval, std::FILE* out)
{
    rate_meter meter;
    drawn_line line(out);
    meter.add(common::now(), 0);
    while (style != progress_style::none) {
        co_await common::sleep_for(style == progress_style::bar ? 100ms : interval);
        meter.add(common::now(), work.done());
        if (style == progress_style::bar) {
            line.draw_bar(work, meter.rate());
        } else {
            show(out, progress_line(work, meter.rate()) + "\n");
        }
    }
}

}  // namespace file_streaming
