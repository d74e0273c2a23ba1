#include "file_streaming/checksum.hpp"

#include "file_streaming/together.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <stdexcept>

using boost::asio::awaitable;

namespace file_streaming {

namespace {

class hasher {
public:
    hasher() : context_(EVP_MD_CTX_new())
    {
        if (!context_) {
            throw std::bad_alloc();
        }
        check(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
    }

    void add(std::span<const std::byte> bytes)
    {
        check(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
    }

    std::string hexadecimal()
    {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned int size = 0;
        check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size));
        std::string digits;
        for (const auto byte : std::span(digest).first(size)) {
            digits += fmt::format("{:02x}", byte);
        }
        return digits;
    }

private:
    struct free_context {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };

    static void check(int succeeded)
    {
        if (succeeded != 1) {
            throw std::runtime_error("OpenSSL cannot compute a SHA-256");
        }
    }

    const std::unique_ptr<EVP_MD_CTX, free_context> context_;
};

// One job at a time, so no two threads are in the hasher at once.
awaitable<void> hash_all(engine& with, block_stream& blocks, hasher& sum, progress& work)
{
    while (block* const full = co_await blocks.next()) {
        const std::function<void()> hash = [&sum, full] { sum.add(full->bytes()); };
        co_await with.run(hash);
        work.add(full->bytes().size());
        blocks.give_back(*full);
    }
}

}  // namespace

awaitable<std::string> sha256(engine& with, const source& from, block_limits limits, progress& work)
{
    const auto in = with.attach(from.file(), from.path());
    block_stream blocks(from, *in, limits);
    hasher sum;

    const auto read_and_hash = [&](common::task_group& group) -> awaitable<void> {
        group.spawn(blocks.read_ahead(group, holes::read, work));
        co_await hash_all(with, blocks, sum, work);
    };
    co_await together(read_and_hash);
    from.require_unchanged();
    co_return sum.hexadecimal();
}

// A name with a newline would be two lines. Then sha256sum puts a backslash before the line, and
// writes newlines, returns and backslashes as \n, \r and \\.
std::string checksum_line(std::string_view digits, std::string_view path)
{
    std::string name;
    for (const char character : path) {
        switch (character) {
            case '\n':
                name += "\\n";
                break;
            case '\r':
                name += "\\r";
                break;
            case '\\':
                name += "\\\\";
                break;
            default:
                name += character;
        }
    }
    return fmt::format("{}{}  {}\n", name == path ? "" : "\\", digits, name);
}

}  // namespace file_streaming
