#include "connection_pool/postgres.hpp"

#include "common/timeout.hpp"
#include "connection_pool/borrowed_socket.hpp"
#include "connection_pool/on_failure.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <chrono>
#include <exception>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <libpq-fe.h>
#include <unistd.h>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace db {

namespace {

// How long a cancelled statement may take to end, and after how long it is asked again.
constexpr common::duration cancel_patience = 5s;
constexpr common::duration cancel_interval = 200ms;

struct finish {
    void operator()(PGconn* connected) const { ::PQfinish(connected); }
    void operator()(PGresult* result) const { ::PQclear(result); }
    void operator()(PGcancel* request) const { ::PQfreeCancel(request); }
};
using connected = std::unique_ptr<PGconn, finish>;
using result = std::unique_ptr<PGresult, finish>;
using cancel_request = std::unique_ptr<PGcancel, finish>;

// libpq ends its messages with a newline.
std::string without_newline(std::string message)
{
    message.erase(message.find_last_not_of('\n') + 1);
    return message;
}

// As text. The server finds the type that is needed from where the placeholder stands.
std::optional<std::string> text_of(const value& parameter)
{
    if (const auto* const text = std::get_if<std::string>(&parameter)) {
        return *text;
    }
    if (const auto* const integer = std::get_if<std::int64_t>(&parameter)) {
        return fmt::format("{}", *integer);
    }
    if (const auto* const real = std::get_if<double>(&parameter)) {
        return fmt::format("{}", *real);
    }
    return std::nullopt;
}

// The numbers that PostgreSQL has given its types, for good.
enum type_number : Oid {
    boolean = 16,
    int8 = 20,
    int2 = 21,
    int4 = 23,
    float4 = 700,
    float8 = 701
};

template <class Number>
Number number_in(std::string_view text)
{
    Number number{};
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

value cell(const PGresult& answer, int row, int column)
{
    if (::PQgetisnull(&answer, row, column) != 0) {
        return std::monostate();
    }
    const auto size = static_cast<std::size_t>(::PQgetlength(&answer, row, column));
    const std::string_view text(::PQgetvalue(&answer, row, column), size);
    switch (::PQftype(&answer, column)) {
        case int2:
        case int4:
        case int8:
            return number_in<std::int64_t>(text);
        case float4:
        case float8:
            return number_in<double>(text);
        case boolean:
            return std::int64_t{text == "t"};
        default:
            return std::string(text);
    }
}

rows rows_of(PGresult& answer)
{
    rows all;
    for (int row = 0; row < ::PQntuples(&answer); ++row) {
        auto& cells = all.cells.emplace_back();
        for (int column = 0; column < ::PQnfields(&answer); ++column) {
            cells.push_back(cell(answer, row, column));
        }
    }
    if (!std::string_view(::PQcmdStatus(&answer)).starts_with("SELECT")) {
        all.affected = number_in<std::int64_t>(::PQcmdTuples(&answer));
    }
    return all;
}

bool is_error(const PGresult& answer)
{
    const auto status = ::PQresultStatus(&answer);
    return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

std::string code_of(const PGresult& answer)
{
    const char* const code = ::PQresultErrorField(&answer, PG_DIAG_SQLSTATE);
    return code == nullptr ? "" : code;
}

bool means_conflict(std::string_view code)
{
    return code == "40001" || code == "40P01" || code == "55P03";
}

constexpr std::string_view query_canceled = "57014";

class postgres_connection final : public connection {
public:
    postgres_connection(asio::any_io_executor loop, connected server)
        : loop_(std::move(loop)), server_(std::move(server))
    {
        socket_.emplace(loop_, ::PQsocket(server_.get()));
        ::PQsetnonblocking(server_.get(), 1);
    }

    transaction_state state() const override
    {
        switch (socket_ ? ::PQtransactionStatus(server_.get()) : PQTRANS_UNKNOWN) {
            case PQTRANS_IDLE:
                return transaction_state::none;
            case PQTRANS_INTRANS:
                return transaction_state::open;
            default:
                return transaction_state::failed;
        }
    }

    std::string begin_statement() const override { return "begin"; }

private:
    asio::awaitable<rows> execute(std::string sql, std::vector<value> parameters) override
    {
        send(sql, parameters);
        bool cancelled = false;
        co_await on_failure(exchange(), [&](std::exception_ptr failure) {
            return stop_if_cancelled(failure, cancelled);
        });
        if (cancelled && code_of(*answer_) == query_canceled) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
        co_return take_answer();
    }

    asio::awaitable<void> exchange()
    {
        co_await flush();
        co_await receive();
    }

    // Into libpq's buffer.
    void send(const std::string& sql, const std::vector<value>& parameters)
    {
        std::vector<std::optional<std::string>> texts;
        for (const auto& parameter : parameters) {
            texts.push_back(text_of(parameter));
        }
        std::vector<const char*> pointers;
        for (const auto& text : texts) {
            pointers.push_back(text ? text->c_str() : nullptr);
        }
        if (!socket_) {
            throw connection_error("the connection has broken before");
        }
        answer_.reset();
        const int sent = ::PQsendQueryParams(
            server_.get(), sql.c_str(), static_cast<int>(pointers.size()), nullptr, pointers.data(),
            nullptr, nullptr, 0);
        if (sent == 0) {
            throw_lost();
        }
    }

    // To the server. It reads the whole statement before it answers, so there is no need to read
    // meanwhile.
    asio::awaitable<void> flush()
    {
        int left = 0;
        while ((left = ::PQflush(server_.get())) == 1) {
            co_await socket_->writable();
        }
        if (left < 0) {
            throw_lost();
        }
    }

    // Reads until the server is ready for the next statement. A statement can have two results:
    // done, and then an error from the commit that follows it. The error counts. Can be called
    // again after it was cancelled.
    asio::awaitable<void> receive()
    {
        while (true) {
            while (::PQisBusy(server_.get()) != 0) {
                co_await socket_->readable();
                if (::PQconsumeInput(server_.get()) == 0) {
                    throw_lost();
                }
            }
            result next(::PQgetResult(server_.get()));
            if (!next) {
                break;
            }
            refuse_copy(*next);
            if (!answer_ || is_error(*next)) {
                answer_ = std::move(next);
            }
        }
        if (!answer_) {
            throw_lost();
        }
    }

    // COPY is a conversation of its own kind, and one that has begun has to be gone through with.
    void refuse_copy(const PGresult& answer)
    {
        const auto status = ::PQresultStatus(&answer);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
            give_up();
            throw query_error("COPY between server and program is not supported");
        }
    }

    rows take_answer()
    {
        const auto answer = std::move(answer_);
        if (!is_error(*answer)) {
            return rows_of(*answer);
        }
        const auto message = without_newline(::PQresultErrorMessage(answer.get()));
        const auto code = code_of(*answer);
        if (::PQstatus(server_.get()) != CONNECTION_OK) {
            give_up();
            throw connection_error(message);
        }
        if (means_conflict(code)) {
            throw conflict(message);
        }
        throw query_error(message, code);
    }

    asio::awaitable<void> stop_if_cancelled(std::exception_ptr failure, bool& cancelled)
    {
        try {
            std::rethrow_exception(failure);
        } catch (const boost::system::system_error& error) {
            if (error.code() != asio::error::operation_aborted) {
                throw;
            }
            cancelled = true;
        }
        try {
            co_await common::with_timeout(cancel_patience, stop());
        } catch (const common::timeout_error&) {
            give_up();
            throw connection_error("the server does not cancel a statement");
        }
    }

    asio::awaitable<void> stop()
    {
        co_await flush();
        while (true) {
            co_await ask_server_to_cancel();
            try {
                co_await common::with_timeout(cancel_interval, receive());
                co_return;
            } catch (const common::timeout_error&) {
                // It came before the statement had begun.
            }
        }
    }

    // Completes when PQcancel() has ended. Cancelled, it leaves the thread behind. That one may
    // come back when there is no event loop any more, so it does not post its news: it closes its
    // end of a pipe.
    asio::awaitable<void> ask_server_to_cancel()
    {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
            give_up();
            throw connection_error("no pipe is left for cancelling a statement");
        }
        asio::posix::stream_descriptor ended(loop_, ends[0]);
        start_cancelling(ends[1]);
        co_await ended.async_wait(asio::posix::stream_descriptor::wait_read, asio::deferred);
    }

    void start_cancelling(int to_close)
    {
        auto ask = [request = cancel_request(::PQgetCancel(server_.get())), to_close] {
            std::array<char, 256> reason;
            ::PQcancel(request.get(), reason.data(), static_cast<int>(reason.size()));
            ::close(to_close);
        };
        try {
            // Detached, since a join could take for ever. It has all that it needs.
            std::thread(std::move(ask)).detach();
        } catch (const std::system_error&) {
            ::close(to_close);
            give_up();
            throw connection_error("no thread is left for cancelling a statement");
        }
    }

    // When a connection breaks, libpq closes the socket, and the next file that anybody opens has
    // its number. So it is let go of at once, and not when somebody gets round to destroying this.
    void give_up() { socket_.reset(); }

    [[noreturn]] void throw_lost()
    {
        give_up();
        throw connection_error(without_newline(::PQerrorMessage(server_.get())));
    }

    // While no statement is running, the server sends nothing, unless it is a farewell. The first
    // call reads that, the second sees that it was the last.
    bool healthy() override
    {
        if (socket_ &&
            (::PQconsumeInput(server_.get()) == 0 || ::PQconsumeInput(server_.get()) == 0)) {
            give_up();
        }
        return socket_.has_value();
    }

    const asio::any_io_executor loop_;
    const connected server_;
    std::optional<borrowed_socket> socket_;  // none when the connection has broken
    result answer_;  // of the statement that is running, as far as it has come
};

}  // namespace

asio::awaitable<std::unique_ptr<connection>> open_postgres(std::string conninfo)
{
    const auto loop = co_await asio::this_coro::executor;
    connected server(::PQconnectStart(conninfo.c_str()));
    if (!server) {
        throw connection_error("out of memory");
    }
    ::PQsetNoticeReceiver(server.get(), [](void*, const PGresult*) {}, nullptr);

    // Between two steps libpq may have closed its socket and opened another, to try the next
    // address for instance, and the new one may have the old one's number. So it is borrowed for
    // each wait.
    auto next = PGRES_POLLING_WRITING;
    while (::PQstatus(server.get()) != CONNECTION_BAD && next != PGRES_POLLING_OK) {
        {
            borrowed_socket socket(loop, ::PQsocket(server.get()));
            if (next == PGRES_POLLING_READING) {
                co_await socket.readable();
            } else {
                co_await socket.writable();
            }
        }
        next = ::PQconnectPoll(server.get());
    }
    if (next != PGRES_POLLING_OK) {
        throw connection_error(without_newline(::PQerrorMessage(server.get())));
    }
    co_return std::make_unique<postgres_connection>(loop, std::move(server));
}

}  // namespace db
