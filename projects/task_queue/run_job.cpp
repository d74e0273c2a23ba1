#include "task_queue/run_job.hpp"

#include "common/clock.hpp"
#include "common/gather.hpp"
#include "common/log.hpp"
#include "common/process.hpp"
#include "task_queue/file.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>

namespace asio = boost::asio;

namespace task_queue {

namespace {

// A line that is longer is cut, so that a job that writes without an end costs no memory.
constexpr std::size_t longest_line = 4096;

// Copies what the pipe gives into the log, line by line, until nobody holds its other end.
asio::awaitable<void> log_lines(asio::readable_pipe& pipe, std::string who)
{
    std::string text;
    while (true) {
        auto [error, size] = co_await asio::async_read_until(
            pipe, asio::dynamic_buffer(text, longest_line), '\n', asio::as_tuple(asio::deferred));
        const bool line_ends = !error;
        if (error && error != asio::error::eof && error != asio::error::not_found) {
            throw boost::system::system_error(error);
        }
        if (!line_ends) {
            size = text.size();
        }
        if (size > 0) {
            common::log(who, "{}", std::string_view(text).substr(0, size - (line_ends ? 1 : 0)));
        }
        text.erase(0, size);
        if (error == asio::error::eof) {
            co_return;
        }
    }
}

asio::awaitable<void> run_command(const delivery& taken)
{
    const auto& words = taken.what.words;
    common::command command(words.front(), {words.begin() + 1, words.end()});
    command.environment.emplace_back("TASK_QUEUE_JOB", taken.what.id);
    command.environment.emplace_back("TASK_QUEUE_TRY", std::to_string(taken.tries));

    const auto listen = [&](common::process& child) -> asio::awaitable<void> {
        child.in().close();
        std::vector<asio::awaitable<void>> streams;
        streams.push_back(log_lines(child.out(), taken.what.id + " out"));
        streams.push_back(log_lines(child.err(), taken.what.id + " err"));
        co_await common::gather(std::move(streams));
    };
    const auto end = co_await common::with_process(std::move(command), listen);
    if (!end.success()) {
        throw job_failed(end.text());
    }
}

}  // namespace

void check_builtin(const job& what)
{
    const auto& words = what.words;
    const bool makes_sense = (words.size() == 3 && words[0] == "append") ||
                             (words.size() == 2 && (words[0] == "sleep" || words[0] == "fail"));
    if (!makes_sense) {
        throw std::invalid_argument(fmt::format(
            "'{}' is no builtin job; there are: append FILE TEXT, sleep DURATION, fail TEXT",
            command_line(what)));
    }
    if (words[0] == "sleep") {
        parse_duration(words[1]);
    }
}

asio::awaitable<void> run_job(const delivery& taken)
{
    if (!taken.what.builtin) {
        co_return co_await run_command(taken);
    }
    check_builtin(taken.what);
    const auto& words = taken.what.words;
    if (words[0] == "append") {
        // One write() at the end of the file, so that lines of several workers do not mix.
        file(words[1], O_WRONLY | O_CREAT | O_APPEND).write(words[2] + "\n");
    } else if (words[0] == "sleep") {
        co_await common::sleep_for(parse_duration(words[1]));
    } else {
        throw job_failed(words[1]);
    }
}

}  // namespace task_queue
