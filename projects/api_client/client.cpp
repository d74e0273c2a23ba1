#include "api_client/client.hpp"

#include "api_client/retry_after.hpp"

#include "common/timeout.hpp"

#include <boost/json/parse.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace asio = boost::asio;
namespace json = boost::json;
using asio::awaitable;

namespace api {

// What became of one try: an answer, or a failure.
struct client::outcome {
    std::optional<http::response> answer;
    std::exception_ptr failure;
    std::string what_happened;
    bool may_retry = false;
    std::optional<common::duration> wanted_pause;  // by the server

    http::response take_answer()
    {
        if (failure) {
            std::rethrow_exception(failure);
        }
        return std::move(*answer);
    }
};

namespace {

std::string status_line(const http::response& answer)
{
    return fmt::format("{} {}", answer.status, answer.reason);
}

}  // namespace

client::client(http::pool& pool, client_options options, std::minstd_rand chance)
    : pool_(pool), options_(std::move(options)), chance_(chance)
{
    if (options_.retry.tries < 1) {
        throw std::invalid_argument("a call has one try at least");
    }
}

awaitable<http::response> client::send(http::request what)
{
    const auto deadline = common::now() + options_.deadline;
    std::string last;
    try {
        co_return co_await common::with_timeout(
            options_.deadline, try_until_done(what, deadline, last));
    } catch (const common::timeout_error&) {
        throw deadline_exceeded(fmt::format(
            "no answer within {:g} s{}{}", std::chrono::duration<double>(options_.deadline).count(),
            last.empty() ? "" : "; the last try before: ", last));
    }
}

awaitable<http::response> client::try_until_done(
    const http::request& what, common::time_point deadline, std::string& last)
{
    backoff pauses(options_.retry, chance_);
    for (int number = 1;; ++number) {
        auto result = co_await try_once(what);
        if (!result.may_retry || number == options_.retry.tries) {
            co_return result.take_answer();
        }
        const auto pause =
            std::max(pauses.next(), result.wanted_pause.value_or(common::duration()));
        if (pause >= deadline - common::now()) {
            co_return result.take_answer();  // there is no time for another one
        }
        last = result.what_happened;
        if (options_.on_retry) {
            options_.on_retry(failed_try{number, last, pause});
        }
        co_await common::sleep_for(pause);
    }
}

// Catches what a try can fail with. That a cancellation is not among it is no accident.
awaitable<client::outcome> client::try_once(const http::request& what)
{
    outcome result;
    bool begun = false;
    auto noted = what;
    noted.begun = &begun;
    try {
        result.answer =
            co_await common::with_timeout(options_.try_limit, pool_.exchange(std::move(noted)));
        result.what_happened = status_line(*result.answer);
        result.may_retry = may_retry(what, result.answer->status);
        result.wanted_pause = retry_after(*result.answer);
    } catch (const http::exchange_error& error) {
        result.failure = std::current_exception();
        result.what_happened = error.what();
        result.may_retry = may_retry(what, error.kind());
    } catch (const common::timeout_error&) {
        // Silence: the server may have begun, unless there was no connection to send on.
        const auto kind = begun ? http::failure::no_answer : http::failure::no_connection;
        result.what_happened = begun ? "no answer in time" : "no connection in time";
        result.failure = std::make_exception_ptr(http::exchange_error(kind, result.what_happened));
        result.may_retry = may_retry(what, kind);
    }
    co_return result;
}

void require_success(const http::response& answer)
{
    if (answer.status < 200 || answer.status > 299) {
        throw unexpected_answer(status_line(answer));
    }
}

json::value json_of(const http::response& answer)
{
    boost::system::error_code error;
    json::parse_options options;
    options.numbers = json::number_precision::precise;  // the closest ones that there are
    auto value = json::parse(answer.body, error, {}, options);
    if (error) {
        throw unexpected_answer(fmt::format("the body is not JSON: {}", error.message()));
    }
    return value;
}

}  // namespace api
