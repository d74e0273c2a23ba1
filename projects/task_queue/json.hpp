// What job.cpp and job_table.cpp need of Boost.JSON.

#pragma once

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <string_view>

namespace task_queue {

// Throws std::runtime_error when the text is no JSON object. Strings may have bytes in them that
// are not UTF-8: the name of a file can.
boost::json::object parse_object(std::string_view text);

}  // namespace task_queue
