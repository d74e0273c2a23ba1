#include "task_queue/redis_connection.hpp"

#include <boost/asio/posix/descriptor_base.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/error_code.hpp>

#include <fmt/format.h>

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <charconv>
#include <csignal>
#include <cstddef>
#include <new>
#include <utility>

namespace asio = boost::asio;
using asio::posix::descriptor_base;

namespace task_queue {

namespace {

// A command that waits for its reply. The coroutine has it, and hiredis has it, and whoever lets go
// last removes it: a coroutine that is cancelled leaves at once, and the reply comes later.
struct pending_command {
    common::event answered;
    std::optional<redis_reply> reply;  // empty where the connection has ended without one
    std::optional<std::string> error;  // what Redis said in place of a reply
    std::string why_lost;
};

using shared_command = std::shared_ptr<pending_command>;

redis_reply copy_of(const ::redisReply& reply)
{
    redis_reply copy;
    switch (reply.type) {
        case REDIS_REPLY_INTEGER:
            copy.is = redis_reply::kind::number;
            copy.number = reply.integer;
            break;
        case REDIS_REPLY_STRING:
        case REDIS_REPLY_STATUS:
        case REDIS_REPLY_ERROR:
            copy.is = redis_reply::kind::text;
            copy.text.assign(reply.str, static_cast<std::size_t>(reply.len));
            break;
        case REDIS_REPLY_ARRAY:
            copy.is = redis_reply::kind::array;
            for (std::size_t i = 0; i < static_cast<std::size_t>(reply.elements); ++i) {
                copy.elements.push_back(copy_of(*reply.element[i]));
            }
            break;
        default:
            break;
    }
    return copy;
}

// hiredis calls it once for each command: with the reply, or with none when the connection ends.
void on_reply(redisAsyncContext* context, void* answer, void* data)
{
    const std::unique_ptr<shared_command> held(static_cast<shared_command*>(data));
    auto& command = **held;
    if (answer == nullptr) {
        command.why_lost = context->err != 0 ? context->errstr : "the connection was closed";
    } else {
        const auto& reply = *static_cast<const ::redisReply*>(answer);
        command.reply = copy_of(reply);
        if (reply.type == REDIS_REPLY_ERROR) {
            command.error = command.reply->text;
        }
    }
    command.answered.set();
}

// hiredis writes to a connection that Redis has just closed, too, and the signal that comes of that
// would end this program. So it is an error like others.
void ignore_broken_pipes()
{
    struct sigaction now = {};
    if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
        std::signal(SIGPIPE, SIG_IGN);
    }
}

unsigned short checked_port(std::string_view text, std::string_view address)
{
    unsigned short port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0) {
        throw std::invalid_argument(
            fmt::format("'{}' is no address, such as 127.0.0.1:6379 or unix:PATH", address));
    }
    return port;
}

}  // namespace

redis_address::redis_address(std::string_view text) : text_(text)
{
    constexpr std::string_view unix_prefix = "unix:";
    if (text.starts_with(unix_prefix) && text.find('/') != std::string_view::npos) {
        path = text.substr(unix_prefix.size());
        return;
    }
    const auto colon = text.rfind(':');
    port = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    checked_port(port, text);
    host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    if (host.empty()) {
        checked_port("", text);
    }
}

// What hiredis knows of the event loop. It is shared with the handlers of waits that are under way:
// they come when the connection is gone, too.
class redis_connection::link : public std::enable_shared_from_this<link> {
public:
    link(asio::any_io_executor executor, redisAsyncContext* context)
        : socket_(std::move(executor)), context_(context)
    {
        if (context == nullptr) {
            throw std::bad_alloc();
        }
        if (context->err != 0) {
            const std::string reason = context->errstr;
            redisAsyncFree(context);
            throw connection_lost(reason);
        }
        ignore_broken_pipes();
        socket_.assign(context->c.fd);
    }

