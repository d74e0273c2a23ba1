// A real Chromium, driven over the WebDriver protocol (W3C): HTTP and JSON to a chromedriver that
// the test starts. Everything blocks, but for two minutes at the most.

#pragma once

#include "common/temporary_folder.hpp"

#include "tests/support/program.hpp"

#include <boost/json/value.hpp>

#include <memory>
#include <string>
#include <string_view>

namespace tests {

// Where a browser keeps what is its own. One that is just ending may still write, so this waits.
class browser_profile : public common::temporary_folder {
public:
    browser_profile() = default;
    ~browser_profile();
    browser_profile(const browser_profile&) = delete;
    browser_profile& operator=(const browser_profile&) = delete;
};

// chromedriver, on a port that the system picks. When it is destroyed, so are the browsers that it
// has started.
class web_driver {
public:
    // Whether this machine has chromedriver and Chromium.
    static bool is_installed();

    web_driver();

    unsigned short port() const { return port_; }

private:
    support::background_program program_;
    unsigned short port_ = 0;
};

// A browser with one page, and its own profile: another person at another machine, as far as the
// site can tell.
class browser {
public:
    explicit browser(const web_driver& driver);
    ~browser();
    browser(const browser&) = delete;
    browser& operator=(const browser&) = delete;

    void open(const std::string& url);

    // Types into the field that the CSS selector finds, or clicks on what it finds.
    void type(const std::string& selector, const std::string& text);
    void click(const std::string& selector);

    // Runs JavaScript in the page, and gives what it returns.
    boost::json::value run(const std::string& script);

    // Waits until the script returns something that is true. Throws std::runtime_error, which has
    // the text of the page, when that takes too long.
    void wait_until(const std::string& script);

    // Waits until the page shows a line of the chat with exactly this in it.
    void wait_for_message(const std::string& who, const std::string& text);

    // What the browser has written into its console: errors of scripts, and what its security
    // policy has kept from loading.
    std::string console();

private:
    boost::json::value command(
        const std::string& method, const std::string& path, const boost::json::value& body);
    std::string find(const std::string& selector);

    browser_profile profile_;
    unsigned short driver_port_;
    std::string session_;  // "/session/ID"
};

}  // namespace tests
