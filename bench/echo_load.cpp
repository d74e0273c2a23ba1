// The echo: requests per second, and how long they take, of lesson 012's server and of others that
// do the same.
//
//     echo_load JSON
//
// One load generator drives them all, in one run. A number of connections is open, each sends a
// line, and the next one when it has the answer; so the server is never idle, and the more
// connections there are, the longer each waits in line. The servers take turns, several times over,
// so that what else the machine does hits all alike, and the table has the medians. Each server has
// one thread.
//
// The processor time of a request is the server's, the kernel's part included.

#include "common/serving.hpp"

#include <boost/json/src.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <fstream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace json = boost::json;
using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

constexpr int rounds = 5;
constexpr int patience = 30'000;  // milliseconds
constexpr auto warm_up = 100ms;
constexpr auto measured_time = 600ms;
constexpr std::array<std::size_t, 3> connection_counts = {1, 64, 1000};
constexpr std::string_view request = "a line of text, as long as many are\n";

[[noreturn]] void fail(const char* what)
{
    throw std::system_error(errno, std::system_category(), what);
}

// --- the servers

// A server as a child process. Ends with this object.
class server {
public:
    // Gives nothing when the program ends without listening, as it does where uvloop is missing.
    static std::optional<server> start(const std::vector<std::string>& command)
    {
        std::array<int, 2> pipe{};
        if (::pipe2(pipe.data(), O_CLOEXEC) != 0) {
            fail("pipe");
        }
        const pid_t child = ::fork();
        if (child == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // when the load generator itself is killed
            ::dup2(pipe[1], STDOUT_FILENO);
            std::vector<char*> arguments;
            for (const auto& word : command) {
                arguments.push_back(const_cast<char*>(word.c_str()));
            }
            arguments.push_back(nullptr);
            ::execvp(arguments[0], arguments.data());
            ::_exit(127);
        }
        ::close(pipe[1]);

        std::string line;
        char next = 0;
        while (::read(pipe[0], &next, 1) == 1 && next != '\n') {
            line += next;
        }
        const auto colon = line.rfind("127.0.0.1:");
        server started(child, pipe[0]);
        if (colon == std::string::npos) {
            return std::nullopt;
        }
        started.port_ = static_cast<unsigned short>(std::stoi(line.substr(colon + 10)));
        return started;
    }

    server(server&& other) noexcept
        : process_(std::exchange(other.process_, -1)),
          output_(std::exchange(other.output_, -1)),
          port_(other.port_)
    {
    }

    server& operator=(server&&) = delete;

    ~server()
    {
        if (process_ > 0) {
            ::kill(process_, SIGKILL);
            ::waitpid(process_, nullptr, 0);
            ::close(output_);
        }
    }

    unsigned short port() const { return port_; }

    // The processor time that it has had, in seconds.
    double processor_time() const
    {
        std::ifstream file(fmt::format("/proc/{}/schedstat", process_));
        double nanoseconds = 0;
        file >> nanoseconds;
        return nanoseconds / 1e9;
    }

private:
    server(pid_t process, int output) : process_(process), output_(output) {}

    pid_t process_;
    int output_;  // stays open, so that the server can write to it
    unsigned short port_ = 0;
};

// --- the load

struct result {
    double requests_per_second = 0;
    double median = 0;      // microseconds
    double percentile = 0;  // the 99th, microseconds
    double processor = 0;   // microseconds a request
};

class load {
public:
    load(unsigned short port, std::size_t connections)
    {
        for (std::size_t each = 0; each < connections; ++each) {
            connections_.push_back({connect(port), {}, 0});
        }
        for (std::size_t each = 0; each < connections; ++each) {
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = each;
            ::epoll_ctl(epoll_, EPOLL_CTL_ADD, connections_[each].socket, &event);
            send(connections_[each]);
        }
    }

    ~load()
    {
        for (const auto& each : connections_) {
            ::close(each.socket);
        }
        ::close(epoll_);
    }

    load(const load&) = delete;
    load& operator=(const load&) = delete;

    // Gives how long each request took that was answered meanwhile, in microseconds.
    std::vector<double> run(clock_type::duration time)
    {
        std::vector<double> latencies;
        for (const auto end = clock_type::now() + time; clock_type::now() < end;) {
            for (auto* const answered : wait_for_answers()) {
                const std::chrono::duration<double, std::micro> took =
                    clock_type::now() - answered->sent;
                latencies.push_back(took.count());
                send(*answered);
            }
        }
        return latencies;
    }

    // Waits for the answers that are to come. A connection that is closed before is reset, and the
    // server has more to do.
    void finish()
    {
        for (auto left = connections_.size(); left > 0;) {
            left -= wait_for_answers().size();
        }
    }

private:
    struct connection {
        int socket;
        clock_type::time_point sent;
        std::size_t received;  // of the answer
    };

    // Gives those that have got one whole.
    std::vector<connection*> wait_for_answers()
    {
        std::array<epoll_event, 256> events{};
        const int ready = ::epoll_wait(epoll_, events.data(), events.size(), patience);
        if (ready <= 0) {
            throw std::runtime_error("a server has not answered for half a minute");
        }
        std::vector<connection*> answered;
        for (int each = 0; each < ready; ++each) {
            auto& from = connections_[events[static_cast<std::size_t>(each)].data.u64];
            if (receive(from)) {
                answered.push_back(&from);
            }
        }
        return answered;
    }