    // Apart from the constructor: hiredis asks for a wait at once, and that shares the link.
    void start()
    {
        context_->data = this;
        context_->ev.data = this;
        context_->ev.addRead = [](void* self) { of(self).want(of(self).read_); };
        context_->ev.delRead = [](void* self) { of(self).read_.wanted = false; };
        context_->ev.addWrite = [](void* self) { of(self).want(of(self).write_); };
        context_->ev.delWrite = [](void* self) { of(self).write_.wanted = false; };
        context_->ev.cleanup = [](void* self) { of(self).let_go(); };
        redisAsyncSetConnectCallback(context_, [](const redisAsyncContext* context, int status) {
            if (status != REDIS_OK) {
                of(context->data).why_ = context->errstr;
            }
        });
        redisAsyncSetDisconnectCallback(context_, [](const redisAsyncContext* context, int status) {
            if (status != REDIS_OK) {
                of(context->data).why_ = context->errstr;
            }
        });
    }

    bool open() const { return context_ != nullptr; }

    // Gives false where it is too late.
    bool send(const std::vector<std::string>& words, const shared_command& command)
    {
        std::vector<const char*> texts;
        std::vector<std::size_t> sizes;
        for (const auto& word : words) {
            texts.push_back(word.data());
            sizes.push_back(word.size());
        }
        auto held = std::make_unique<shared_command>(command);
        const bool sent =
            open() && redisAsyncCommandArgv(
                          context_, on_reply, held.get(), static_cast<int>(words.size()),
                          texts.data(), sizes.data()) == REDIS_OK;
        if (sent) {
            held.release();  // on_reply has it now
        }
        return sent;
    }

    void close(std::string why)
    {
        if (open()) {
            why_ = std::move(why);
            redisAsyncFree(context_);
        }
    }

    common::event& ended() { return ended_; }
    const std::string& why() const { return why_; }

private:
    // What hiredis waits for: that the socket can be read, or that it can be written.
    struct interest {
        descriptor_base::wait_type type;
        void (*handle)(redisAsyncContext*);
        bool wanted = false;
        bool waiting = false;  // a wait is under way
    };

    static link& of(void* self) { return *static_cast<link*>(self); }

    // Every wait is a fresh one, so what hiredis has left unread is seen again.
    void want(interest& what)
    {
        what.wanted = true;
        if (what.waiting) {
            return;
        }
        what.waiting = true;
        socket_.async_wait(
            what.type, [this, self = shared_from_this(), &what](boost::system::error_code error) {
                what.waiting = false;
                if (!open() || !what.wanted) {
                    return;
                }
                if (!error) {
                    what.handle(context_);  // may end it all
                }
                if (open() && what.wanted) {
                    want(what);
                }
            });
    }

    // hiredis is about to close the socket, and to free the context.
    void let_go()
    {
        context_ = nullptr;
        read_.wanted = write_.wanted = false;
        socket_.release();
        ended_.set();
    }

    asio::posix::stream_descriptor socket_;
    redisAsyncContext* context_;  // null when hiredis has freed it
    interest read_{descriptor_base::wait_read, redisAsyncHandleRead};
    interest write_{descriptor_base::wait_write, redisAsyncHandleWrite};
    common::event ended_;
    std::string why_ = "the connection was closed";
};

redis_connection::redis_connection(
    asio::any_io_executor executor, const std::string& host, unsigned short port)
    : link_(std::make_shared<link>(std::move(executor), redisAsyncConnect(host.c_str(), port)))
{
    link_->start();
}

redis_connection::redis_connection(asio::any_io_executor executor, const std::string& path)
    : link_(std::make_shared<link>(std::move(executor), redisAsyncConnectUnix(path.c_str())))
{
    link_->start();
}

redis_connection::~redis_connection()
{
    close("the connection was closed");
}

asio::awaitable<redis_reply> redis_connection::command(std::vector<std::string> words)
{
    const auto command = std::make_shared<pending_command>();
    if (!link_->send(words, command)) {
        throw connection_lost(link_->why());
    }
    co_await command->answered.wait();
    if (!command->reply) {
        throw connection_lost(command->why_lost);
    }
    if (command->error) {
        throw redis_error(*command->error);
    }
    co_return std::move(*command->reply);
}

bool redis_connection::open() const
{
    return link_->open();
}

asio::awaitable<void> redis_connection::wait_for_end()
{
    const auto alive = link_;
    co_await alive->ended().wait();
}

const std::string& redis_connection::why() const
{
    return link_->why();
}

void redis_connection::close(std::string why)
{
    link_->close(std::move(why));
}

}  // namespace task_queue
