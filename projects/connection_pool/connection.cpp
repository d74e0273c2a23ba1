#include "connection_pool/connection.hpp"

#include <exception>
#include <stdexcept>

namespace asio = boost::asio;

namespace db {

namespace {

// PostgreSQL cannot store it, and SQLite stores it and then finds half of the text. A statement
// would end there.
void refuse_nul(std::string_view text)
{
    if (text.find('\0') != std::string_view::npos) {
        throw query_error("neither a statement nor a parameter can have a NUL character in it");
    }
}

void refuse_nul(const std::vector<value>& parameters)
{
    for (const auto& parameter : parameters) {
        if (const auto* const text = std::get_if<std::string>(&parameter)) {
            refuse_nul(*text);
        }
    }
}

}  // namespace

std::int64_t rows::integer(std::size_t row, std::size_t column) const
{
    return std::get<std::int64_t>(cells.at(row).at(column));
}

double rows::real(std::size_t row, std::size_t column) const
{
    return std::get<double>(cells.at(row).at(column));
}

const std::string& rows::text(std::size_t row, std::size_t column) const
{
    return std::get<std::string>(cells.at(row).at(column));
}

bool rows::is_null(std::size_t row, std::size_t column) const
{
    return std::holds_alternative<std::monostate>(cells.at(row).at(column));
}

asio::awaitable<rows> connection::run(std::string sql, std::vector<value> parameters)
{
    if (busy_) {
        throw std::logic_error("query: the connection is busy with another statement");
    }
    refuse_nul(sql);
    refuse_nul(parameters);

    // When the event loop is destroyed while this waits, it stays busy: nobody knows then what the
    // connection is doing.
    busy_ = true;
    rows answer;
    std::exception_ptr failure;
    try {
        answer = co_await execute(std::move(sql), std::move(parameters));
    } catch (...) {
        failure = std::current_exception();
    }
    busy_ = false;
    if (failure) {
        std::rethrow_exception(failure);
    }
    co_return answer;
}

asio::awaitable<bool> connection::check()
{
    try {
        const auto answer = co_await query("select 1");
        co_return answer.size() == 1;
    } catch (const database_error&) {
        co_return false;
    }
}

}  // namespace db
