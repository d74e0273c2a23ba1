#include "web_scraper/files.hpp"

#include <cerrno>
#include <cstddef>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdlib>

namespace web_scraper {

namespace {

// The new file, until it has its name. Destroyed before that, it is removed.
class temporary_file {
public:
    explicit temporary_file(const std::filesystem::path& beside)
        : target_(beside),
          name_(beside.string() + ".XXXXXX"),
          descriptor_(::mkostemp(name_.data(), O_CLOEXEC))
    {
        if (descriptor_ < 0) {
            fail();
        }
    }

    ~temporary_file()
    {
        ::close(descriptor_);
        if (!renamed_) {
            ::unlink(name_.c_str());
        }
    }

    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;

    // In blocks, for the parts of a text are often a word.
    void add(std::string_view text)
    {
        waiting_ += text;
        if (waiting_.size() >= block) {
            flush();
        }
    }

    void flush()
    {
        write(waiting_);
        waiting_.clear();
    }

    void write(std::string_view text)
    {
        while (!text.empty()) {
            const auto written = ::write(descriptor_, text.data(), text.size());
            if (written >= 0) {
                text.remove_prefix(static_cast<std::size_t>(written));
            } else if (errno != EINTR) {
                fail();
            }
        }
    }

    void take_its_name()
    {
        // mkostemp makes a file for its owner alone; here it gets the usual rights.
        const auto mask = ::umask(0);
        ::umask(mask);
        if (::fchmod(descriptor_, 0666 & ~mask) != 0 || ::fsync(descriptor_) != 0 ||
            ::rename(name_.c_str(), target_.c_str()) != 0) {
            fail();
        }
        renamed_ = true;
    }

private:
    static constexpr std::size_t block = 64 * 1024;

    [[noreturn]] void fail() const
    {
        throw std::system_error(errno, std::generic_category(), target_.string());
    }

    const std::filesystem::path target_;
    std::string name_;
    const int descriptor_;
    std::string waiting_;  // what is added and not written
    bool renamed_ = false;
};

}  // namespace

void make_folder(const std::filesystem::path& folder)
{
    std::filesystem::create_directories(folder);
    try {
        temporary_file trial(folder / "trial");
        trial.write("x");  // on a full disk there may be room for a name, and for nothing in it
    } catch (const std::system_error& error) {
        throw std::system_error(error.code(), "no file can be written in " + folder.string());
    }
}

void write_file(
    const std::filesystem::path& file, const std::function<void(const text_sink&)>& text)
{
    temporary_file next(file);
    text([&next](std::string_view part) { next.add(part); });
    next.flush();
    next.take_its_name();
}

}  // namespace web_scraper
