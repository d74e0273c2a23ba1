#include "common/timeout.hpp"

namespace common {

timeout_error::timeout_error() : std::runtime_error("timed out") {}

}  // namespace common
