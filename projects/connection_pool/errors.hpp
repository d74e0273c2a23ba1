// What can go wrong with a database, sorted by what the caller can do about it.
//
// A statement that the database refuses will be refused again: query_error. Everything else is a
// temporary_error, and the caller may try again, but not all alike. After a conflict nothing has
// been done. After a connection_error nothing is known of the statement that was under way; inside
// a transaction that means nothing was done, because a transaction that is not committed is rolled
// back. The one statement of which that is not true is the commit itself: when the connection
// breaks between the question and the answer, the transaction may have been committed. That is
// commit_unknown, and who gets it must look before trying again.
//
// A cancellation is none of these. It is boost::system::system_error with operation_aborted, as
// everywhere in Asio.

#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace db {

class database_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

// The database refuses the statement. The connection is good.
class query_error : public database_error {
public:
    explicit query_error(const std::string& message, std::string code = "")
        : database_error(message), code_(std::move(code))
    {
    }

    // PostgreSQL's SQLSTATE, such as "23505", or the name of SQLite's result code, such as
    // "constraint failed". Empty where the library refuses the statement by itself.
    const std::string& code() const { return code_; }

private:
    std::string code_;
};

// Trying again may help.
class temporary_error : public database_error {
public:
    using database_error::database_error;
};

// Another transaction was in the way: a deadlock, or a database that stays locked. The transaction
// has to be rolled back.
class conflict : public temporary_error {
public:
    using temporary_error::temporary_error;
};

// The server cannot be reached, or the connection has broken.
class connection_error : public temporary_error {
public:
    using temporary_error::temporary_error;
};

// The connection has broken during a commit: the transaction is in the database as a whole, or not
// at all, and nobody has told which.
class commit_unknown : public connection_error {
public:
    using connection_error::connection_error;
};

// No connection of a pool has become free in time.
class acquire_timeout : public temporary_error {
public:
    using temporary_error::temporary_error;
};

}  // namespace db
