// Makes a table, a JSON file and a plot of what was measured.
//
//     report RESULTS FOLDER [ASYNCIO_RESULTS]
//
// RESULTS is what Google Benchmark wrote, ASYNCIO_RESULTS what asyncio_bench.py printed. The table
// goes to standard output, results.json and results.svg into the folder.

#include <boost/json/src.hpp>
#include <boost/version.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace json = boost::json;

namespace {

// --- what was measured

// Nanoseconds of processor time for an operation, or bytes.
struct figure {
    double value = 0;
    double spread = 0;  // the standard deviation of the repetitions, as a part of the value
};

struct row {
    std::string name;
    std::optional<figure> common, asio, asyncio;

    bool is_memory() const { return name.starts_with("bytes"); }
};

struct results {
    std::vector<row> rows;
    double floor = 0;       // awaiting an empty coroutine
    double round_trip = 0;  // a bare post
    json::object machine;

    const row& at(std::string_view name) const
    {
        const auto found = std::ranges::find(rows, name, &row::name);
        if (found == rows.end()) {
            throw std::runtime_error(fmt::format("'{}' was not measured", name));
        }
        return *found;
    }
};

json::value read_json(const std::string& path)
{
    std::ifstream file(path);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    if (!file) {
        throw std::runtime_error(path + " cannot be read");
    }
    return json::parse(text);
}

std::string cpu_model()
{
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("model name")) {
            return line.substr(line.find(':') + 2);
        }
    }
    return "unknown";
}

json::object machine(const json::object& context)
{
    return {
        {"cpu", cpu_model()},
        {"cpus", context.at("num_cpus")},
        {"load", context.at("load_avg").as_array().empty() ? 0 : context.at("load_avg").at(0)},
        {"compiler", __VERSION__},
        {"boost", BOOST_LIB_VERSION},
        {"date", context.at("date")},
    };
}

// A repeated measurement has its median and its spread in entries of their own; one that was done
// once has one entry. They come in any order: `family_index` says in which they were added.
void add_entry(
    std::map<std::int64_t, std::pair<std::string, figure>>& found, const json::object& entry)
{
    auto& [name, measured] = found[entry.at("family_index").as_int64()];
    name = entry.at("run_name").as_string();
    name.resize(std::min(name.size(), name.find('/')));

    const auto* const bytes = entry.if_contains("bytes");
    const auto value = (bytes != nullptr ? *bytes : entry.at("cpu_time")).to_number<double>();
    if (entry.at("run_type") != "aggregate" || entry.at("aggregate_name") == "median") {
        measured.value = value;
    } else if (entry.at("aggregate_name") == "cv") {
        measured.spread = value;
    }
}

results read_results(const std::string& path, const std::string& asyncio_path)
{
    const auto document = read_json(path).as_object();
    std::map<std::int64_t, std::pair<std::string, figure>> found;
    for (const auto& entry : document.at("benchmarks").as_array()) {
        add_entry(found, entry.as_object());
    }

    results read;
    read.machine = machine(document.at("context").as_object());
    for (const auto& [family, named] : found) {
        const auto& [full_name, measured] = named;
        const auto colon = full_name.find(": ");
        const auto who = full_name.substr(0, colon);
        const auto name = full_name.substr(colon + 2);
        auto known = std::ranges::find(read.rows, name, &row::name);
        if (known == read.rows.end()) {
            known = read.rows.insert(known, row{name, {}, {}, {}});
        }
        (who == "asio" ? known->asio : known->common) = measured;
    }
    if (!asyncio_path.empty()) {
        const auto asyncio = read_json(asyncio_path).as_object();
        read.machine["python"] = asyncio.at("version");
        const auto& values = asyncio.at("results").as_object();
        for (auto& each : read.rows) {
            if (const auto* const value = values.if_contains(each.name)) {
                each.asyncio = figure{value->to_number<double>(), 0};
            }
        }
    }
    read.floor = read.at("await an empty coroutine").common->value;
    read.round_trip = read.at("yield, 1").asio->value;
    return read;
}

// --- what is aimed at

struct target {
    std::string text;
    double found;
    double limit;
    bool at_least = false;

    bool met() const { return at_least ? found >= limit : found <= limit; }
};

double common_of(const results& all, std::string_view name)
{
    return all.at(name).common->value;
}

double asio_of(const results& all, std::string_view name)
{
    return all.at(name).asio->value;
}

