#include "common/command_line.hpp"

#include "common/run.hpp"

#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace common {

namespace {

std::string_view name_of(const subcommand& command)
{
    return command.usage.substr(0, command.usage.find(' '));
}

std::size_t arguments_of(const subcommand& command)
{
    return static_cast<std::size_t>(std::count(command.usage.begin(), command.usage.end(), ' '));
}

std::string usage_text(std::string_view program, const std::vector<subcommand>& commands)
{
    std::size_t width = 0;
    for (const auto& each : commands) {
        width = std::max(width, each.usage.size());
    }
    std::string text = fmt::format("usage: {} [COMMAND]\n\n", program);
    for (const auto& each : commands) {
        text +=
            fmt::format("  {:<{}}  {}\n", each.usage.empty() ? "-" : each.usage, width, each.help);
    }
    return text;
}

const subcommand& command_named(const std::string& name, const std::vector<subcommand>& commands)
{
    const auto found = std::find_if(
        commands.begin(), commands.end(), [&](const auto& each) { return name_of(each) == name; });
    if (found == commands.end()) {
        throw usage_error(
            name.empty() ? "a command is missing" : fmt::format("there is no command '{}'", name));
    }
    return *found;
}

void run_named(arguments words, const std::vector<subcommand>& commands)
{
    const auto name = words.empty() ? std::string() : words.front();
    if (!words.empty()) {
        words.erase(words.begin());
    }
    const auto& chosen = command_named(name, commands);
    if (words.size() != arguments_of(chosen)) {
        throw usage_error(fmt::format("it is '{}'", chosen.usage));
    }
    run(chosen.coroutine(std::move(words)),
        chosen.clock ? *chosen.clock : clock_mode_from_environment());
}

}  // namespace

int run_command(int argc, char** argv, const std::vector<subcommand>& commands)
{
    open_standard_streams();
    const std::string_view path = argc > 0 ? argv[0] : "";
    const auto program = path.substr(path.rfind('/') + 1);
    const arguments words(argv + std::min(argc, 1), argv + argc);

    try {
        if (words.size() == 1 && (words[0] == "--help" || words[0] == "-h" || words[0] == "help")) {
            fmt::print("{}", usage_text(program, commands));
            return 0;
        }
        run_named(words, commands);
        return 0;
    } catch (const usage_error& refusal) {
        complain(program, fmt::format("{}; see {} --help", refusal.what(), program));
        return 2;
    } catch (const boost::system::system_error& failure) {
        complain(program, failure.code().message());
    } catch (const std::exception& failure) {
        complain(program, failure.what());
    }
    return 1;
}

void open_standard_streams()
{
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(stream, F_GETFD) == -1 && errno == EBADF) {
            ::open("/dev/null", O_RDWR);  // takes the lowest descriptor that is free: this one
        }
    }
}

void complain(std::string_view program, std::string_view message)
{
    std::fputs(fmt::format("{}: {}\n", program, message).c_str(), stderr);
}

unsigned short parse_port(std::string_view text)
{
    unsigned short port = 0;
    const auto* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, port);
    if (error != std::errc() || stop != end) {
        throw usage_error(fmt::format("'{}' is no port; ports are 0 to 65535", text));
    }
    return port;
}

}  // namespace common
