# The `boost_process` target: Boost.Process v2. From Boost 1.86 on it is a library of Boost's. Before, its
# sources are among the headers and are compiled here, because used as headers only, Boost 1.83 lacks the
# definition of process_environment::on_setup.
if(Boost_VERSION VERSION_GREATER_EQUAL 1.86)
    require_package(boost_process 1.86 "It is libboost-process-dev, of the version of the rest.")
    add_library(boost_process INTERFACE)
    target_link_libraries(boost_process INTERFACE Boost::process)
else()
    add_library(boost_process STATIC ${CMAKE_CURRENT_LIST_DIR}/boost_process.cpp)
    target_compile_definitions(
        boost_process PUBLIC BOOST_PROCESS_USE_STD_FS BOOST_PROCESS_V2_SEPARATE_COMPILATION)
    target_link_libraries(boost_process PUBLIC common::common)
endif()
