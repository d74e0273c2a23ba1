#include "connection_pool/sqlite.hpp"

#include "common/clock.hpp"
#include "common/run_on.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>

#include <sqlite3.h>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace db {

namespace {

constexpr common::duration busy_patience = 10s;
constexpr common::duration longest_busy_pause = 20ms;
constexpr int steps_between_questions = 1000;

// The last who has it closes it: the connection, or a job that outlives the connection because the
// event loop was destroyed in the middle.
using database = std::shared_ptr<sqlite3>;

struct finalize {
    void operator()(sqlite3_stmt* statement) const { ::sqlite3_finalize(statement); }
};
using prepared = std::unique_ptr<sqlite3_stmt, finalize>;

// One statement, on its way to a thread and back. The thread has it to itself but for stop().
class job {
public:
    job(database there, std::string sql, std::vector<value> parameters)
        : database_(std::move(there)), sql_(std::move(sql)), parameters_(std::move(parameters))
    {
    }

    // On the thread.
    void run()
    {
        ::sqlite3_progress_handler(database_.get(), steps_between_questions, &job::stopped, this);
        code_ = execute();
        if (code_ != SQLITE_OK && message_.empty()) {
            message_ = ::sqlite3_errmsg(database_.get());
        }
        ::sqlite3_progress_handler(database_.get(), 0, nullptr, nullptr);
    }

    // On the loop's thread, at any time.
    void stop() { stopped_ = true; }

    // When it has run.
    int code() const { return code_; }  // SQLITE_OK, or an extended result code
    bool stopped() const { return stopped_; }
    const std::string& message() const { return message_; }
    rows take_rows() { return std::move(rows_); }

private:
    static int stopped(void* self) { return static_cast<job*>(self)->stopped_ ? 1 : 0; }

    int execute()
    {
        sqlite3_stmt* first = nullptr;
        const char* rest = nullptr;
        const int refused = ::sqlite3_prepare_v2(
            database_.get(), sql_.c_str(), static_cast<int>(sql_.size()) + 1, &first, &rest);
        const prepared statement(first);
        if (refused != SQLITE_OK) {
            return refused;
        }
        if (!statement || std::string_view(rest).find_first_not_of(" \t\n;") != std::string::npos) {
            return refuse("one statement at a time, not none and not several");
        }
        if (const int unbound = bind(statement.get()); unbound != SQLITE_OK) {
            return unbound;
        }
        return stopped_ ? SQLITE_INTERRUPT : step(statement.get());
    }

    int bind(sqlite3_stmt* statement)
    {
        if (::sqlite3_bind_parameter_count(statement) != static_cast<int>(parameters_.size())) {
            return refuse("as many parameters as the statement has placeholders, $1, $2 and so on");
        }
        for (std::size_t i = 0; i < parameters_.size(); ++i) {
            // To SQLite "$1" is a name.
            const auto name = fmt::format("${}", i + 1);
            const int place = ::sqlite3_bind_parameter_index(statement, name.c_str());
            if (place == 0) {
                return refuse(fmt::format("there is no placeholder {}", name));
            }
            if (const int unbound = bind(statement, place, parameters_[i]); unbound != SQLITE_OK) {
                return unbound;
            }
        }
        return SQLITE_OK;
    }

    // The parameters live until the statement has been run, so SQLite needs no copy.
    static int bind(sqlite3_stmt* statement, int place, const value& parameter)
    {
        if (const auto* const integer = std::get_if<std::int64_t>(&parameter)) {
            return ::sqlite3_bind_int64(statement, place, *integer);
        }
        if (const auto* const real = std::get_if<double>(&parameter)) {
            return ::sqlite3_bind_double(statement, place, *real);
        }
        if (const auto* const text = std::get_if<std::string>(&parameter)) {
            return ::sqlite3_bind_text64(
                statement, place, text->data(), text->size(), SQLITE_STATIC, SQLITE_UTF8);
        }
        return ::sqlite3_bind_null(statement, place);
    }

    int step(sqlite3_stmt* statement)
    {
        const int changes_before = ::sqlite3_total_changes(database_.get());
        int code = SQLITE_ROW;
        while ((code = ::sqlite3_step(statement)) == SQLITE_ROW) {
            auto& row = rows_.cells.emplace_back();
            for (int column = 0; column < ::sqlite3_column_count(statement); ++column) {
                row.push_back(cell(statement, column));
            }
        }
        if (code != SQLITE_DONE) {
            return code;
        }
        if (::sqlite3_total_changes(database_.get()) != changes_before) {
            rows_.affected = ::sqlite3_changes(database_.get());
        }
        return SQLITE_OK;
    }

    static value cell(sqlite3_stmt* statement, int column)
    {
        switch (::sqlite3_column_type(statement, column)) {
            case SQLITE_INTEGER:
                return static_cast<std::int64_t>(::sqlite3_column_int64(statement, column));
            case SQLITE_FLOAT:
                return ::sqlite3_column_double(statement, column);
            case SQLITE_NULL:
                return std::monostate();
            default:
                const auto* const bytes = ::sqlite3_column_blob(statement, column);
                const auto size =
                    static_cast<std::size_t>(::sqlite3_column_bytes(statement, column));
                return std::string(static_cast<const char*>(bytes), size);
        }
    }

