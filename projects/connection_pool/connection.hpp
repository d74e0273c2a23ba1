// A connection to a database: the small interface that SQLite and PostgreSQL have in common.
//
// A statement and its parameters go to the database separately. The text has placeholders, $1, $2
// and so on, and the values are bound to them after the database has parsed it. So a parameter is
// never read as SQL, whatever is in it, and nobody has to quote anything. There is no other way to
// get a value into a statement here.
//
// A connection does one thing at a time, and is used from the event loop's thread.

#pragma once

#include "connection_pool/errors.hpp"

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace db {

// SQL's null is std::monostate.
using value = std::variant<std::monostate, std::int64_t, double, std::string>;

template <std::integral T>
value to_value(T number)
{
    static_assert(sizeof(T) < 8 || std::signed_integral<T>, "does not fit into SQL's bigint");
    return static_cast<std::int64_t>(number);
}
inline value to_value(double number)
{
    return number;
}
inline value to_value(std::string text)
{
    return text;
}
inline value to_value(std::string_view text)
{
    return std::string(text);
}
inline value to_value(const char* text)
{
    return std::string(text);
}
inline value to_value(std::nullptr_t)
{
    return std::monostate();
}

// What a statement gives.
struct rows {
    std::vector<std::vector<value>> cells;  // a vector for each row
    std::int64_t affected = 0;              // rows inserted, updated or deleted

    std::size_t size() const { return cells.size(); }
    bool empty() const { return cells.empty(); }

    // One cell. Throws std::out_of_range where there is none, std::bad_variant_access where it is
    // of another type.
    std::int64_t integer(std::size_t row, std::size_t column) const;
    double real(std::size_t row, std::size_t column) const;
    const std::string& text(std::size_t row, std::size_t column) const;
    bool is_null(std::size_t row, std::size_t column) const;
};

// Where a connection stands between `begin` and `commit`.
enum class transaction_state {
    none,
    open,
    failed,  // can only be rolled back; or nobody knows
};

class connection {
public:
    connection() = default;
    virtual ~connection() = default;
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    // Runs one statement, and completes with what it gives.
    //
    // Throws query_error, conflict or connection_error. Cancelled (terminal), it has the database
    // cancel the statement, waits until that has happened, and throws operation_aborted; if the
    // statement has finished nonetheless, its result is the result. Throws std::logic_error while
    // another statement is running.
    template <class... Values>
    boost::asio::awaitable<rows> query(std::string sql, Values&&... parameters)
    {
        std::vector<value> bound;
        bound.reserve(sizeof...(parameters));
        (bound.push_back(to_value(std::forward<Values>(parameters))), ...);
        return run(std::move(sql), std::move(bound));
    }

    // Asks the database for a sign of life. Throws nothing but operation_aborted.
    boost::asio::awaitable<bool> check();

    // As far as can be told without asking: the connection is whole, no statement is running, and
    // no transaction has been left open.
    bool usable() { return !busy_ && healthy() && state() == transaction_state::none; }

    virtual transaction_state state() const = 0;

    // How a transaction begins.
    virtual std::string begin_statement() const = 0;

private:
    boost::asio::awaitable<rows> run(std::string sql, std::vector<value> parameters);

    virtual boost::asio::awaitable<rows> execute(
        std::string sql, std::vector<value> parameters) = 0;
    virtual bool healthy() = 0;

    bool busy_ = false;
};

}  // namespace db