    static int connect(unsigned short port)
    {
        const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int on = 1;
        if (made < 0 ||
            ::connect(made, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
            fail("connect");
        }
        return made;
    }

    static void send(connection& to)
    {
        to.received = 0;
        to.sent = clock_type::now();
        if (::send(to.socket, request.data(), request.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(request.size())) {
            fail("send");
        }
    }

    // Gives true when the answer is complete.
    static bool receive(connection& from)
    {
        constexpr std::size_t whole = std::string_view("here is ").size() + request.size();
        std::array<char, 256> bytes;
        const auto size = ::recv(from.socket, bytes.data(), bytes.size(), 0);
        if (size <= 0) {
            fail("recv");
        }
        from.received += static_cast<std::size_t>(size);
        if (from.received > whole ||
            (from.received == whole && bytes[static_cast<std::size_t>(size) - 1] != '\n')) {
            throw std::runtime_error("the answer is not what it should be");
        }
        return from.received == whole;
    }

    const int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<connection> connections_;
};

double quantile(std::vector<double>& values, double part)
{
    const auto at =
        values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

result measure(const server& measured, std::size_t connections)
{
    load clients(measured.port(), connections);
    clients.run(warm_up);
    const auto before = measured.processor_time();
    const auto start = clock_type::now();
    auto latencies = clients.run(measured_time);
    const std::chrono::duration<double> took = clock_type::now() - start;
    const auto processor_time = measured.processor_time() - before;
    clients.finish();
    const auto count = static_cast<double>(latencies.size());
    if (latencies.empty()) {
        throw std::runtime_error("no request was answered");
    }
    result found;
    found.requests_per_second = count / took.count();
    found.processor = processor_time / count * 1e6;
    found.median = quantile(latencies, 0.5);
    found.percentile = quantile(latencies, 0.99);
    return found;
}

double median_of(const std::vector<result>& found, double result::* which)
{
    std::vector<double> values;
    for (const auto& each : found) {
        values.push_back(each.*which);
    }
    return quantile(values, 0.5);
}

result medians(const std::vector<result>& found)
{
    result all;
    for (auto which :
         {&result::requests_per_second, &result::median, &result::percentile, &result::processor}) {
        all.*which = median_of(found, which);
    }
    return all;
}

// --- the report

struct row {
    std::size_t connections;
    std::string name;
    result found;
    double rate_ratio;       // to the floor's
    double processor_ratio;  // to the floor's
};

void print(const std::vector<row>& rows)
{
    fmt::print(
        "{:>11}  {:<14}{:>12}{:>7}{:>10}{:>10}{:>16}{:>7}\n", "connections", "server", "requests/s",
        "ratio", "p50, us", "p99, us", "CPU us/request", "ratio");
    for (const auto& [connections, name, found, rate_ratio, processor_ratio] : rows) {
        fmt::print(
            "{:>11}  {:<14}{:>12.0f}{:>7.2f}{:>10.0f}{:>10.0f}{:>16.2f}{:>7.2f}\n", connections,
            name, found.requests_per_second, rate_ratio, found.median, found.percentile,
            found.processor, processor_ratio);
    }
}

void write_json(const std::vector<row>& rows, const std::string& path)
{
    json::array list;
    for (const auto& each : rows) {
        list.push_back(
            {{"connections", each.connections},
             {"server", each.name},
             {"requests_per_second", each.found.requests_per_second},
             {"requests_ratio", each.rate_ratio},
             {"p50_us", each.found.median},
             {"p99_us", each.found.percentile},
             {"processor_us", each.found.processor},
             {"processor_ratio", each.processor_ratio}});
    }
    std::ofstream file(path);
    file << json::value{{"rounds", rounds}, {"rows", list}} << '\n';
    if (!file) {
        throw std::runtime_error(path + " cannot be written");
    }
}

// The first one is the floor.
std::vector<std::pair<std::string, server>> start_servers()
{
    const std::vector<std::pair<std::string, std::vector<std::string>>> commands = {
        {"bare epoll", {ECHO_FLOOR}},
        {"lesson 012", {ECHO_LESSON, "serve", "0"}},
        {"asyncio", {"python3", ECHO_ASYNCIO}},
        {"uvloop", {"python3", ECHO_ASYNCIO, "--uvloop"}}};
    std::vector<std::pair<std::string, server>> servers;
    for (const auto& [name, command] : commands) {
        if (auto started = server::start(command)) {
            servers.emplace_back(name, std::move(*started));
        } else if (servers.size() < 2) {
            throw std::runtime_error(name + " cannot be started");
        } else {
            fmt::print(stderr, "echo_load: without {}, which is not installed here\n", name);
        }
    }
    return servers;
}

std::vector<row> measure_all()
{
    const auto servers = start_servers();
    std::vector<const std::pair<std::string, server>*> order;
    for (const auto& each : servers) {
        order.push_back(&each);
    }
    std::map<std::pair<std::size_t, std::string>, std::vector<result>> found;
    for (int round = 0; round < rounds; ++round) {
        for (const auto connections : connection_counts) {
            for (const auto* const each : order) {
                found[{connections, each->first}].push_back(measure(each->second, connections));
            }
            std::rotate(order.begin(), order.begin() + 1, order.end());
        }
    }
    std::vector<row> rows;
    for (const auto connections : connection_counts) {
        const auto floor = medians(found[{connections, "bare epoll"}]);
        for (const std::string name : {"bare epoll", "lesson 012", "asyncio", "uvloop"}) {
            const auto measured = found.find({connections, name});
            if (measured != found.end()) {
                const auto all = medians(measured->second);
                rows.push_back(
                    {connections, name, all, all.requests_per_second / floor.requests_per_second,
                     all.processor / floor.processor});
            }
        }
    }
    return rows;
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 2) {
        fmt::print(stderr, "usage: echo_load JSON\n");
        return 2;
    }
    try {
        common::raise_descriptor_limit();
        const auto rows = measure_all();
        print(rows);
        write_json(rows, argv[1]);
    } catch (const std::exception& failure) {
        fmt::print(stderr, "echo_load: {}\n", failure.what());
        return 1;
    }
}
