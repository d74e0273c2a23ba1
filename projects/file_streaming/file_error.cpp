#include "file_streaming/file_error.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace file_streaming {

file_error::file_error(std::string_view name, std::string_view reason)
    : runtime_error(fmt::format("{}: {}", printable(name), reason))
{
}

file_error::file_error(std::string_view name, int number)
    : file_error(name, std::generic_category().message(number))
{
}

void throw_error(std::string_view name, boost::system::error_code error)
{
    if (error == boost::asio::error::operation_aborted) {
        throw boost::system::system_error(error);
    }
    throw file_error(name, error.message());
}

std::string printable(std::string_view name)
{
    std::string text(name);
    const auto is_control = [](char character) {
        return static_cast<unsigned char>(character) < ' ' || character == '\x7f';
    };
    std::replace_if(text.begin(), text.end(), is_control, '?');
    return text;
}

}  // namespace file_streaming
