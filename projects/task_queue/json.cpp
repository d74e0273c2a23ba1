#include "task_queue/json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/parse_options.hpp>
#include <boost/json/value.hpp>
#include <boost/system/error_code.hpp>

#include <fmt/format.h>

#include <stdexcept>

namespace json = boost::json;

namespace task_queue {

json::object parse_object(std::string_view text)
{
    json::parse_options options;
    options.allow_invalid_utf8 = true;
    boost::system::error_code error;
    const auto value = json::parse(text, error, {}, options);
    if (error || !value.is_object()) {
        throw std::runtime_error(fmt::format("this is no JSON object: {}", text));
    }
    return value.get_object();
}

}  // namespace task_queue
