# The `boost_process` target: Boost.Process v2.
#
# From Boost 1.86 on it is a library of Boost's, which not every distribution has packaged: with Debian
# 13's Boost 1.88 there is no target. Before, its sources are among the headers and are compiled here,
# because used as headers only, Boost 1.83 lacks the definition of process_environment::on_setup.
if(Boost_VERSION VERSION_LESS 1.86)
    add_library(boost_process STATIC EXCLUDE_FROM_ALL ${CMAKE_CURRENT_LIST_DIR}/boost_process.cpp)
    target_compile_definitions(
        boost_process PUBLIC BOOST_PROCESS_USE_STD_FS BOOST_PROCESS_V2_SEPARATE_COMPILATION)
    target_link_libraries(boost_process PUBLIC common::asio)
else()
    find_package(boost_process ${Boost_VERSION} CONFIG QUIET)
    if(boost_process_FOUND)
        add_library(boost_process INTERFACE)
        target_link_libraries(boost_process INTERFACE Boost::process)
    endif()
endif()
