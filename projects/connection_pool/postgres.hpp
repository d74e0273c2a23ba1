// PostgreSQL through libpq, with its socket on the event loop.
//
// libpq's plain calls block until the server has answered. Beside them it has a set that never
// does: PQsendQueryParams() puts a statement into its buffer, PQflush() sends what the socket
// takes, PQconsumeInput() reads what has come, and PQisBusy() says whether that is the whole
// answer. In between, the coroutine waits for the socket, and the loop does other things.
//
// To cancel a statement is to ask the server to. The request goes over a connection of its own,
// which PQcancel() makes, and blocks for, on a thread. The statement then ends with an error, or
// with its result if it was quicker. Either way the answer has to be read before the connection can
// be used again, and it must be this statement's: so this waits for PQcancel() to have ended, too,
// since a request that arrives late would hit the next statement. A request can also come too
// early, before the server has begun with the statement, and is ignored then; so it is repeated. If
// all that takes too long, the connection is given up.
//
// A server that has been stopped, or a network that swallows everything, keeps PQcancel() for as
// long as it likes: libpq has no limit for it, and nobody can interrupt it. So each call has a
// thread of its own, which is left behind then. Neither the event loop nor the program waits for it
// when it ends.
//
// PQconnectStart() looks names up, and that blocks; with an address, or `hostaddr`, it does not.

#pragma once

#include "connection_pool/connection.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <string>

namespace db {

// Connects, as libpq's connection string says: "host=/run/postgresql dbname=shop user=ada".
//
// Throws connection_error. Cancelled, it drops what it has begun, and throws operation_aborted.
boost::asio::awaitable<std::unique_ptr<connection>> open_postgres(std::string conninfo);

}  // namespace db
