// A PostgreSQL of the test's own: made in a temporary folder, reached through a socket there, and
// gone with the object. It refuses to run as root, so there it is run as the user postgres.

#pragma once

#include "common/temporary_folder.hpp"
#include "tests/support/document.hpp"
#include "tests/support/program.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <libpq-fe.h>
#include <pwd.h>
#include <sys/types.h>
#include <unistd.h>

namespace tests {

class postgres_server {
public:
    // Where the programs are, or "" when PostgreSQL is not installed.
    static std::string programs()
    {
        std::vector<std::filesystem::path> found;
        const std::filesystem::path versions = "/usr/lib/postgresql";
        if (std::filesystem::is_directory(versions)) {
            for (const auto& version : std::filesystem::directory_iterator(versions)) {
                if (std::filesystem::exists(version.path() / "bin" / "initdb")) {
                    found.push_back(version.path() / "bin");
                }
            }
        }
        return found.empty() ? "" : std::max_element(found.begin(), found.end())->string();
    }

    explicit postgres_server(std::vector<std::string> settings = {})
        : settings_(std::move(settings))
    {
        if (::geteuid() == 0) {
            const auto* const user = ::getpwnam("postgres");
            if (user == nullptr ||
                ::chown(folder_.path().c_str(), user->pw_uid, user->pw_gid) != 0) {
                throw std::runtime_error("cannot become the user postgres");
            }
        }
        if (std::filesystem::exists(kept_cluster())) {
            copy(kept_cluster(), data());
        } else {
            make_cluster();
            keep_cluster();
        }
        start();
    }

    ~postgres_server()
    {
        thaw();
        stop(SIGQUIT);
    }

    void start()
    {
        std::vector<std::string> command = {programs() + "/postgres", "-D", data(), "-k", folder()};
        for (const auto* const setting :
             {"listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_wal_size=200MB",
              "dynamic_shared_memory_type=mmap", "autovacuum=off"}) {
            command.insert(command.end(), {"-c", setting});
        }
        for (const auto& setting : settings_) {
            command.insert(command.end(), {"-c", setting});
        }
        server_.emplace(program(), as_postgres(std::move(command)));
        while (::PQping(conninfo().c_str()) != PQPING_OK) {
            if (!server_->running()) {
                throw std::runtime_error("postgres: " + server_->wait().err);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }

    // SIGINT breaks off what is under way, and shuts down in good order. SIGQUIT leaves at once,
    // and the next start recovers. Returns when the server is gone.
    void stop(int signal)
    {
        if (server_) {
            server_->signal(signal);
            server_->wait();
            server_.reset();
        }
    }

    // Stops all of its processes where they stand. The system still takes connections for it, and
    // nobody answers. The first process goes first, so that it starts no more of them.
    void freeze()
    {
        server_->signal(SIGSTOP);
        while (server_->running() && support::process_state(server_->id()) != 'T') {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        signal_children(SIGSTOP);
    }

    void thaw()
    {
        if (server_ && server_->running()) {
            signal_children(SIGCONT);
            server_->signal(SIGCONT);
        }
    }

    std::string folder() const { return folder_.path(); }
    std::string socket() const { return folder() + "/.s.PGSQL.5432"; }
    std::string conninfo() const { return conninfo_through(folder()); }

    static std::string conninfo_through(const std::string& hosts)
    {
        return fmt::format("host={} port=5432 user=postgres dbname=postgres", hosts);
    }

private:
    static std::string program() { return "/usr/bin/setpriv"; }

    std::string data() const { return folder() + "/data"; }

    // initdb takes two seconds of a processor. So the first test to need a cluster, the files of a
    // server, leaves a copy of its own in the build folder, and the others take that.
    static std::filesystem::path kept_cluster()
    {
        const auto version = std::filesystem::path(programs()).parent_path().filename();
        const auto name = fmt::format("postgresql-{}-{}", version.string(), ::geteuid());
        return std::filesystem::path(PROGRAM).parent_path() / name;
    }

    void make_cluster() const
    {
        const auto made = support::run_program(
            program(),
            as_postgres(
                {programs() + "/initdb", "-D", data(), "-U", "postgres", "-A", "trust", "-E",
                 "UTF8", "--locale=C", "--wal-segsize=1", "--no-sync", "--no-instructions"}));
        if (made.status != 0) {
            throw std::runtime_error("initdb: " + made.err);
        }
    }

    // The name is there with all of the files or not at all. Tests that begin at the same time each
    // make one; the first to be done is kept.
    void keep_cluster() const
    {
        const auto kept = kept_cluster();
        const auto part = fmt::format("{}.{}", kept.string(), ::getpid());
        copy(data(), part);
        std::error_code there_is_one;
        std::filesystem::rename(part, kept, there_is_one);
        if (there_is_one) {
            std::filesystem::remove_all(part);
        }
    }

    // With its owner and modes, on which PostgreSQL insists.
    static void copy(const std::filesystem::path& from, const std::filesystem::path& to)
    {
        support::program_options options;
        options.arguments = {"-a", from.string(), to.string()};
        const auto copied = support::run_program("/usr/bin/cp", options);
        if (copied.status != 0) {
            throw std::runtime_error(copied.err);
        }
    }

    void signal_children(int signal)
    {
        std::istringstream children(
            support::read_file(fmt::format("/proc/{0}/task/{0}/children", server_->id())));
        for (pid_t child = 0; children >> child;) {
            ::kill(child, signal);
        }
    }

    // When the test is killed, setpriv has the server leave at once, too.
    static support::program_options as_postgres(std::vector<std::string> command)
    {
        support::program_options options;
        options.deadline = std::chrono::minutes(10);
        options.arguments = {"--pdeathsig", "QUIT"};
        if (::geteuid() == 0) {
            options.arguments.insert(
                options.arguments.end(), {"--reuid=postgres", "--regid=postgres", "--init-groups"});
        }
        options.arguments.insert(options.arguments.end(), command.begin(), command.end());
        return options;
    }

    common::temporary_folder folder_;
    const std::vector<std::string> settings_;
    std::optional<support::background_program> server_;
};

}  // namespace tests