std::vector<target> targets(const results& all)
{
    std::vector<target> aims;
    aims.push_back(
        {"mutex, free / await an empty coroutine", common_of(all, "mutex, free") / all.floor, 1.5});
    for (const int coroutines : {2, 10, 1000}) {
        const auto trip = asio_of(all, fmt::format("yield, {}", coroutines));
        const auto lock = fmt::format("mutex, {}", coroutines);
        aims.push_back({lock + " / post", common_of(all, lock) / trip, 1.25});
    }
    for (const int coroutines : {2, 10, 1000}) {
        const auto turn = fmt::format("yield, {}", coroutines);
        const auto lock = fmt::format("mutex, {}, yield", coroutines);
        const auto above = common_of(all, lock) - common_of(all, turn);
        aims.push_back(
            {fmt::format("({} - {}) / post", lock, turn), above / asio_of(all, turn), 1.25});
    }
    aims.push_back(
        {"queue of 64, 2 / await an empty coroutine", common_of(all, "queue of 64, 2") / all.floor,
         3});
    aims.push_back({"queue of 1, 2 / post", common_of(all, "queue of 1, 2") / all.round_trip, 2});
    for (const std::string name : {"queue of 64, 2", "queue of 1, 2"}) {
        aims.push_back({"channel / " + name, asio_of(all, name) / common_of(all, name), 2, true});
    }
    for (const std::string name :
         {"sleep of 0", "short sleep, 1", "short sleep, 10", "short sleep, 1000"}) {
        aims.push_back({name + " / steady_timer", common_of(all, name) / asio_of(all, name), 1.1});
    }
    for (const std::string name :
         {"bytes in a sleep", "bytes in a virtual sleep", "bytes in a lock"}) {
        aims.push_back({name, common_of(all, name), 500});
    }
    for (const auto& each : all.rows) {
        const bool comparable = each.common && each.asyncio && !each.is_memory();
        if (comparable && each.asyncio->value < 5 * each.common->value) {
            aims.push_back(
                {"asyncio / " + each.name, each.asyncio->value / each.common->value, 5, true});
        }
    }
    return aims;
}

// --- the table

std::string cell(const std::optional<figure>& measured)
{
    if (!measured) {
        return "";
    }
    return fmt::format("{:.{}f}", measured->value, measured->value < 100 ? 1 : 0);
}

std::string times(const std::optional<figure>& other, double base)
{
    return other ? fmt::format("{:.1f}", other->value / base) : "";
}

void print_table(const results& all)
{
    fmt::print(
        "{:<28}{:>8}{:>5}{:>8}{:>7}{:>10}{:>7}{:>10}{:>7}\n", "ns of processor time", "common",
        "+-%", "x empty", "x post", "Asio", "ratio", "asyncio", "ratio");
    for (const auto& each : all.rows) {
        const auto ours = each.common;
        const auto spread =
            ours && ours->spread > 0 ? fmt::format("{:.0f}", ours->spread * 100) : "";
        fmt::print("{:<28}{:>8}{:>5}", each.name, cell(ours), spread);
        fmt::print(
            "{:>8}{:>7}", each.is_memory() ? "" : times(ours, all.floor),
            each.is_memory() ? "" : times(ours, all.round_trip));
        fmt::print("{:>10}{:>7}", cell(each.asio), ours ? times(each.asio, ours->value) : "");
        fmt::print(
            "{:>10}{:>7}\n", cell(each.asyncio), ours ? times(each.asyncio, ours->value) : "");
    }
}

void print_targets(const std::vector<target>& aims)
{
    fmt::print("\n{:<44}{:>8}  {}\n", "target", "found", "aim");
    for (const auto& aim : aims) {
        fmt::print(
            "{:<44}{:>8.2f}  {} {:g}  {}\n", aim.text, aim.found,
            aim.at_least ? ">=" : "<=", aim.limit, aim.met() ? "met" : "MISSED");
    }
}

// --- the files

std::ofstream create(const std::string& path)
{
    std::ofstream file(path);
    if (!file) {
        throw std::runtime_error(path + " cannot be written");
    }
    return file;
}

