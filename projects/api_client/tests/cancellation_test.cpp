// Each operation is cancelled at every one of its steps. Whenever that is, it ends at once, nothing
// is left behind, and the pool is as good as before.

#include "api_client/client.hpp"
#include "api_client/pages.hpp"

#include "every_step.hpp"
#include "with_script.hpp"

#include "common/event.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/this_coro.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <string>

namespace asio = boost::asio;
using api::answer;
using api::heard;
using api::scripted_server;
using tests::awaitable;
using tests::get;
using tests::post;
using tests::with_script;
using namespace std::chrono_literals;

namespace {

using beginning = std::function<awaitable<void>(http::pool&, scripted_server&)>;

struct result {
    bool cancelled = false;  // before it had ended
    common::duration cancelled_at{};
    common::duration ended_at{};
    std::exception_ptr failure;

    bool aborted() const { return failure && common::detail::is_abort(failure); }
};

// Runs the operation, and cancels it after `turns` turns.
awaitable<result> cancel_after(int turns, awaitable<void> operation)
{
    result became;
    asio::cancellation_signal signal;
    tests::turn_counter counter(turns, [&] {
        became.cancelled = true;
        became.cancelled_at = common::elapsed();
        signal.emit(asio::cancellation_type::terminal);
    });
    common::event ended;
    const auto at_end = [&](std::exception_ptr failure) {
        became.failure = failure;
        became.ended_at = common::elapsed();
        ended.set();
    };
    asio::co_spawn(
        tests::counted(co_await asio::this_coro::executor, counter), std::move(operation),
        asio::bind_cancellation_slot(signal.slot(), at_end));
    co_await ended.wait();
    co_await tests::settle();  // the turn in which it has ended is over, too
    co_return became;
}

// Gives the number of turns that the operation takes.
int cancel_at_every_step(const api::script& script, const beginning& begin)
{
    for (int turns = 1;; ++turns) {
        bool ended_before = false;
        INFO("cancelled after turn " << turns);
        with_script(script, [&](scripted_server& server) -> awaitable<void> {
            http::pool pool;
            auto operation = begin(pool, server);
            const auto became = co_await cancel_after(turns, std::move(operation));
            ended_before = !became.cancelled;
            if (became.cancelled) {
                // In its last turn it may have come to its end all the same.
                CHECK((!became.failure || became.aborted()));
                CHECK(became.ended_at == became.cancelled_at);
            } else {
                CHECK(!became.failure);
            }
            CHECK(pool.in_use() == 0);

            // Whatever is in the pool is fit for use.
            for (int number = 0; number < 2; ++number) {
                const auto got = co_await pool.exchange(get(server.at("/fine")));
                CHECK(got.body == "fine");
            }
            // And there is no connection beside. The server learns that a client has gone when it
            // has woken up.
            co_await common::sleep_for(10min);
            CHECK(server.connected() == static_cast<int>(pool.kept()));
        });
        if (ended_before) {
            return turns - 1;
        }
    }
}

// Each test has one like it, so that /fine is always fine.
api::script otherwise_fine(api::script script)
{
    return [script = std::move(script)](const heard& request) {
        return request.target == "/fine" ? answer(200, "fine") : script(request);
    };
}

awaitable<void> send(http::pool& pool, http::request what)
{
    api::client client(pool, api::client_options(), std::minstd_rand(7));
    const auto got = co_await client.send(std::move(what));
    CHECK(got.body == "hello");
}

awaitable<void> list(http::pool& pool, http::url where)
{
    api::client client(pool, api::client_options(), std::minstd_rand(7));
    auto items = api::items_of(co_await asio::this_coro::executor, client, std::move(where));
    int number = 0;
    while (const auto item = co_await items.async_resume(asio::deferred)) {
        CHECK(item->as_int64() == ++number);
    }
    CHECK(number == 4);
}

const auto hello = answer(200, "hello");

}  // namespace

