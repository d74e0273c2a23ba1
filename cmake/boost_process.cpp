// Boost.Process v2's own sources, for Boost before 1.86: boost_process.cmake says why.

#include <boost/process/v2/src.hpp>
