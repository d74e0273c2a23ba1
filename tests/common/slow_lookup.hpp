// A name server that does not answer: in place of the system's getaddrinfo(), one that keeps
// `slow.test` until a test lets it go. To be included by one file of a test program.

#pragma once

#include <atomic>
#include <chrono>
#include <semaphore>
#include <string_view>

#include <dlfcn.h>
#include <netdb.h>

namespace tests {

struct slow_lookup {
    inline static std::atomic<int> begun = 0;  // lookups of any name; an address is none
    inline static std::atomic<int> ended = 0;
    inline static std::counting_semaphore<> may_end{0};
};

}  // namespace tests

extern "C" int getaddrinfo(
    const char* name, const char* service, const addrinfo* hints, addrinfo** result)
{
    using tests::slow_lookup;
    const bool is_lookup = hints == nullptr || (hints->ai_flags & AI_NUMERICHOST) == 0;
    slow_lookup::begun += is_lookup ? 1 : 0;
    if (is_lookup && name != nullptr && std::string_view(name) == "slow.test") {
        // Where who waits cannot be cancelled, the test would never come to let it go.
        (void)slow_lookup::may_end.try_acquire_for(std::chrono::seconds(10));
        ++slow_lookup::ended;
        return EAI_NONAME;
    }
    const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(name, service, hints, result);
}
