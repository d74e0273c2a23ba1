#include "common/detail/child_group.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/multiple_exceptions.hpp>
#include <boost/system/system_error.hpp>

namespace asio = boost::asio;

namespace common::detail {

std::exception_ptr aborted()
{
    return std::make_exception_ptr(
        boost::system::system_error(make_error_code(asio::error::operation_aborted)));
}

bool is_abort(const std::exception_ptr& failure)
{
    try {
        std::rethrow_exception(failure);
    } catch (const boost::system::system_error& error) {
        return error.code() == asio::error::operation_aborted;
    } catch (const asio::multiple_exceptions& several) {
        return is_abort(several.first_exception());
    } catch (...) {
        return false;
    }
}

}  // namespace common::detail
