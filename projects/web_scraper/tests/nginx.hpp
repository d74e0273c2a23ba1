// A real nginx on loopback, with a configuration, a folder, a port and a log of its own.

#pragma once

#include "folder.hpp"

#include "tests/support/program.hpp"

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tests {

// A request as nginx has seen it. Times are in seconds, from its first byte to the answer's last.
struct logged_request {
    std::string target;
    int status;
    double began;
    double ended;
    long connection;  // its number
};

// Stops when this is destroyed.
class nginx {
public:
    // Serves the files in site(). `server` goes into the configuration's server block; in it,
    // {port} is the port. Skips the test where nginx is not installed.
    explicit nginx(const std::string& server = "");

    // Where the server takes its files from.
    const folder& site() const { return site_; }

    // `http://127.0.0.1:port/path`.
    std::string address(const std::string& path = "/") const;
    unsigned short port() const { return port_; }

    // Ends nginx at once, as a crash does.
    void kill();

    // Ends nginx, and gives the requests that it has answered, in the order in which they began.
    std::vector<logged_request> stop();

private:
    bool start(const std::string& executable, const std::string& server);

    folder site_;
    folder own_;
    unsigned short port_ = 0;
    std::unique_ptr<support::background_program> program_;
};

// The configuration of a location whose pages of more than 1 KiB take time: nginx sends a KiB and
// waits for so long.
std::string slow_pages(int milliseconds);

// How many requests there were at the busiest moment.
std::size_t peak_of(const std::vector<logged_request>& requests);

// How often each target was asked for.
std::map<std::string, int> times_asked(const std::vector<logged_request>& requests);

}  // namespace tests
