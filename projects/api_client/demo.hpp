// What the client does when things go wrong, shown with a server in the same program that makes
// them go wrong.

#pragma once

#include <boost/asio/awaitable.hpp>

namespace api {

// Prints what the server hears and what the client makes of it, in scenes of a few lines.
boost::asio::awaitable<void> demonstrate();

}  // namespace api
