#include "task_queue/job.hpp"

#include "task_queue/json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <stdexcept>
#include <utility>

namespace json = boost::json;

namespace task_queue {

namespace {

constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";  // 32, none like another
constexpr int bits_of_a_half = 40;

// The lowest 40 bits as eight digits.
std::string half_of_id(std::uint64_t number)
{
    std::string text;
    for (int shift = bits_of_a_half - 5; shift >= 0; shift -= 5) {
        text += digits[(number >> shift) & 31];
    }
    return text;
}

}  // namespace

std::string_view name_of(priority urgency)
{
    constexpr std::array<std::string_view, 3> names = {"high", "normal", "low"};
    return names[static_cast<std::size_t>(urgency)];
}

priority parse_priority(std::string_view name)
{
    for (const auto each : priorities) {
        if (name == name_of(each)) {
            return each;
        }
    }
    throw std::invalid_argument(
        fmt::format("'{}' is no priority; there are high, normal and low", name));
}

// The time of the first id, and random bits; every further id counts on from there, in both.
std::string new_job_id()
{
    static const auto start = static_cast<std::uint64_t>(
        std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now())
            .time_since_epoch()
            .count());
    static std::random_device chance;
    static std::uint64_t count = 0;
    const auto random = static_cast<std::uint64_t>(chance()) << 8 ^ chance();
    return half_of_id(start + count++) + half_of_id(random);
}

std::string to_json(const job& what)
{
    json::object text;
    text["words"] = json::array(what.words.begin(), what.words.end());
    text["builtin"] = what.builtin;
    text["priority"] = name_of(what.urgency);
    text["delay"] = what.delay.count();
    if (what.lifetime) {
        text["lifetime"] = what.lifetime->count();
    }
    text["max_tries"] = what.max_tries;
    if (what.time_limit) {
        text["time_limit"] = what.time_limit->count();
    }
    text["backoff"] = what.backoff.count();
    text["longest_backoff"] = what.longest_backoff.count();
    return json::serialize(text);
}

job job_from_json(std::string id, std::string_view text)
{
    const auto fields = parse_object(text);
    const auto optional_time = [&](std::string_view name) -> std::optional<milliseconds> {
        const auto* const value = fields.if_contains(name);
        return value != nullptr ? std::optional(milliseconds(value->to_number<std::int64_t>()))
                                : std::nullopt;
    };
    job what;
    what.id = std::move(id);
    for (const auto& word : fields.at("words").as_array()) {
        what.words.emplace_back(word.as_string());
    }
    what.builtin = fields.at("builtin").as_bool();
    what.urgency = parse_priority(fields.at("priority").as_string());
    what.delay = milliseconds(fields.at("delay").to_number<std::int64_t>());
    what.lifetime = optional_time("lifetime");
    what.max_tries = fields.at("max_tries").to_number<int>();
    what.time_limit = optional_time("time_limit");
    what.backoff = milliseconds(fields.at("backoff").to_number<std::int64_t>());
    what.longest_backoff = milliseconds(fields.at("longest_backoff").to_number<std::int64_t>());
    return what;
}

std::string command_line(const job& what)
{
    std::string line;
    for (const auto& word : what.words) {
        const bool plain =
            !word.empty() && word.find_first_of(" '\"\\") == word.npos && shown(word) == word;
        line += line.empty() ? "" : " ";
        line += plain ? word : fmt::format("{:?}", word);
    }
    return line;
}

std::string shown(std::string_view text)
{
    std::string shown;
    bool after_c2 = false;
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        // In UTF-8, C2 80 to C2 9F are control characters, too.
        const bool steers = code < ' ' || code == 0x7f || (after_c2 && code >= 0x80 && code < 0xa0);
        shown += steers ? fmt::format("\\x{:02x}", code) : std::string(1, c);
        after_c2 = code == 0xc2;
    }
    return shown;
}

milliseconds parse_duration(std::string_view text)
{
    constexpr std::array<std::pair<std::string_view, double>, 6> units = {{
        {"", 1e3},
        {"ms", 1},
        {"s", 1e3},
        {"m", 60e3},
        {"h", 3600e3},
        {"d", 86400e3},
    }};
    constexpr double century = 100.0 * 365 * 86400e3;

    double number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const auto unit = text.substr(static_cast<std::size_t>(rest - text.data()));
    for (const auto& [name, factor] : units) {
        if (error == std::errc() && unit == name && number >= 0 && number * factor <= century) {
            return milliseconds(static_cast<std::int64_t>(number * factor + 0.5));
        }
    }
    throw std::invalid_argument(
        fmt::format("'{}' is no duration, such as 250ms, 10s, 1.5m, 2h or 1d", text));
}

std::string text_of(milliseconds time)
{
    const auto number = static_cast<double>(time.count());
    if (number < 1e3) {
        return fmt::format("{} ms", time.count());
    }
    if (number < 60e3) {
        return fmt::format("{:.3g} s", number / 1e3);
    }
    if (number < 3600e3) {
        return fmt::format("{:.3g} min", number / 60e3);
    }
    return fmt::format("{:.3g} h", number / 3600e3);
}

}  // namespace task_queue
