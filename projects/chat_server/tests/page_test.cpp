// The page, over HTTP, as bytes.

#include "server.hpp"

#include "tests/support/client.hpp"
#include "tests/support/document.hpp"

#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include <string>
#include <string_view>

using support::client;
using tests::server;

namespace {

// The server's answer, to the end of the connection.
std::string answer(const server& chat, std::string_view first_line, std::string_view more = "")
{
    client browser(chat.port());
    browser.send(fmt::format(
        "{} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n{}\r\n", first_line, chat.port(),
        more));
    return browser.rest();
}

std::string body(const std::string& answer)
{
    return answer.substr(answer.find("\r\n\r\n") + 4);
}

bool has(const std::string& text, std::string_view part)
{
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the page is served, its files as they are in the project, with their types")
{
    server chat;
    const auto folder = support::source_dir() / "projects/chat_server/page";
    const auto check = [&](const char* path, const char* file, const char* type) {
        const auto got = answer(chat, std::string("GET ") + path);
        INFO(path);
        CHECK(got.starts_with("HTTP/1.1 200 OK\r\n"));
        CHECK(has(got, fmt::format("Content-Type: {}; charset=utf-8\r\n", type)));
        CHECK(body(got) == support::read_file(folder / file));
    };
    check("/", "index.html", "text/html");
    check("/?from=somewhere", "index.html", "text/html");
    check("/chat.css", "chat.css", "text/css");
    check("/chat.js", "chat.js", "text/javascript");
}

TEST_CASE("every answer has headers that keep the page to itself")
{
    server chat;
    for (const auto* const request : {"GET /", "GET /chat.js", "GET /nothing", "HEAD /"}) {
        const auto got = answer(chat, request);
        INFO(got);
        CHECK(has(got, "Content-Security-Policy: default-src 'none'; script-src 'self'; "));
        CHECK(has(got, "X-Content-Type-Options: nosniff\r\n"));
        CHECK(has(got, "Referrer-Policy: no-referrer\r\n"));
    }
}

TEST_CASE("the page asks for nothing from elsewhere, and has no script or style in its markup")
{
    const auto folder = support::source_dir() / "projects/chat_server/page";
    for (const auto* const file : {"index.html", "chat.css", "chat.js"}) {
        const auto text = support::read_file(folder / file);
        INFO(file);
        for (const auto* const bad :
             {"http:", "https:", "url(", "@import", "innerHTML =", "insertAdjacentHTML",
              "document.write", "eval(", "<style", "style=", "onclick="}) {
            INFO(bad);
            CHECK_FALSE(has(text, bad));
        }
    }
}

TEST_CASE("HEAD gets the headers of GET, and no more")
{
    server chat;
    const auto whole = answer(chat, "GET /");
    const auto head = answer(chat, "HEAD /");
    CHECK(head == whole.substr(0, whole.find("\r\n\r\n") + 4));
}

TEST_CASE("one connection serves several requests")
{
    server chat;
    client browser(chat.port());
    for (const auto* const path : {"/", "/chat.css", "/nothing", "/chat.js"}) {
        browser.send(fmt::format("HEAD {} HTTP/1.1\r\nHost: localhost\r\n\r\n", path));
        const auto status = browser.line();
        CHECK(
            status ==
            (path == std::string("/nothing") ? "HTTP/1.1 404 Not Found\r" : "HTTP/1.1 200 OK\r"));
        while (browser.line() != "\r") {
        }
    }
}

TEST_CASE("what is not there, not allowed or not understood is said so")
{
    server chat;
    const auto status = [&](std::string_view first_line, std::string_view more = "") {
        const auto got = answer(chat, first_line, more);
        return got.substr(0, got.find("\r\n"));
    };
    CHECK(status("GET /nothing") == "HTTP/1.1 404 Not Found");
    CHECK(status("GET /../main.cpp") == "HTTP/1.1 404 Not Found");
    CHECK(status("GET /index.html/") == "HTTP/1.1 404 Not Found");
    CHECK(status("DELETE /") == "HTTP/1.1 405 Method Not Allowed");
    CHECK(status("GET /chat") == "HTTP/1.1 426 Upgrade Required");
    CHECK(status("POST /", "Content-Length: 1000\r\n") == "HTTP/1.1 413 Payload Too Large");
    CHECK(
        status("GET /", "Cookie: " + std::string(9000, 'x') + "\r\n") ==
        "HTTP/1.1 431 Request Header Fields Too Large");
    CHECK(status("nonsense") == "HTTP/1.1 400 Bad Request");
    CHECK(status("GET /", "no header\r\n") == "HTTP/1.1 400 Bad Request");

    client other_name(chat.port());
    other_name.send("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    CHECK(other_name.rest().starts_with("HTTP/1.1 421 Misdirected Request\r\n"));
}
