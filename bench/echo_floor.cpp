// The floor of the echo: what lesson 012's server does, with epoll and nothing else. No coroutine,
// no Asio, no deadline; it cannot be stopped in good order, and trusts its clients.

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unordered_map>

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct session {
    std::string received;  // and not yet answered: less than a line
    std::string answers;   // that the system has not taken yet
    bool waits_for_room = false;
};

class server {
public:
    server() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0))
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(listener_, generic, size) != 0 || ::listen(listener_, SOMAXCONN) != 0 ||
            ::getsockname(listener_, generic, &size) != 0) {
            std::perror("echo_floor");
            std::exit(1);
        }
        std::printf("listens on 127.0.0.1:%d\n", ntohs(address.sin_port));
        std::fflush(stdout);
        watch(EPOLL_CTL_ADD, listener_, EPOLLIN);
    }

    [[noreturn]] void run()
    {
        std::array<epoll_event, 256> events{};
        while (true) {
            const int ready = ::epoll_wait(epoll_, events.data(), events.size(), -1);
            for (int each = 0; each < ready; ++each) {
                const auto& event = events[static_cast<std::size_t>(each)];
                if (event.data.fd == listener_) {
                    accept();
                } else if (!serve(event.data.fd)) {
                    sessions_.erase(event.data.fd);
                    ::close(event.data.fd);
                }
            }
        }
    }

private:
    void watch(int operation, int descriptor, std::uint32_t events) const
    {
        epoll_event event{};
        event.events = events;
        event.data.fd = descriptor;
        ::epoll_ctl(epoll_, operation, descriptor, &event);
    }

    void accept()
    {
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
        if (client >= 0) {
            sessions_[client];
            watch(EPOLL_CTL_ADD, client, EPOLLIN);
        }
    }

    // Gives false when the client is gone.
    bool serve(int client)
    {
        auto& [received, answers, waits_for_room] = sessions_[client];
        if (answers.empty()) {
            std::array<char, 65536> bytes;
            const auto size = ::recv(client, bytes.data(), bytes.size(), 0);
            if (size <= 0) {
                return size < 0 && errno == EAGAIN;
            }
            received.append(bytes.data(), static_cast<std::size_t>(size));
            answer_lines(received, answers);
        }
        const auto sent = ::send(client, answers.data(), answers.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            return false;
        }
        answers.erase(0, sent < 0 ? 0 : static_cast<std::size_t>(sent));
        if (waits_for_room == answers.empty()) {
            waits_for_room = !waits_for_room;
            watch(EPOLL_CTL_MOD, client, waits_for_room ? EPOLLOUT : EPOLLIN);
        }
        return true;
    }

    static void answer_lines(std::string& received, std::string& answers)
    {
        std::size_t begin = 0;
        for (auto end = received.find('\n'); end != std::string::npos;
             end = received.find('\n', begin)) {
            answers += "here is ";
            answers += std::string_view(received).substr(begin, end + 1 - begin);
            begin = end + 1;
        }
        received.erase(0, begin);
    }

    const int epoll_ = ::epoll_create1(0);
    const int listener_;
    std::unordered_map<int, session> sessions_;
};

}  // namespace

int main()
{
    server().run();
}
