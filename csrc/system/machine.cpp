#include "system/machine.hpp"

#if defined(_WIN32)
#include "system/windows.hpp"

#include <malloc.h>
#else
#include <sys/mman.h>
#include <unistd.h>
#endif
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sched.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#include "system/threads.hpp"

namespace vhash {
namespace {

unsigned allowed_cpus() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return static_cast<unsigned>(CPU_COUNT(&set));
#elif defined(_WIN32)
    DWORD_PTR ours = 0, all = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &ours, &all) && ours)
        return static_cast<unsigned>(__builtin_popcountll(ours));
#endif
    return std::thread::hardware_concurrency();
}

size_t asked_l2_bytes() {
#if defined(_SC_LEVEL2_CACHE_SIZE)
    const auto said = sysconf(_SC_LEVEL2_CACHE_SIZE);
    if (said > 0) return static_cast<size_t>(said);
#elif defined(__APPLE__)
    uint64_t said = 0;
    size_t size = sizeof said;
    if (sysctlbyname("hw.l2cachesize", &said, &size, nullptr, 0) == 0) return static_cast<size_t>(said);
#elif defined(_WIN32)
    DWORD size = 0;
    GetLogicalProcessorInformation(nullptr, &size);
    std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> all(size / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION));
    if (!all.empty() && GetLogicalProcessorInformation(all.data(), &size))
        for (const auto& one : all)
            if (one.Relationship == RelationCache && one.Cache.Level == 2) return one.Cache.Size;
#endif
    return 0;
}

}  // namespace

unsigned available_threads() { return std::min(std::max(1u, allowed_cpus()), kMaxThreads); }

size_t l2_bytes() {
    static const size_t asked = asked_l2_bytes();
    return asked;
}

uint64_t process_id() {
#if defined(_WIN32)
    return GetCurrentProcessId();
#else
    return static_cast<uint64_t>(::getpid());
#endif
}

void* aligned_memory(size_t align, size_t bytes) {
    const size_t whole = (bytes + align - 1) / align * align;
#if defined(_WIN32)
    void* memory = _aligned_malloc(whole, align);
#else
    void* memory = std::aligned_alloc(align, whole);
#endif
    if (!memory) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (align == kHugePage) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

void free_aligned(void* memory) noexcept {
#if defined(_WIN32)
    _aligned_free(memory);
#else
    std::free(memory);
#endif
}

}  // namespace vhash
