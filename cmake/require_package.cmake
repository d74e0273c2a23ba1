# require_package(NAME VERSION HINT) finds a package or ends the configuration with a message that
# names it, what was found in its place, and how to get it. A macro, because what find_package sets is
# wanted by the caller.
macro(require_package package version hint)
    find_package(${package} ${version} CONFIG QUIET GLOBAL)
    if(${package}_FOUND)
        message(STATUS "${package} ${${package}_VERSION}")
    else()
        set(found_instead "none was found")
        if(${package}_CONSIDERED_VERSIONS)
            list(JOIN ${package}_CONSIDERED_VERSIONS ", " found_instead)
            string(PREPEND found_instead "found was ")
        endif()
        message(
            FATAL_ERROR
                "${package} ${version} or newer is needed; ${found_instead}.\n"
                "On Debian 12, Debian 13 and Ubuntu 24.04, ./learn setup installs it. ${hint}\n"
                "vcpkg installs it too, from the vcpkg.json here.")
    endif()
endmacro()
