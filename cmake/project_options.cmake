# The `project_options` target holds the warnings of this project's own sources, and the sanitizers
# that a preset asks for. Programs that only use the library are built without the first.

set(SANITIZE "" CACHE STRING "Sanitizers for everything, as -fsanitize takes them: address,undefined")

if(SANITIZE)
    add_compile_options(-fsanitize=${SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${SANITIZE})
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        add_compile_options(-Wno-mismatched-new-delete) # see below; here in the libraries' sources, too
    endif()
    if(SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        add_compile_options(-Wno-maybe-uninitialized) # GCC's bug 105562: sees it in std::regex
    endif()
    if(SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        add_compile_options(-Wno-tsan) # Asio has fences that GCC's ThreadSanitizer does not model
    endif()
endif()

add_library(project_options INTERFACE)
target_compile_options(
    project_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror=unused-result)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A false alarm where GCC inlines one of the two functions with which Asio allocates and frees the
    # frame of a coroutine, and not the other.
    target_compile_options(project_options INTERFACE -Wno-mismatched-new-delete)
endif()
