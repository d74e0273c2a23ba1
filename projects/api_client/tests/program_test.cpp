// The program as its user meets it: a process, with a server on the other side of real sockets and
// in real time. The demonstration runs on virtual time.

#include "api_client/scripted_server.hpp"

#include "common/event.hpp"
#include "common/run.hpp"
#include "tests/support/document.hpp"
#include "tests/support/program.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using api::answer;
using api::heard;
using api::in_order;
using api::scripted_server;
using asio::awaitable;
using namespace std::string_literals;

namespace {

// A scripted server that runs in a thread of its own, until it is destroyed.
class server_beside {
public:
    explicit server_beside(api::script what)
        : thread_([this, what = std::move(what)]() mutable {
              common::run(serve(std::move(what)), common::clock_mode::steady);
          })
    {
        started_.get_future().wait();
    }

    ~server_beside() { stop(); }

    server_beside(const server_beside&) = delete;
    server_beside& operator=(const server_beside&) = delete;

    std::string at(std::string_view target) const { return server_->at(target).text(); }

    // Ends it, and gives what it has heard.
    const std::vector<heard>& stop()
    {
        if (thread_.joinable()) {
            asio::post(executor_, [this] { over_->set(); });
            thread_.join();
        }
        return heard_;
    }

private:
    awaitable<void> serve(api::script what)
    {
        const auto body = [this](scripted_server& server) -> awaitable<void> {
            common::event over;
            server_ = &server;
            over_ = &over;
            executor_ = co_await asio::this_coro::executor;
            started_.set_value();
            co_await over.wait();
            heard_ = server.requests();
        };
        co_await api::with_server(std::move(what), body);
    }

    std::promise<void> started_;
    scripted_server* server_ = nullptr;
    common::event* over_ = nullptr;
    asio::any_io_executor executor_;
    std::vector<heard> heard_;
    std::thread thread_;  // last, since it uses the others
};

support::program_run run(std::vector<std::string> arguments)
{
    support::program_options options;
    options.arguments = std::move(arguments);
    return support::run_program(PROGRAM, options);
}

const support::program_run& demonstration()
{
    static const auto once = [] {
        support::program_options options;
        options.environment.emplace_back("LESSON_CLOCK", "virtual");
        return support::run_program(PROGRAM, options);
    }();
    return once;
}

}  // namespace

TEST_CASE("get prints the body, as it is")
{
    const auto body = "binary \0 \r\n\xff without a line end"s;
    server_beside server(in_order({answer(200, body)}));
    const auto got = run({"get", server.at("/a?b=c"), "-H", "X-Key: a: b", "--header", "X-Empty:"});
    CHECK(got.status == 0);
    CHECK(got.out == body);
    CHECK(got.err == "");
    const auto& seen = server.stop();
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].method == "GET");
    CHECK(seen[0].target == "/a?b=c");
    REQUIRE(seen[0].headers.find("X-Key") != nullptr);
    CHECK(*seen[0].headers.find("X-Key") == "a: b");
    REQUIRE(seen[0].headers.find("X-Empty") != nullptr);
    CHECK(*seen[0].headers.find("X-Empty") == "");
}

TEST_CASE("get tries again, and tells of it where it is asked to")
{
    server_beside server(in_order({answer(500), answer(200, "hello")}));
    const auto got = run({"get", "-v", server.at("/")});
    CHECK(got.status == 0);
    CHECK(got.out == "hello");
    CHECK(got.err.starts_with("try 1: 500 Internal Server Error; the next one in 0."));
    CHECK(server.stop().size() == 2);
}

TEST_CASE("what is not there is an error, and nothing is on stdout")
{
    server_beside server(in_order({answer(404, "no such thing")}));
    const auto got = run({"get", server.at("/")});
    CHECK(got.status == 1);
    CHECK(got.out == "");
    CHECK(got.err == "api_client: 404 Not Found\n");
}

TEST_CASE("a server that is silent is given up at the deadline")
{
    server_beside server(in_order({api::late(std::chrono::hours(1), answer(200))}));
    const auto got = run({"get", server.at("/"), "--deadline", "0.3"});
    CHECK(got.status == 1);
    CHECK(got.err == "api_client: no answer within 0.3 s\n");
    CHECK(got.took.count() >= 0.3);
}

TEST_CASE("a server that refuses is given up after the tries")
{
    const auto got = run({"get", "http://127.0.0.1:1/", "--tries", "2", "-v"});
    CHECK(got.status == 1);
    CHECK(support::transcript(got.err).count_containing("try 1: no connection: ") == 1);
    CHECK(got.err.ends_with("api_client: no connection: Connection refused\n"));
}

TEST_CASE("an answer beyond the limit is refused")
{
    server_beside server(in_order({answer(200, std::string(1025, 'x'))}));
    const auto got = run({"get", server.at("/"), "--body-limit", "1k"});
    CHECK(got.status == 1);
    CHECK(got.out == "");
    CHECK(got.err.starts_with("api_client: too large"));
    CHECK(run({"get", server.at("/"), "--body-limit", "1025"}).status == 0);
}

TEST_CASE("post sends data once, or with a key until it is through")
{
    server_beside server(in_order({answer(503), answer(503), answer(201, "made")}));
    const auto once = run({"post", server.at("/"), "--data", "two coffees"});
    CHECK(once.status == 1);
    const auto with_key = run({"post", server.at("/"), "--data", "two coffees", "--key", "7"});
    CHECK(with_key.status == 0);
    CHECK(with_key.out == "made");
    const auto& seen = server.stop();
    REQUIRE(seen.size() == 3);
    CHECK(seen[2].method == "POST");
    CHECK(seen[2].body == "two coffees");
    CHECK(seen[0].headers.find("Idempotency-Key") == nullptr);
    REQUIRE(seen[2].headers.find("Idempotency-Key") != nullptr);
    CHECK(*seen[2].headers.find("Idempotency-Key") == "7");
}

