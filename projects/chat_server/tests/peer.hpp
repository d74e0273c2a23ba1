// A WebSocket client of the chat under test, on Beast. Everything blocks, but for a minute at the
// most; then it throws std::runtime_error.

#pragma once

#include <boost/json/object.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tests {

struct peer_options {
    std::string origin = {};  // sent if it is not empty
    std::string host = {};    // instead of the real one
    std::string path = "/chat";
    int receive_buffer = 0;  // of the socket, in bytes, if it is more than 0
    int send_buffer = 0;     // the same
};

class peer {
public:
    // Throws std::runtime_error when the server refuses.
    explicit peer(unsigned short port, const peer_options& options = {});
    ~peer();
    peer(peer&&) noexcept;

    // As a client does it that takes part: gives its name, joins the room, and reads "welcome" and
    // "joined".
    static peer in_room(unsigned short port, const std::string& nick, const std::string& room);

    // Sends a request: {"do": "say", ...}, or anything else that is text.
    void send(std::string_view text);
    void ask(const boost::json::object& request);
    void say(const std::string& room, const std::string& text);

    // What is not text. A ping is a control frame.
    void send_binary(std::string_view bytes);
    void send_ping();

    // Any bytes, as they are, past the WebSocket.
    void send_raw(std::string_view bytes);

    // The same, but ends after `limit` if the server has not taken them by then. Gives how many it,
    // or the system, has taken.
    std::size_t send_raw_for(std::chrono::milliseconds limit, std::string_view bytes);

    // The next event. Throws std::runtime_error when the connection has ended.
    boost::json::object next();

    // The next event of that kind; what comes before is dropped.
    boost::json::object next(std::string_view event);

    // Everything that comes before the server's answer to something that is asked now. So what is
    // not in there did not come.
    std::vector<boost::json::object> all_so_far();

    // The code of the close frame with which the server ends the connection, after whatever comes
    // before; or 0 if it ends without one.
    std::uint16_t close_code();

    // Says goodbye, and waits for the server's.
    void close();

    // Goes away without a goodbye, and with a reset.
    void vanish();

private:
    class implementation;
    std::unique_ptr<implementation> peer_;
};

// The status with which an upgrade is answered: 101 if it is granted.
int upgrade_status(unsigned short port, const peer_options& options);

}  // namespace tests
