// A client of a server under test: a TCP connection over loopback that does what it is told, also
// what a well-behaved client never would. Everything blocks, but for a minute at the most.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace support {

class client {
public:
    // Throws std::system_error if nobody listens there. With a receive buffer given, the system
    // keeps about that many bytes that have not been read.
    explicit client(unsigned short port, int receive_buffer = 0);
    ~client();
    client(client&& other) noexcept;
    client& operator=(client&&) = delete;

    // Throws std::system_error when the connection is broken.
    void send(std::string_view bytes);

    // Sends what goes at once, and gives how many bytes that were. 0 when the server takes no more
    // for `patience` milliseconds.
    std::size_t send_some(std::string_view bytes, int patience);

    // Says that nothing more will be sent. Answers can still be read.
    void end_sending();

    // Breaks the connection off, without a goodbye.
    void reset();

    // The next line, without the newline. Throws std::runtime_error when the connection ends
    // before.
    std::string line();

    // What comes until the server ends its side. Throws std::system_error when it breaks off
    // instead.
    std::string rest();

private:
    bool receive();

    int socket_;
    std::string received_;  // and not yet given out
};

// Whether a connection to the port is refused.
bool is_refused(unsigned short port);

}  // namespace support
