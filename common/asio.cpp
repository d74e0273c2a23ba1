// Asio's own sources, compiled here once. Everybody else sees BOOST_ASIO_SEPARATE_COMPILATION and
// takes the declarations only, which is what keeps a lesson's compilation short.

#include <boost/asio/impl/src.hpp>
