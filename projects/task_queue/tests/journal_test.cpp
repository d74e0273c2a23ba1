// The journal and the queue on it: every cut, every flipped bit, compaction, and the lock.

#include "task_queue/journal.hpp"
#include "task_queue/file.hpp"
#include "task_queue/local_queue.hpp"
#include "task_queue/records.hpp"
#include "task_queue/tests/helpers.hpp"

#include "common/clock.hpp"
#include "common/run.hpp"
#include "common/task_group.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace asio = boost::asio;
namespace fs = std::filesystem;
using asio::awaitable;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using namespace std::chrono_literals;
using namespace task_queue;
using task_queue::tests::builtin_job;
using task_queue::tests::temporary_directory;

namespace {

using records = std::vector<std::string>;

void write_file(const fs::path& path, const std::string& bytes)
{
    std::ofstream(path, std::ios::binary) << bytes;
}

records records_in(const fs::path& path)
{
    return journal(path).take_records();
}

// While it lives, no file can grow beyond so many bytes.
class file_size_limit {
public:
    explicit file_size_limit(std::size_t bytes)
    {
        std::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        auto limit = before_;
        limit.rlim_cur = bytes;
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~file_size_limit() { ::setrlimit(RLIMIT_FSIZE, &before_); }
    file_size_limit(const file_size_limit&) = delete;
    file_size_limit& operator=(const file_size_limit&) = delete;

private:
    rlimit before_{};
};

bool directories_fail = false;  // see fsync()

// Another one after each rewrite.
ino_t inode_of(const fs::path& path)
{
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_ino;
}

// Awaits what needs no event loop of its own.
template <class T>
T now(awaitable<T> operation)
{
    return common::run(std::move(operation), common::clock_mode::steady);
}

void submit(queue_client& queue, job what)
{
    std::vector<job> jobs;
    jobs.push_back(std::move(what));
    now(queue.submit(std::move(jobs), task_queue::tell_nobody));
}

job append_job(const std::string& id)
{
    return builtin_job(id, {"append", "f", "t"});
}

}  // namespace

// In place of the system's: it fails for directories when a test wants it to.
extern "C" int fsync(int descriptor)
{
    struct stat status{};
    if (directories_fail && ::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
        errno = EIO;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

TEST_CASE("records come back as they went, also empty ones and such that look like others")
{
    const records all = {
        "one", "", std::string("\0\n\xff", 3), framed("inside"), std::string(100'000, 'x')};
    temporary_directory directory;
    {
        journal kept(directory / "j");
        kept.append({all[0], all[1]});
        kept.append({all[2], all[3], all[4]});
    }
    CHECK(records_in(directory / "j") == all);
}

TEST_CASE("a journal that is cut anywhere has the records that are whole, and takes new ones")
{
    temporary_directory directory;
    const records all = {"the first", "", "the third one", std::string("\0\0\0\0", 4), "last"};
    std::vector<std::size_t> ends;
    {
        journal kept(directory / "whole");
        ends.push_back(kept.size());
        for (const auto& record : all) {
            kept.append({record});
            ends.push_back(kept.size());
        }
    }
    const auto bytes = read_file(directory / "whole");
    REQUIRE(bytes.size() == ends.back());

    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        INFO("cut at " << cut);
        const auto path = directory / "cut";
        write_file(path, bytes.substr(0, cut));
        records expected;
        while (expected.size() < all.size() && ends[expected.size() + 1] <= cut) {
            expected.push_back(all[expected.size()]);
        }
        CHECK(read_journal(path) == expected);
        {
            journal reopened(path);
            CHECK(reopened.torn_bytes() == (cut < ends[0] ? 0 : cut - ends[expected.size()]));
            CHECK(reopened.take_records() == expected);
            reopened.append({"after the crash"});
        }
        expected.push_back("after the crash");
        CHECK(records_in(path) == expected);
    }
}

TEST_CASE(
    "a byte that has changed is never taken for a record: the end is dropped, or it is refused")
{
    temporary_directory directory;
    const records all = {"the first", "the second", "the third"};
    {
        journal kept(directory / "whole");
        kept.append(all);
    }
    const auto bytes = read_file(directory / "whole");
    const auto last = bytes.size() - framed(all.back()).size();
    const auto magic = bytes.find('\n') + 1;
    for (std::size_t place = 0; place < bytes.size(); ++place) {
        INFO("byte " << place);
        auto changed = bytes;
        changed[place] = static_cast<char>(changed[place] ^ 0x10);
        const auto path = directory / "changed";
        write_file(path, changed);
        if (place < magic) {
            CHECK_THROWS_WITH(journal(path), ContainsSubstring("is no journal"));
            CHECK(read_file(path) == changed);
        } else if (place < last) {
            CHECK_THROWS_WITH(journal(path), ContainsSubstring("damaged at byte"));
            CHECK(read_file(path) == changed);
        } else {
            CHECK(records_in(path) == records{all[0], all[1]});
        }
    }
}

TEST_CASE("zeros at the end, as a file system can leave them, are dropped")
{
    temporary_directory directory;
    {
        journal kept(directory / "j");
        kept.append({"one"});
    }
    for (const std::size_t zeros : {1U, 7U, 8U, 9U, 4096U}) {
        write_file(directory / "z", read_file(directory / "j") + std::string(zeros, '\0'));
        CHECK(records_in(directory / "z") == records{"one"});
    }
}

TEST_CASE("a file that is no journal is refused, and left as it is")
{
    temporary_directory directory;
    write_file(directory / "letter", "dear reader\n");
    CHECK_THROWS_WITH(journal(directory / "letter"), ContainsSubstring("is no journal"));
    CHECK(read_file(directory / "letter") == "dear reader\n");
}

TEST_CASE("a journal has one owner at a time")
{
    temporary_directory directory;
    {
        const journal first(directory / "j");
        CHECK_THROWS_WITH(journal(directory / "j"), ContainsSubstring("belongs to a worker"));
        CHECK(read_journal(directory / "j").empty());  // whoever only reads may
    }
    CHECK_NOTHROW(journal(directory / "j"));
}

TEST_CASE("a journal that is rewritten has the new records, takes more, and keeps its lock")
{
    temporary_directory directory;
    {
        journal kept(directory / "j");
        kept.append({"one", "two", "three"});
        kept.rewrite({"six"});
        CHECK_THROWS_WITH(journal(directory / "j"), ContainsSubstring("belongs to a worker"));
        kept.append({"seven"});
        CHECK(kept.size() == fs::file_size(directory / "j"));
    }
    CHECK(records_in(directory / "j") == records{"six", "seven"});
}

TEST_CASE("a journal that is rewritten is as private as it was")
{
    const temporary_directory directory;
    const auto path = directory / "j";
    journal kept(path);
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    kept.rewrite({"a"});
    CHECK(fs::status(path).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("a journal that is opened through a link is the one that the link leads to")
{
    const temporary_directory directory;
    const fs::path path = directory / "j";
    const fs::path link = directory / "link";
    {
        const journal made(path);
    }
    fs::create_symlink(path, link);
    {
        journal by_link(link);
        CHECK_THROWS_WITH(journal(path), ContainsSubstring("belongs to a worker"));
        by_link.rewrite({"a", "b"});
    }
    CHECK(fs::is_symlink(link));
    CHECK(spool(link).directory() == spool(path).directory());
    CHECK(records_in(path) == records{"a", "b"});
}

TEST_CASE("a journal that is made through links is the one that they lead to, with its spool")
{
    const temporary_directory directory;
    fs::create_directory(directory / "place");
    const auto link = directory / "link";
    const auto path = directory / "place/j";
    fs::create_symlink("place/next", link);
    fs::create_symlink("j", directory / "place/next");
    spool_client client(link);
    submit(client, append_job("early"));
    CHECK_FALSE(fs::exists(path));

    const local_queue queue(link);
    CHECK(queue.jobs().size() == 1);
    CHECK(queue.kept_in()->path() == fs::canonical(path));
    CHECK_THROWS_WITH(journal(path), ContainsSubstring("belongs to a worker"));
    CHECK(fs::is_symlink(link));
    for (const std::string beside : {".lock", ".spool"}) {
        CHECK(fs::exists(path.string() + beside));
        CHECK_FALSE(fs::exists(link.string() + beside));
    }
}

TEST_CASE("links that lead in a circle are an error")
{
    const temporary_directory directory;
    fs::create_symlink("b", directory / "a");
    fs::create_symlink("a", directory / "b");
    CHECK_THROWS_WITH(journal(directory / "a"), ContainsSubstring("Too many levels"));
    CHECK_THROWS_WITH(spool(directory / "b"), ContainsSubstring("Too many levels"));
}

TEST_CASE("a crash in the middle of a rewrite leaves the journal as it was")
{
    temporary_directory directory;
    {
        journal kept(directory / "j");
        kept.append({"one", "two"});
    }
    const auto whole = read_file(directory / "j");
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
        write_file(directory / "j.tmp", whole.substr(0, cut));  // it died before the rename
        CHECK(records_in(directory / "j") == records{"one", "two"});
    }
    journal kept(directory / "j");
    kept.rewrite({"three"});
    CHECK_FALSE(fs::exists(directory / "j.tmp"));
    CHECK(read_journal(directory / "j") == records{"three"});
}

TEST_CASE("a rewrite that fails leaves the journal as it was, and nothing beside it")
{
    temporary_directory directory;
    const auto path = directory / "j";
    journal kept(path);
    kept.append({"one"});
    {
        const file_size_limit limit(kept.size() + 20);
        CHECK_THROWS_AS(kept.rewrite({std::string(100, 'x')}), std::system_error);
    }
    CHECK_FALSE(fs::exists(directory / "j.tmp"));
    CHECK(read_journal(path) == records{"one"});
    kept.append({"two"});
    CHECK(read_journal(path) == records{"one", "two"});
}

TEST_CASE("after a rewrite that a crash could undo, nothing can be appended")
{
    temporary_directory directory;
    const auto path = directory / "j";
    journal kept(path);
    kept.append({"one"});
    directories_fail = true;
    CHECK_THROWS_AS(kept.rewrite({"two"}), std::system_error);
    directories_fail = false;
    CHECK(read_journal(path) == records{"two"});
    CHECK_THROWS_WITH(kept.append({"three"}), ContainsSubstring("could not be written"));
    CHECK(read_journal(path) == records{"two"});

    kept.rewrite({"four"});
    kept.append({"five"});
    CHECK(read_journal(path) == records{"four", "five"});
}

TEST_CASE("what could not be written whole is dropped, and nothing is written behind it")
{
    temporary_directory directory;
    const auto path = directory / "j";
    {
        journal kept(path);
        kept.append({"one"});
        {
            const file_size_limit limit(kept.size() + 20);
            CHECK_THROWS_AS(kept.append({std::string(100, 'x')}), std::system_error);
        }
        CHECK_THROWS_WITH(kept.append({"two"}), ContainsSubstring("could not be written"));
    }
    CHECK(fs::file_size(path) > framed("one").size() + 21);  // part of it is there
    CHECK(records_in(path) == records{"one"});
}

TEST_CASE("a queue goes on after a restart where it was, with everything about each job")
{
    temporary_directory directory;
    const auto path = directory / "j";
    auto rich = append_job("rich");
    rich.words = {"append", "a \"file\"\n", "not UTF-8: \xff\xfe, and \x01"};
    rich.urgency = priority::high;
    rich.delay = 1h;
    rich.lifetime = 2h;
    rich.max_tries = 9;
    rich.time_limit = 3s;
    rich.backoff = 7ms;
    rich.longest_backoff = 8ms;
    auto hopeless = append_job("hopeless");
    hopeless.max_tries = 1;
    hopeless.urgency = priority::high;
    std::optional<job_entry> before;
    {
        local_queue queue(path);
        submit(queue, append_job("simple"));
        submit(queue, rich);
        submit(queue, hopeless);
        const auto taken = now(queue.try_take());
        REQUIRE(taken->what.id == "hopeless");
        CHECK(now(queue.failed(*taken, "no \"luck\"", 1s)) == after_failure::dead);
        submit(queue, append_job("done"));
        const auto simple = now(queue.try_take());
        REQUIRE(simple->what.id == "simple");
        CHECK(now(queue.failed(*simple, "later", 1h)) == after_failure::again);
        now(queue.done(*now(queue.try_take())));
        before = *queue.jobs().find("rich");
    }
    local_queue queue(path);
    const auto& jobs = queue.jobs();
    CHECK(jobs.size() == 3);
    CHECK(jobs.done() == 1);
    CHECK(jobs.find("hopeless")->state == job_state::dead);
    CHECK(jobs.find("hopeless")->error == "no \"luck\"");
    CHECK(jobs.find("simple")->state == job_state::delayed);
    CHECK(jobs.find("simple")->tries == 1);
    const auto* const after = jobs.find("rich");
    REQUIRE(after != nullptr);
    CHECK(after->what.words == rich.words);
    CHECK(to_json(after->what) == to_json(rich));
    CHECK(after->since == before->since);
    CHECK(after->deadline == before->deadline);
}

TEST_CASE("at every cut of its journal, a queue has each job exactly as far as was written down")
{
    temporary_directory directory;
    const auto path = directory / "j";
    {
        local_queue queue(path);
        submit(queue, append_job("a"));
        submit(queue, append_job("b"));
        const auto a = now(queue.try_take());
        now(queue.done(*a));
        const auto b = now(queue.try_take());
        now(queue.failed(*b, "no", 0ms));
        now(queue.done(*now(queue.try_take())));
    }
    const auto bytes = read_file(path);
    fs::remove_all(directory / "j.spool");
    std::size_t longest = 0;
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        INFO("cut at " << cut);
        write_file(path, bytes.substr(0, cut));
        const auto whole = read_journal(path).size();  // changes that were written whole
        local_queue queue(path);
        const auto& jobs = queue.jobs();
        longest = std::max(longest, whole);
        // put a, put b, a started, a done, b started, b failed, b started, b done
        CHECK(jobs.size() == std::vector<std::size_t>{0, 1, 2, 2, 1, 1, 1, 1, 0}[whole]);
        CHECK(jobs.done() == std::vector<std::size_t>{0, 0, 0, 0, 1, 1, 1, 1, 2}[whole]);
        CHECK(jobs.running() == 0);  // whoever was running runs again
        if (const auto* const b = jobs.find("b")) {
            CHECK(b->tries == std::vector<int>{0, 0, 0, 0, 0, 1, 1, 2}[whole]);
        }
    }
    CHECK(longest == 8);
}

TEST_CASE("a job that has taken its worker down at each of its tries is a dead letter")
{
    temporary_directory directory;
    auto poison = append_job("poison");
    poison.max_tries = 3;
    for (int crash = 0; crash < 3; ++crash) {
        local_queue queue(directory / "j");
        if (crash == 0) {
            submit(queue, poison);
        }
        const auto taken = now(queue.try_take());
        REQUIRE(taken);
        CHECK(taken->tries == crash + 1);
    }  // without a report
    local_queue queue(directory / "j");
    CHECK_FALSE(now(queue.try_take()));
    REQUIRE(queue.jobs().find("poison")->state == job_state::dead);
    CHECK(queue.jobs().find("poison")->error == "its worker died");
}

TEST_CASE("a long journal is rewritten, and says the same")
{
    temporary_directory directory;
    const auto path = directory / "j";
    const int rounds = 30;
    const int jobs_a_round = 100;
    {
        local_queue queue(path);
        auto waits = append_job("waits");
        waits.delay = 1h;
        submit(queue, waits);
        for (int i = 0; i < rounds; ++i) {
            std::vector<job> jobs;
            for (int j = 0; j < jobs_a_round; ++j) {
                jobs.push_back(append_job(fmt::format("{}/{}", i, j)));
                jobs.back().words[2] = std::string(500, 'x');
            }
            now(queue.submit(std::move(jobs), task_queue::tell_nobody));
            for (int j = 0; j < jobs_a_round; ++j) {
                now(queue.done(*now(queue.try_take())));
            }
        }
        CHECK(queue.kept_in()->size() < 1'200'000);
        CHECK(fs::file_size(path) == queue.kept_in()->size());
    }
    local_queue queue(path);
    CHECK(queue.jobs().done() == rounds * jobs_a_round);
    CHECK(queue.jobs().size() == 1);
}

TEST_CASE("a journal that is long because its jobs are is not rewritten again and again")
{
    temporary_directory directory;
    const auto path = directory / "j";
    local_queue queue(path);
    std::vector<job> jobs;
    for (int i = 0; i < 300; ++i) {
        jobs.push_back(append_job(std::to_string(i)));
        jobs.back().words[2] = std::string(5000, 'x');
    }
    now(queue.submit(std::move(jobs), task_queue::tell_nobody));
    int rewrites = 0;
    for (int i = 0; i < 300; ++i) {
        const auto before = inode_of(path);
        now(queue.done(*now(queue.try_take())));
        rewrites += inode_of(path) != before ? 1 : 0;
    }
    CHECK(rewrites == 1);
}

TEST_CASE("a queue whose journal cannot be rewritten goes on with the long one")
{
    temporary_directory directory;
    const auto path = directory / "j";
    {
        local_queue queue(path);
        std::vector<job> jobs(1, append_job("long"));
        jobs[0].words[2] = std::string(1'100'000, 'x');
        jobs.push_back(append_job("next"));
        now(queue.submit(std::move(jobs), task_queue::tell_nobody));
        fs::create_directory(directory / "j.tmp");  // in its way
        now(queue.done(*now(queue.try_take())));
        now(queue.done(*now(queue.try_take())));
        CHECK(queue.kept_in()->size() > 1'100'000);
        fs::remove(directory / "j.tmp");
    }
    const local_queue queue(path);
    CHECK(queue.jobs().done() == 2);
    CHECK(queue.kept_in()->size() < 1000);
}

TEST_CASE("what another program leaves in the spool is known to status at once, and to the queue")
{
    temporary_directory directory;
    const auto path = directory / "j";
    spool_client client(path);
    submit(client, append_job("a"));
    submit(client, append_job("b"));
    CHECK(now(client.status()).waiting[1] == 2);

    local_queue queue(path);
    CHECK(queue.jobs().size() == 2);
    CHECK(fs::is_empty(directory / "j.spool"));
    CHECK(now(client.status()).waiting[1] == 2);
    now(queue.done(*now(queue.try_take())));
    CHECK(now(client.status()).waiting[1] == 1);
    CHECK(now(client.status()).done == 1);
}

TEST_CASE("a queue whose spool is removed says so, since it would not see what is submitted")
{
    temporary_directory directory;
    local_queue queue(directory / "j");
    const auto main = [&]() -> awaitable<void> {
        co_await common::with_task_group([&](common::task_group& both) -> awaitable<void> {
            both.spawn(queue.run());
            fs::remove(directory / "j.spool");
            co_await common::sleep_for(10s);
            both.cancel();
        });
    };
    std::string reason;
    try {
        now(main());
    } catch (const common::exception_group& failures) {
        reason = failures.what();
    }
    CHECK_THAT(reason, ContainsSubstring("j.spool has been removed"));
}

TEST_CASE("a letter that comes back after a crash makes no job twice")
{
    temporary_directory directory;
    const auto path = directory / "j";
    spool_client client(path);
    submit(client, append_job("a"));
    const auto letters = spool(path).letters();
    REQUIRE(letters.size() == 1);
    const auto bytes = read_file(letters[0].path);
    {
        const local_queue queue(path);
    }
    write_file(letters[0].path, bytes);  // it died before it was removed
    CHECK(now(client.status()).waiting[1] == 1);
    local_queue queue(path);
    CHECK(queue.jobs().size() == 1);
}

TEST_CASE("a letter that cannot be written into the journal stays where it is")
{
    temporary_directory directory;
    const auto path = directory / "j";
    spool_client client(path);
    submit(client, append_job("a"));
    {
        const file_size_limit limit(50);
        CHECK_THROWS_AS(local_queue(path), std::system_error);
    }
    CHECK(now(client.status()).waiting[1] == 1);
    const local_queue queue(path);
    CHECK(queue.jobs().size() == 1);
}

TEST_CASE("a letter that could not be written whole leaves nothing behind")
{
    temporary_directory directory;
    const auto path = directory / "j";
    spool_client client(path);
    {
        const file_size_limit limit(50);
        CHECK_THROWS_AS(submit(client, append_job("a")), std::system_error);
    }
    CHECK(fs::is_empty(directory / "j.spool"));
}

TEST_CASE(
    "a letter that is not finished is not read, and neither delivered nor removed before its time")
{
    temporary_directory directory;
    const auto path = directory / "j";
    const spool letters(path);
    letters.create();
    write_file(letters.directory() / "0-x.letter.tmp", "half a");
    local_queue queue(path);
    CHECK(queue.jobs().size() == 0);
    CHECK(fs::exists(letters.directory() / "0-x.letter.tmp"));

    fs::last_write_time(
        letters.directory() / "0-x.letter.tmp", fs::file_time_type::clock::now() - 25h);
    letters.remove_leftovers();
    CHECK_FALSE(fs::exists(letters.directory() / "0-x.letter.tmp"));
}

TEST_CASE("another program requeues and forgets dead letters, and no others")
{
    temporary_directory directory;
    const auto path = directory / "j";
    spool_client client(path);
    {
        local_queue queue(path);
        for (const auto* const id : {"a", "b", "c"}) {
            auto hopeless = append_job(id);
            hopeless.max_tries = 1;
            submit(queue, hopeless);
        }
        for (int i = 0; i < 2; ++i) {
            now(queue.failed(*now(queue.try_take()), "no", 0ms));
        }
    }
    REQUIRE(now(client.dead()).size() == 2);
    CHECK(now(client.dead())[0].error == "no");
    CHECK(now(task_queue::tests::requeue(client, "a")));
    CHECK_FALSE(now(task_queue::tests::requeue(client, "a")));
    CHECK(now(task_queue::tests::forget(client, "b")));
    CHECK_FALSE(now(task_queue::tests::forget(client, "c")));
    CHECK_FALSE(now(task_queue::tests::requeue(client, "no such id")));

    local_queue queue(path);
    CHECK(queue.jobs().dead() == 0);
    CHECK(queue.jobs().find("a")->state == job_state::waiting);
    CHECK(queue.jobs().find("a")->tries == 0);
    CHECK(queue.jobs().find("b") == nullptr);
}
