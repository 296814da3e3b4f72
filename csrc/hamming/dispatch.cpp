// Which kernels run: probed once, forced by VHASH_SIMD or set_simd_level().
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "hamming/hamming.hpp"
#include "hamming/x86.hpp"
#include "system/x86.hpp"

namespace vhash {
namespace {

struct Levels {
    const Kernels* list[8] = {};
    size_t count = 0;

    Levels() {
        list[count++] = &kKernelsScalar;
#if defined(__x86_64__)
        if (x86().popcnt) list[count++] = &kKernelsPopcnt;
        if (x86().avx2) list[count++] = &kKernelsAvx2;
        if (x86().avx512) list[count++] = &kKernelsAvx512bw;
        if (x86().avx512vpopcntdq) list[count++] = &kKernelsAvx512;
#if VHASH_HAS_AMX
        if (list[count - 1] == &kKernelsAvx512 && has_amx()) list[count++] = &kKernelsAmx;
#endif
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

void slice_query(SliceShape shape, const uint64_t* query, size_t words, size_t tile, uint16_t* out) {
    const size_t plane = tile / 8;
    const auto put = [&](size_t place) { *out++ = static_cast<uint16_t>(place * plane); };
    out += slice_digits(words);
    for (size_t w = 0; w < words; ++w) {
        for (size_t i = 0; i < shape.groups(); ++i) {
            const size_t pattern = query[w] >> (shape.group * i) & (shape.patterns() - 1);
            put(static_cast<size_t>(__builtin_parityll(pattern)));
            for (size_t digit = 1; digit < shape.digits(); ++digit) put(2 + (digit - 1) * shape.patterns() + pattern);
        }
        put(query[w] >> SliceShape::kLastBit);
    }
}

void slice_limit(uint32_t limit, size_t words, uint16_t* out) {
    const size_t digits = slice_digits(words);
    const uint32_t start = (uint32_t{1} << digits) - (limit + 1);
    for (size_t d = 0; d < digits; ++d) out[d] = static_cast<uint16_t>(start >> d & 1 ? 64 : 0);
}

const Kernels* const* available_kernels() { return levels().list; }

}  // namespace vhash
