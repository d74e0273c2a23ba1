#include "connection_pool/transaction.hpp"

#include "common/timeout.hpp"

#include <chrono>

namespace asio = boost::asio;

namespace db {

namespace {

// A rollback takes a moment. A server that needs longer is not there any more.
constexpr std::chrono::seconds patience{5};

}  // namespace

void transaction::require_open() const
{
    if (connection_.state() != transaction_state::open) {
        throw query_error("the transaction is over, or has failed and can only be rolled back");
    }
}

asio::awaitable<void> transaction::commit()
{
    require_open();
    try {
        co_await connection_.query("commit");
    } catch (const connection_error& broken) {
        throw commit_unknown(broken.what());
    }
}

asio::awaitable<void> detail::roll_back(connection& there)
{
    if (there.state() == transaction_state::none) {
        co_return;  // committed, or never begun, or rolled back by the database
    }
    try {
        co_await common::with_timeout(patience, there.query("rollback"));
    } catch (const database_error&) {
        // It is in the transaction still, or nobody knows. The pool drops such a connection.
    } catch (const common::timeout_error&) {
        // The same.
    }
}

}  // namespace db
