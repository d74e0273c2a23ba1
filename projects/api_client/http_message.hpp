// What is asked, what is answered, and what can go wrong in between.
//
// These are plain values. The error is what the rest of this project turns on, for it says what is
// known about the request: whether the server can have begun it. If it cannot, the request may be
// sent again, whatever it asks for. If it can, that is safe only for a request that does no more
// when it is done twice, an idempotent one.

#pragma once

#include "api_client/url.hpp"

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http {

struct field {
    std::string name;
    std::string value;
};

// The fields of a header, in their order.
class fields {
public:
    void add(std::string name, std::string value)
    {
        all_.push_back(field{std::move(name), std::move(value)});
    }

    // The value of the first field of that name, in upper or lower case, or null.
    const std::string* find(std::string_view name) const;

    // The values of all fields of that name, in their order.
    std::vector<const std::string*> find_all(std::string_view name) const;

    auto begin() const { return all_.begin(); }
    auto end() const { return all_.end(); }

private:
    std::vector<field> all_;
};

struct request {
    explicit request(url target, std::string verb = "GET")
        : where(std::move(target)), method(std::move(verb))
    {
    }

    url where;
    std::string method;
    fields headers;  // besides Host and Content-Length, which are made of the rest
    std::string body;
    std::size_t body_limit = 8 * 1024 * 1024;  // of the answer, in bytes

    // How a pool sends it; see http_pool.hpp.
    bool only_once = false;       // not again where a kept connection ends without an answer
    bool new_connection = false;  // on one of its own, and no kept one

    // Where these point, an exchange notes how far it has come, also when it is cancelled. What
    // they point to outlives it.
    bool* begun = nullptr;            // set when the server may get some of the request
    std::size_t* received = nullptr;  // the bytes of the answer's body that have come are added
};

// Whether doing it twice has the same effect as doing it once. That is so by the method, which is
// GET, HEAD, OPTIONS, TRACE, PUT or DELETE (RFC 9110, 9.2.2), or by a field Idempotency-Key, with
// which a server knows a request that it has seen.
bool is_idempotent(const request& what);

// Throws std::invalid_argument for a request with a method or field that would be read as something
// else, such as one with a line break in it, and for fields that are made of the rest.
void require_sendable(const request& what);

struct response {
    int status = 0;
    std::string reason;  // what the server says the status means
    fields headers;
    std::string body;
    bool on_kept_connection = false;  // the connection had been used before
};

// How far an exchange came.
enum class failure {
    no_connection,  // nothing was sent: the server has not begun
    no_answer,      // it ended without a byte of an answer: the server may have begun, or finished
    cut_off,        // it ended in the middle of the answer
    malformed,      // what came is not HTTP
    too_large,      // the body is beyond the limit
};

// what() says what happened; with whom, the caller knows.
class exchange_error : public std::runtime_error {
public:
    exchange_error(failure kind, const std::string& what, bool on_kept_connection = false)
        : runtime_error(what), kind_(kind), on_kept_connection_(on_kept_connection)
    {
    }

    failure kind() const noexcept { return kind_; }

    // The connection had been used before, and the request was not sent again on another.
    bool on_kept_connection() const noexcept { return on_kept_connection_; }

private:
    failure kind_;
    bool on_kept_connection_;
};

}  // namespace http
