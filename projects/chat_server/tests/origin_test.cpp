#include "chat_server/origin.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

TEST_CASE("the server's own pages may chat, and those of trusted origins, and no others")
{
    const std::vector<std::string> trusted = {"https://chat.example", "http://Other.example:8000"};
    const std::string host = "127.0.0.1:8080";
    for (const auto* const good :
         {"http://127.0.0.1:8080", "https://127.0.0.1:8080", "HTTP://127.0.0.1:8080",
          "https://chat.example", "http://other.example:8000"}) {
        INFO(good);
        CHECK(chat::is_allowed_origin(good, host, trusted));
    }
    for (const auto* const bad :
         {"", "null", "http://127.0.0.1", "http://127.0.0.1:8081", "http://127.0.0.1:80800",
          "127.0.0.1:8080", "http://localhost:8080", "http://evil.example",
          "http://evil.example/http://127.0.0.1:8080", "http://127.0.0.1:8080.evil.example",
          "http://chat.example", "https://chat.example.evil.example", "https://evilchat.example",
          "ftp://127.0.0.1:8080"}) {
        INFO(bad);
        CHECK_FALSE(chat::is_allowed_origin(bad, host, trusted));
    }
}

TEST_CASE("an origin is a scheme, a host and perhaps a port, and nothing more")
{
    for (const auto* const good : {"https://chat.example", "HTTP://[::1]:8080", "http://a:80"}) {
        INFO(good);
        CHECK(chat::is_origin(good));
    }
    for (const auto* const bad :
         {"", "chat.example", "https://", "https://chat.example/", "ftp://chat.example",
          "https://a@chat.example", "https://chat.example?", "https://chat.example #", "null"}) {
        INFO(bad);
        CHECK_FALSE(chat::is_origin(bad));
    }
}

TEST_CASE("a host is the server's own if it is a loopback name, or that of a trusted origin")
{
    const std::vector<std::string> trusted = {"https://chat.example:444", "http://[2001:db8::1]"};
    for (const auto* const good :
         {"localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:8080",
          "chat.example", "Chat.Example:8080", "[2001:db8::1]:80"}) {
        INFO(good);
        CHECK(chat::is_own_host(good, trusted));
    }
    for (const auto* const bad :
         {"", ":8080", "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.2",
          "[::2]", "example", "https://chat.example"}) {
        INFO(bad);
        CHECK_FALSE(chat::is_own_host(bad, trusted));
    }
}
