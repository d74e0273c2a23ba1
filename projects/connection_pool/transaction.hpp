// A transaction as a scope.
//
// Rolling back is a statement, so it has to be awaited, and a destructor cannot do that. So the
// scope is a call: with_transaction begins, runs the body, and when the body has ended, in whatever
// way, rolls back what has not been committed. Also when the body was cancelled: the rollback is
// shielded from that.
//
//     co_await db::with_transaction(*lease, [&](db::transaction& books) -> awaitable<void> {
//         co_await books.query("update accounts set balance = balance - $1 where id = $2", 5, 1);
//         co_await books.query("update accounts set balance = balance + $1 where id = $2", 5, 2);
//         co_await books.commit();
//     });
//
// A rollback that fails, on a connection that has broken for instance, is not worth telling: the
// database rolls back what it has of the transaction when the connection is gone, and the pool does
// not give out a connection that is still in a transaction.

#pragma once

#include "connection_pool/connection.hpp"
#include "connection_pool/on_failure.hpp"

#include <boost/asio/awaitable.hpp>

#include <exception>
#include <string>
#include <utility>

namespace db {

class transaction {
public:
    // As connection::query. Throws query_error when the transaction is over: committed, failed, or
    // rolled back by the database. A statement that came after that would be one of its own, and
    // could not be rolled back.
    template <class... Values>
    boost::asio::awaitable<rows> query(std::string sql, Values&&... parameters)
    {
        require_open();
        return connection_.query(std::move(sql), std::forward<Values>(parameters)...);
    }

    // Completes when the database has said that all of it is done. Throws query_error or conflict
    // when it is not done, commit_unknown when nobody knows. Cancelled, it throws operation_aborted
    // if that was in time, and then it is not done.
    boost::asio::awaitable<void> commit();

private:
    template <class Body>
    friend boost::asio::awaitable<void> with_transaction(connection& there, Body body);

    explicit transaction(connection& there) : connection_(there) {}

    void require_open() const;

    connection& connection_;
};

namespace detail {

boost::asio::awaitable<void> roll_back(connection& there);

template <class Body>
boost::asio::awaitable<void> run_transaction(connection& there, transaction& begun, Body& body)
{
    co_await there.query(there.begin_statement());
    co_await body(begun);
    // After a commit there must be no await. A caller that was cancelled, but too late for the
    // commit, would get operation_aborted from it, although all is done.
    if (there.state() != transaction_state::none) {
        co_await roll_back(there);
    }
}

inline boost::asio::awaitable<void> roll_back_and_throw(
    connection& there, std::exception_ptr failure)
{
    co_await roll_back(there);
    std::rethrow_exception(failure);
}

}  // namespace detail

// Runs `body`, an awaitable<void>(transaction&), in a transaction. Completes, or throws what it
// throws, when the transaction is over. What the body has not committed is rolled back. It does not
// throw operation_aborted after a commit that has succeeded, unless the body does.
template <class Body>
boost::asio::awaitable<void> with_transaction(connection& there, Body body)
{
    transaction begun(there);
    co_await on_failure(
        detail::run_transaction(there, begun, body), [&there](std::exception_ptr failure) {
            return detail::roll_back_and_throw(there, failure);
        });
}

}  // namespace db
