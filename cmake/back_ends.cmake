# How Asio waits for sockets is chosen when it is compiled. The library `common` has what Asio chooses by
# itself, which is epoll on Linux. This adds common_select and, where liburing is, common_io_uring.
# `back_ends` lists the libraries that there are.
option(BACK_ENDS "Build what is tested on other builds of Asio, too: select, io_uring, handler tracking" ON)

set(back_ends common)
if(BACK_ENDS)
    add_common(common_select BOOST_ASIO_DISABLE_EPOLL)
    list(APPEND back_ends common_select)

    find_library(URING_LIBRARY uring)
    find_path(URING_INCLUDE_DIR liburing.h)
    if(URING_LIBRARY AND URING_INCLUDE_DIR)
        add_common(common_io_uring BOOST_ASIO_DISABLE_EPOLL BOOST_ASIO_HAS_IO_URING)
        target_link_libraries(common_io_uring_asio PUBLIC ${URING_LIBRARY})
        list(APPEND back_ends common_io_uring)
    else()
        message(STATUS "liburing was not found: what is built on io_uring is left out")
    endif()
endif()
