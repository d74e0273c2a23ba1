// SQLite behind a thread pool.
//
// SQLite is a library, not a server: a statement runs in the call, on the caller's thread, and
// blocks it for as long as the disk takes. So each statement is a job for a thread pool, and the
// coroutine waits for it on the loop, as in lesson 018.
//
// A cancellation comes on the loop's thread and has to reach SQLite on another one. It is not sent
// through the coroutine that runs there, which would be a race. It sets an atomic flag, and SQLite,
// which calls a function of ours every so many steps, stops when that says so. There is also
// sqlite3_interrupt(), which may be called from any thread; but it is forgotten when the statement
// has not begun yet, or stands in the line for a thread.
//
// SQLite lets one connection write at a time. Whoever is in the way of another gets "busy" at
// once, goes to sleep on the loop, and tries again. Were it to wait inside SQLite, it would keep a
// thread, and with all threads waiting, the one who has the lock could not get one to let go of it.

#pragma once

#include "connection_pool/connection.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>

namespace db {

// Opens a file, and makes it if it is not there. `threads` is an executor of a thread pool that
// outlives the connection, and ends before the event loop does: it belongs into the coroutine that
// the loop runs. Throws connection_error. Cannot be cancelled.
boost::asio::awaitable<std::unique_ptr<connection>> open_sqlite(
    boost::asio::any_io_executor threads, std::string file);

// "3.40.1"
std::string sqlite_version();

}  // namespace db