    int refuse(std::string why)
    {
        message_ = std::move(why);
        return SQLITE_MISUSE;
    }

    const database database_;
    const std::string sql_;
    const std::vector<value> parameters_;
    std::atomic<bool> stopped_ = false;
    rows rows_;
    int code_ = SQLITE_OK;
    std::string message_;
};

asio::awaitable<void> run_job(std::shared_ptr<job> work)
{
    work->run();
    co_return;
}

// The file or what is in it is at fault, not the statement.
bool is_broken(int code)
{
    switch (code & 0xff) {
        case SQLITE_CANTOPEN:
        case SQLITE_CORRUPT:
        case SQLITE_IOERR:
        case SQLITE_NOTADB:
            return true;
        default:
            return false;
    }
}

// Another connection has the lock, and will let go of it. With "busy snapshot" it has written what
// this transaction has read, and waiting does not help.
bool may_pass(int code)
{
    return (code & 0xff) == SQLITE_BUSY && code != SQLITE_BUSY_SNAPSHOT;
}

class sqlite_connection final : public connection {
public:
    sqlite_connection(asio::any_io_executor threads, database opened)
        : threads_(std::move(threads)), database_(std::move(opened))
    {
    }

    // Closing can write to the disk, so it is a job, too.
    ~sqlite_connection() override
    {
        asio::post(threads_, [closing = std::move(database_)] {});
    }

    transaction_state state() const override
    {
        return ::sqlite3_get_autocommit(database_.get()) != 0 ? transaction_state::none
                                                              : transaction_state::open;
    }

    // A transaction that begins by reading, and then wants to write, can find that it is too late
    // for that. So it asks for the right to write at once.
    std::string begin_statement() const override { return "begin immediate"; }

private:
    asio::awaitable<rows> execute(std::string sql, std::vector<value> parameters) override
    {
        const auto give_up = common::now() + busy_patience;
        for (common::duration pause = 1ms;; pause = std::min(2 * pause, longest_busy_pause)) {
            const auto work = std::make_shared<job>(database_, sql, parameters);
            co_await run_on_thread(work);
            if (!may_pass(work->code()) || common::now() >= give_up) {
                co_return answer_of(*work);
            }
            co_await common::sleep_for(pause);
        }
    }

    asio::awaitable<void> run_on_thread(std::shared_ptr<job> work)
    {
        const asio::cancellation_slot none;
        auto running = asio::co_spawn(
            threads_, run_job(work), asio::bind_cancellation_slot(none, asio::deferred));

        // Nothing takes this handler away when the job is done. It finds then that there is no job,
        // which is why it must not own it.
        const auto cancellation = co_await asio::this_coro::cancellation_state;
        if (auto slot = cancellation.slot(); slot.is_connected()) {
            slot.assign([watched = std::weak_ptr<job>(work)](asio::cancellation_type) {
                if (const auto found = watched.lock()) {
                    found->stop();
                }
            });
        }
        co_await std::move(running);
    }

    rows answer_of(job& done)
    {
        if (done.code() == SQLITE_OK) {
            return done.take_rows();
        }
        if (done.stopped() && done.code() == SQLITE_INTERRUPT) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
        if ((done.code() & 0xff) == SQLITE_BUSY) {
            throw conflict(done.message());
        }
        if (is_broken(done.code())) {
            broken_ = true;
            throw connection_error(done.message());
        }
        throw query_error(done.message(), ::sqlite3_errstr(done.code()));
    }

    bool healthy() override { return !broken_; }

    const asio::any_io_executor threads_;
    database database_;
    bool broken_ = false;
};

// On a thread.
asio::awaitable<database> open_database(std::string file)
{
    sqlite3* opened = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const int code = ::sqlite3_open_v2(file.c_str(), &opened, flags, nullptr);
    const database there(opened, &::sqlite3_close);
    if (code != SQLITE_OK) {
        throw connection_error(fmt::format("{}: {}", file, ::sqlite3_errstr(code)));
    }
    ::sqlite3_extended_result_codes(opened, 1);

    // With a write-ahead log, readers and the one writer do not wait for each other. Switching it
    // on takes a lock, for which this waits here: it happens once in the life of a connection.
    ::sqlite3_busy_timeout(opened, 1000);
    const int set = ::sqlite3_exec(
        opened, "pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on",
        nullptr, nullptr, nullptr);
    if (set != SQLITE_OK) {
        throw connection_error(fmt::format("{}: {}", file, ::sqlite3_errmsg(opened)));
    }
    ::sqlite3_busy_timeout(opened, 0);
    co_return there;
}

}  // namespace

asio::awaitable<std::unique_ptr<connection>> open_sqlite(
    asio::any_io_executor threads, std::string file)
{
    auto opened = co_await common::run_on(threads, open_database(std::move(file)));
    co_return std::make_unique<sqlite_connection>(threads, std::move(opened));
}

std::string sqlite_version()
{
    return ::sqlite3_libversion();
}

}  // namespace db
