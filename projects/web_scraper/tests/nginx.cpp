// See nginx.hpp. The name ends in _test so that it is built with the tests; it has none but those
// of its own functions.

#include "nginx.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace tests {

namespace {

// Debian has it in /usr/sbin, which is not in everybody's PATH.
std::string nginx_executable()
{
    for (const auto* path : {"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"}) {
        if (fs::exists(path)) {
            return path;
        }
    }
    return {};
}

// One that was free a moment ago. nginx cannot be told to take any.
unsigned short free_port()
{
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    const bool found =
        ::bind(descriptor, any, size) == 0 && ::getsockname(descriptor, any, &size) == 0;
    ::close(descriptor);
    if (!found) {
        throw std::runtime_error("there is no free port");
    }
    return ntohs(address.sin_port);
}

// A single process: a worker would outlive a master that is killed.
// {0} the user's line, {1} the log's folder, {2} the port, {3} the site, {4} the server's part
constexpr std::string_view configuration = R"(
daemon off;
master_process off;
pid {1}/pid;
{0}
events {{ worker_connections 1024; }}
http {{
    log_format times '$msec $request_time $connection $status $request_uri';
    access_log {1}/log times;
    client_body_temp_path {1}/t1; proxy_temp_path {1}/t2; fastcgi_temp_path {1}/t3;
    uwsgi_temp_path {1}/t4; scgi_temp_path {1}/t5;
    types {{ text/html html; text/plain txt; }}
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{2};
        root {3};
        {4}
    }}
}}
)";

}  // namespace

nginx::nginx(const std::string& server)
{
    const auto executable = nginx_executable();
    if (executable.empty()) {
        SKIP("nginx is not installed; ./learn setup --all installs it");
    }
    for (int attempt = 0; attempt < 20; ++attempt) {
        if (start(executable, server)) {
            return;
        }
    }
    throw std::runtime_error("nginx does not start: " + program_->wait().err);
}

bool nginx::start(const std::string& executable, const std::string& server)
{
    port_ = free_port();
    auto own_part = server;
    for (auto at = own_part.find("{port}"); at != own_part.npos; at = own_part.find("{port}")) {
        own_part.replace(at, 6, std::to_string(port_));
    }
    const auto* const user = ::geteuid() == 0 ? "user root;" : "";
    own_.write(
        "conf",
        fmt::format(
            configuration, user, own_.path().string(), port_, site_.path().string(), own_part));
    program_ = std::make_unique<support::background_program>(
        executable, support::program_options{
                        .arguments = {"-p", own_.path().string(), "-c", "conf", "-e", "stderr"},
                        .deadline = 110s});
    // It writes this when it listens. Without the port, it ends after a while.
    while (program_->running() && !fs::exists(own_.path() / "pid")) {
        std::this_thread::sleep_for(5ms);
    }
    return program_->running();
}

std::string nginx::address(const std::string& path) const
{
    return fmt::format("http://127.0.0.1:{}{}", port_, path);
}

void nginx::kill()
{
    program_.reset();
}

std::vector<logged_request> nginx::stop()
{
    program_->signal(SIGQUIT);
    program_->wait();
    program_.reset();
    std::vector<logged_request> requests;
    std::istringstream log(own_.read("log"));
    double took = 0;
    for (logged_request each;
         log >> each.ended >> took >> each.connection >> each.status >> each.target;) {
        each.began = each.ended - took;
        const auto later = [](double began, const auto& other) { return began < other.began; };
        requests.insert(
            std::upper_bound(requests.begin(), requests.end(), each.began, later), each);
    }
    return requests;
}

std::string slow_pages(int milliseconds)
{
    return fmt::format("sendfile_max_chunk 1k; limit_rate {};", 1024 * 1000 / milliseconds);
}

std::size_t peak_of(const std::vector<logged_request>& requests)
{
    // nginx writes times in whole milliseconds. Where one request ends in the millisecond in which
    // another begins, the end comes first: the client waited for it.
    std::vector<std::pair<long long, int>> changes;
    for (const auto& each : requests) {
        changes.emplace_back(std::llround(each.began * 1000), +1);
        changes.emplace_back(std::llround(each.ended * 1000), -1);
    }
    std::sort(changes.begin(), changes.end());
    int now = 0;
    int peak = 0;
    for (const auto& [when, change] : changes) {
        now += change;
        peak = std::max(peak, now);
    }
    return static_cast<std::size_t>(peak);
}

std::map<std::string, int> times_asked(const std::vector<logged_request>& requests)
{
    std::map<std::string, int> times;
    for (const auto& each : requests) {
        ++times[each.target];
    }
    return times;
}

}  // namespace tests
