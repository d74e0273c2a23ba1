#include "browser.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace fs = std::filesystem;
namespace http = beast::http;
namespace json = boost::json;
using namespace std::chrono_literals;

namespace tests {

namespace {

constexpr auto driver_program = "/usr/bin/chromedriver";
constexpr auto browser_program = "/usr/bin/chromium";

// One request to the driver, and its answer. Throws std::runtime_error for an error, with what the
// driver has to say about it.
json::value ask(
    unsigned short port, const std::string& method, const std::string& path,
    const json::value& body)
{
    asio::io_context loop;
    beast::tcp_stream stream(loop);
    stream.connect({asio::ip::address_v4::loopback(), port});

    http::request<http::string_body> request;
    request.method_string(method);
    request.target(path);
    request.set(http::field::host, "127.0.0.1");
    request.set(http::field::content_type, "application/json");
    request.keep_alive(false);
    if (method == "POST") {
        request.body() = json::serialize(body);
    }
    request.prepare_payload();

    http::response<http::string_body> answer;
    beast::flat_buffer buffer;
    beast::error_code error;
    stream.expires_after(110s);  // which holds for asynchronous operations
    http::async_write(stream, request, [&](beast::error_code failure, std::size_t) {
        error = failure;
        if (!error) {
            http::async_read(
                stream, buffer, answer, [&](beast::error_code end, std::size_t) { error = end; });
        }
    });
    loop.run();
    if (error) {
        throw std::runtime_error("chromedriver, " + path + ": " + error.message());
    }
    auto value = json::parse(answer.body()).at("value");
    if (answer.result() != http::status::ok) {
        throw std::runtime_error("chromedriver, " + path + ": " + json::serialize(value));
    }
    return value;
}

support::program_options driver_options()
{
    support::program_options options;
    options.arguments = {"--port=0"};
    options.deadline = 115s;
    return options;
}

}  // namespace

browser_profile::~browser_profile()
{
    std::error_code error;
    for (int attempt = 0; attempt < 50; ++attempt) {
        fs::remove_all(path(), error);
        if (!fs::exists(path(), error)) {
            return;
        }
        std::this_thread::sleep_for(100ms);
    }
}

bool web_driver::is_installed()
{
    return fs::exists(driver_program) && fs::exists(browser_program);
}

web_driver::web_driver() : program_(driver_program, driver_options())
{
    // "ChromeDriver was started successfully on port 41234."
    const auto line = program_.wait_for_line("successfully on port ");
    port_ = static_cast<unsigned short>(std::stoi(line.substr(line.rfind("port ") + 5)));
}

browser::browser(const web_driver& driver) : driver_port_(driver.port())
{
    // Through the pipe the browser notices that its driver is gone, and goes as well.
    const json::value arguments{
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--remote-debugging-pipe",
        "--user-data-dir=" + profile_.path().string(),
    };
    const json::value capabilities{
        {"capabilities",
         {{"alwaysMatch",
           {{"browserName", "chrome"},
            {"goog:loggingPrefs", {{"browser", "ALL"}}},
            {"goog:chromeOptions", {{"args", arguments}}}}}}}};
    const auto made = ask(driver_port_, "POST", "/session", capabilities);
    session_ = "/session/" + std::string(made.at("sessionId").as_string());
}

browser::~browser()
{
    try {
        ask(driver_port_, "DELETE", session_, nullptr);
    } catch (const std::exception&) {
        // The driver ends its browsers when it ends.
    }
}

void browser::open(const std::string& url)
{
    command("POST", "/url", {{"url", url}});
}

void browser::type(const std::string& selector, const std::string& text)
{
    command("POST", find(selector) + "/value", {{"text", text}});
}

void browser::click(const std::string& selector)
{
    command("POST", find(selector) + "/click", json::object());
}

json::value browser::run(const std::string& script)
{
    return command("POST", "/execute/sync", {{"script", script}, {"args", json::array()}});
}

void browser::wait_until(const std::string& script)
{
    const auto deadline = std::chrono::steady_clock::now() + 100s;
    while (run("return Boolean(" + script + ")") != true) {
        if (std::chrono::steady_clock::now() > deadline) {
            throw std::runtime_error(
                "the page never has: " + script + "\nbut:\n" +
                json::serialize(run("return document.body.innerText")) + "\n" + console());
        }
        std::this_thread::sleep_for(50ms);
    }
}

void browser::wait_for_message(const std::string& who, const std::string& text)
{
    wait_until(
        "Array.from(document.querySelectorAll('#messages li')).some((line) => "
        "line.querySelector('.who')?.textContent === " +
        json::serialize(json::value(who)) + " && line.querySelector('.text').textContent === " +
        json::serialize(json::value(text)) + ")");
}

std::string browser::console()
{
    return json::serialize(command("POST", "/se/log", {{"type", "browser"}}));
}

json::value browser::command(
    const std::string& method, const std::string& path, const json::value& body)
{
    return ask(driver_port_, method, session_ + path, body);
}

std::string browser::find(const std::string& selector)
{
    const auto found =
        command("POST", "/element", {{"using", "css selector"}, {"value", selector}});
    // The name of the member is fixed by the standard.
    return "/element/" + std::string(found.as_object().begin()->value().as_string());
}

}  // namespace tests