void write_json(const results& all, const std::vector<target>& aims, const std::string& path)
{
    json::array rows;
    for (const auto& each : all.rows) {
        json::object line{{"name", each.name}, {"unit", each.is_memory() ? "bytes" : "ns"}};
        if (each.common) {
            line["common"] = each.common->value;
            line["spread"] = each.common->spread;
        }
        if (each.asio) {
            line["asio"] = each.asio->value;
        }
        if (each.asyncio) {
            line["asyncio"] = each.asyncio->value;
        }
        rows.push_back(std::move(line));
    }
    json::array list;
    for (const auto& aim : aims) {
        list.push_back(
            {{"target", aim.text},
             {"found", aim.found},
             {"limit", aim.limit},
             {"at_least", aim.at_least},
             {"met", aim.met()}});
    }
    json::object document{{"machine", all.machine}, {"rows", rows}, {"targets", list}};
    create(path) << document << '\n';
}

// A point for each who did the work, on a logarithmic scale, and a line at each of the two floors.
class plot {
public:
    explicit plot(const results& all) : all_(all)
    {
        for (const auto& each : all.rows) {
            height_ += each.is_memory() ? 0 : line_height;
        }
    }

    std::string draw()
    {
        svg_ = fmt::format(
            "<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='{}' "
            "font-family='sans-serif' font-size='11'>\n"
            "<rect width='100%' height='100%' fill='white'/>\n",
            right + 30, height_);
        draw_axis();
        draw_legend();
        double y = top;
        for (const auto& each : all_.rows) {
            if (!each.is_memory()) {
                draw_row(each, y += line_height);
            }
        }
        return svg_ + "</svg>\n";
    }

private:
    static constexpr int left = 200, right = 860, top = 70, line_height = 15;
    static constexpr double lowest = 1, highest = 1e5;  // nanoseconds at the ends of the scale

    static double x(double value)
    {
        const auto part = std::log(value / lowest) / std::log(highest / lowest);
        return left + (right - left) * std::clamp(part, 0.0, 1.0);
    }

    template <class... Arguments>
    void put(fmt::format_string<Arguments...> form, Arguments&&... arguments)
    {
        svg_ += fmt::format(form, std::forward<Arguments>(arguments)...) + '\n';
    }

    void draw_line(double at, const char* colour)
    {
        put("<line x1='{0:.1f}' x2='{0:.1f}' y1='{1}' y2='{2}' stroke='{3}'/>", x(at), top,
            height_ - 10, colour);
    }

    void draw_axis()
    {
        for (double value = lowest; value <= highest; value *= 10) {
            draw_line(value, "#ddd");
            put("<text x='{:.1f}' y='{}' text-anchor='middle' fill='#666'>{:g} ns</text>", x(value),
                top - 6, value);
        }
        draw_line(all_.floor, "#e69f00");
        draw_line(all_.round_trip, "#cc79a7");
    }

    void draw_legend()
    {
        put("<text x='{}' y='20' font-size='14'>Processor time for one operation</text>", left);
        put("<text x='{}' y='40'><tspan fill='#0072b2'>● common</tspan>  "
            "<tspan fill='#009e73'>◆ Asio</tspan>  <tspan fill='#555'>× asyncio</tspan>  "
            "<tspan fill='#e69f00'>| await an empty coroutine</tspan>  "
            "<tspan fill='#cc79a7'>| post round trip</tspan></text>",
            left);
    }

    void draw_row(const row& each, double y)
    {
        put("<text x='{}' y='{:.1f}' text-anchor='end'>{}</text>", left - 8, y + 4, each.name);
        draw_point(each.asyncio, y, "×", "#555");
        draw_point(each.asio, y, "◆", "#009e73");
        draw_point(each.common, y, "●", "#0072b2");
    }

    void draw_point(
        const std::optional<figure>& measured, double y, const char* mark, const char* colour)
    {
        if (measured) {
            put("<text x='{:.1f}' y='{:.1f}' text-anchor='middle' fill='{}'>{}</text>",
                x(measured->value), y + 4, colour, mark);
        }
    }

    const results& all_;
    int height_ = top + 2 * line_height;
    std::string svg_;
};

}  // namespace

int main(int argc, char** argv)
{
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.size() != 2 && arguments.size() != 3) {
        fmt::print(stderr, "usage: report RESULTS FOLDER [ASYNCIO_RESULTS]\n");
        return 2;
    }
    try {
        const auto all = read_results(arguments[0], arguments.size() == 3 ? arguments[2] : "");
        const auto aims = targets(all);
        fmt::print("{}\n\n", json::serialize(all.machine));
        print_table(all);
        print_targets(aims);
        write_json(all, aims, arguments[1] + "/results.json");
        create(arguments[1] + "/results.svg") << plot(all).draw();
    } catch (const std::exception& failure) {
        fmt::print(stderr, "report: {}\n", failure.what());
        return 1;
    }
}
