// Which kernels run: probed once, forced by VHASH_SIMD or set_simd_level().
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "hamming.hpp"

namespace vhash {
namespace {

struct Levels {
    const Kernels* list[8] = {};
    size_t count = 0;

    Levels() {
        list[count++] = &kKernelsScalar;
#if defined(__x86_64__)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("popcnt")) list[count++] = &kKernelsPopcnt;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi")) list[count++] = &kKernelsAvx2;
        if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vpopcntdq"))
            list[count++] = &kKernelsAvx512;
#elif defined(__aarch64__)
        list[count++] = &kKernelsNeon;
#endif
    }
};

const Levels& levels() {
    static const Levels instance;
    return instance;
}

const Kernels* find(const char* name) {
    const Levels& all = levels();
    if (!name || !*name || !std::strcmp(name, "auto")) return all.list[all.count - 1];
    std::string legal;
    for (size_t i = 0; i < all.count; ++i) {
        if (!std::strcmp(name, all.list[i]->name)) return all.list[i];
        legal += std::string(all.list[i]->name) + ", ";
    }
    throw std::invalid_argument("SIMD level '" + std::string(name) + "' is not one of this CPU: use " + legal +
                                "or auto (VHASH_SIMD, set_simd_level)");
}

std::atomic<const Kernels*> current{nullptr};

}  // namespace

const Kernels& kernels() {
    const Kernels* chosen = current.load(std::memory_order_acquire);
    if (!chosen) {
        chosen = find(std::getenv("VHASH_SIMD"));
        current.store(chosen, std::memory_order_release);
    }
    return *chosen;
}

void set_simd_level(const char* name) { current.store(find(name), std::memory_order_release); }

const Kernels* const* available_kernels() { return levels().list; }

}  // namespace vhash