TEST_CASE("an exchange can be cancelled at every step")
{
    // The answer comes in three parts.
    auto in_parts = hello;
    const auto bytes = hello.parts.front().bytes;
    in_parts.parts.clear();
    for (const auto& part : {bytes.substr(0, 20), bytes.substr(20, 22), bytes.substr(42)}) {
        in_parts.parts.push_back(api::reply::part{1s, part});
    }
    const int turns = cancel_at_every_step(
        otherwise_fine(api::in_order({in_parts})),
        [](http::pool& pool, scripted_server& server) -> awaitable<void> {
            return send(pool, post(server.at("/"), "x"));
        });
    CHECK(turns >= 5);  // connecting, sending, three reads
}

// The first reads of it need not wait. If one of them dropped a cancellation, that would show five
// minutes later.
TEST_CASE("an exchange can be cancelled while more bytes are here already")
{
    auto in_parts = answer(200, std::string(20'000, 'x'));
    const auto bytes = in_parts.parts.front().bytes;
    in_parts.parts.clear();
    in_parts.parts.push_back({0s, bytes.substr(0, bytes.size() - 1)});
    in_parts.parts.push_back({5min, bytes.substr(bytes.size() - 1)});
    const int turns = cancel_at_every_step(
        otherwise_fine(api::in_order({in_parts})),
        [](http::pool& pool, scripted_server& server) -> awaitable<void> {
            const auto ask = [](http::pool& with, http::url where) -> awaitable<void> {
                const auto got = co_await with.exchange(get(std::move(where)));
                CHECK(got.body.size() == 20'000);
            };
            return ask(pool, server.at("/"));
        });
    CHECK(turns >= 3);
}

TEST_CASE("a call can be cancelled at every step of every try, and in the pauses between them")
{
    const auto stumbling = api::in_order(
        {answer(500), api::cut_to(30, hello, api::ending::reset), api::late(5min, hello), hello});
    const int turns = cancel_at_every_step(
        otherwise_fine(stumbling),
        [](http::pool& pool, scripted_server& server) -> awaitable<void> {
            return send(pool, get(server.at("/")));
        });
    CHECK(turns >= 15);
}

TEST_CASE("a call that finds nobody can be cancelled at every step")
{
    const int turns = cancel_at_every_step(
        otherwise_fine(api::in_order({hello})),
        [](http::pool& pool, scripted_server& server) -> awaitable<void> {
            server.refuse();
            const auto call = [](http::pool& with, scripted_server& whom) -> awaitable<void> {
                api::client_options options;
                options.on_retry = [&](const api::failed_try& failed) {
                    if (failed.number == 2) {
                        whom.listen();
                    }
                };
                api::client client(with, options, std::minstd_rand(7));
                try {
                    (void)co_await client.send(get(whom.at("/")));
                } catch (...) {
                    whom.listen();
                    throw;
                }
            };
            return call(pool, server);
        });
    CHECK(turns >= 6);
}

TEST_CASE("a list can be cancelled at every step, in a page and between two")
{
    const auto pages = [](const heard& request) {
        if (request.target == "/list") {
            http::fields next;
            next.add("Link", "</more>; rel=next");
            return api::late(1s, answer(200, "[1, 2]", next));
        }
        return answer(200, "[3, 4]");
    };
    const int turns = cancel_at_every_step(
        otherwise_fine(pages), [](http::pool& pool, scripted_server& server) -> awaitable<void> {
            return list(pool, server.at("/list"));
        });
    CHECK(turns >= 6);
}

TEST_CASE("the event loop can be destroyed at every step of a call")
{
    struct abandoned {};
    const auto call = [](http::url where) -> awaitable<void> {
        http::pool pool;
        co_await send(pool, get(where));
    };
    const auto script = api::in_order({answer(500), api::late(5min, hello), hello});
    for (int turns = 1;; ++turns) {
        INFO("destroyed after turn " << turns);
        tests::turn_counter counter(turns, [] { throw abandoned(); });
        try {
            with_script(script, [&](scripted_server& server) -> awaitable<void> {
                common::event ended;
                asio::co_spawn(
                    tests::counted(co_await asio::this_coro::executor, counter),
                    call(server.at("/")), [&](const std::exception_ptr&) { ended.set(); });
                co_await ended.wait();
            });
        } catch (const abandoned&) {
            continue;
        }
        CHECK(turns >= 10);
        break;
    }
}