TEST_CASE("list prints the items of all pages, a line each")
{
    server_beside server(in_order(
        {answer(200, R"({"data": [{"a": 1}, 2], "more": "/2"})"),
         answer(200, R"({"data": ["line\nend"]})")}));
    const auto got = run({"list", server.at("/"), "--items", "data", "--next", "more"});
    CHECK(got.status == 0);
    CHECK(got.out == "{\"a\":1}\n2\n\"line\\nend\"\n");
    CHECK(server.stop().size() == 2);
}

TEST_CASE("list ends with an error where the list does")
{
    server_beside server(in_order({answer(200, R"({"items": [1], "next": "/2"})"), answer(404)}));
    const auto got = run({"list", server.at("/")});
    CHECK(got.status == 1);
    CHECK(got.out == "1\n");
    CHECK(got.err == "api_client: 404 Not Found\n");
}

TEST_CASE("a command line that makes no sense is refused, on stderr")
{
    const std::vector<std::vector<std::string>> senseless = {
        {"fetch"},
        {"get"},
        {"get", "http://127.0.0.1/", "more"},
        {"get", "http://127.0.0.1/", "--tries", "0"},
        {"get", "http://127.0.0.1/", "--tries", "many"},
        {"get", "http://127.0.0.1/", "--deadline", "-1"},
        {"get", "http://127.0.0.1/", "-H", "no colon"},
        {"get", "http://127.0.0.1/", "-H", "X Y: 1"},
        {"get", "127.0.0.1"},
        {"get", "ftp://127.0.0.1/"},
        {"list", "http://127.0.0.1/", "--pages", "x"},
        {"list", "http://127.0.0.1/", "--pages", "-1"},
        {"get", "http://127.0.0.1/", "--body-limit", "-5"},
        {"get", "list"},
    };
    for (const auto& arguments : senseless) {
        const auto got = run(arguments);
        INFO(arguments.back() << ": " << got.err);
        CHECK(got.status == 2);
        CHECK(got.out == "");
        CHECK(got.err != "");
    }
    const auto encrypted = run({"get", "https://127.0.0.1/"});
    CHECK(encrypted.status == 2);
    CHECK(
        encrypted.err ==
        "api_client: 'https://127.0.0.1/': https is not supported, there is no TLS here; use "
        "http\n");
}

TEST_CASE("--help says what there is")
{
    const auto whole = run({"--help"});
    CHECK(whole.status == 0);
    for (const auto* const name : {"get", "post", "list", "demo"}) {
        CHECK(whole.out.find(name) != std::string::npos);
    }
    const auto part = run({"list", "--help"});
    CHECK(part.status == 0);
    CHECK(part.out.find("--deadline") != std::string::npos);
}

TEST_CASE("the demonstration keeps a connection, and replaces it when it is broken")
{
    const auto kept = demonstration().said().section("Three requests, one connection");
    CHECK(kept.count("server: connection 1: GET /menu") == 3);
    CHECK(kept.count_containing("connection 2") == 0);
    const auto broken = demonstration().said().section("Failures that pass");
    CHECK(broken.count("server: connection 1: GET /menu") == 2);
    CHECK(broken.has("server: connection 2: GET /menu"));
    CHECK(broken.has("server: connection 3: GET /menu"));
    CHECK(broken.lines().back().event == "client: 200 OK: tea is 1.50");
}

TEST_CASE("the demonstration waits for as long as it is told, and not for what is too late")
{
    const auto told = demonstration().said().section("A server that says when to come back");
    const auto& lines = told.lines();
    REQUIRE(lines.size() == 8);
    CHECK(lines[2].time.value() - lines[0].time.value() == Catch::Approx(1.0));
    CHECK(lines[4].time.value() - lines[2].time.value() == Catch::Approx(2.0));
    CHECK(lines[7].time == lines[6].time);
}

TEST_CASE("the demonstration places an order once, or with a key")
{
    const auto orders = demonstration().said().section("An order that must not be placed twice");
    CHECK(orders.lines()[1].event == "client: gives up: cut off: Connection reset by peer");
    CHECK(orders.count_containing("POST /orders") == 3);
    CHECK(orders.lines().back().event == "client: 200 OK: the order is known");
}

TEST_CASE("the demonstration fetches a page when it is wanted")
{
    const auto pages = demonstration().said().section("Page after page, each when it is wanted");
    CHECK(pages.before("client: {\"name\":\"Ben\"}", "server: connection 1: GET /guests?page=2"));
    CHECK(
        pages.time_of("server: connection 1: GET /guests?page=2") >
        pages.time_of("client: {\"name\":\"Ben\"}"));
}

TEST_CASE("the run in the documents is what the demonstration prints, each time")
{
    CHECK(demonstration().status == 0);
    CHECK(demonstration().err == "");
    support::program_options options;
    options.arguments = {"demo"};
    options.environment.emplace_back("LESSON_CLOCK", "virtual");
    CHECK(support::run_program(PROGRAM, options).out == demonstration().out);

    const support::document whole(
        support::read_file(support::source_dir() / "docs/progression.md"));
    const auto section = whole.section(2, "api_client · ").section(3, "A run");
    const std::string command = "$ LESSON_CLOCK=virtual ./learn run api_client\n";
    const auto blocks = section.code_blocks();
    CHECK(std::any_of(blocks.begin(), blocks.end(), [&](const auto& block) {
        return block.text == command + demonstration().out;
    }));
}
