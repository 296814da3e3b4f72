#include "system/x86.hpp"

#if defined(__x86_64__)
#include <cpuid.h>

#include <cstdint>

namespace vhash {
namespace {

struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers ask(unsigned leaf) {
    Registers said;
    if (!__get_cpuid_count(leaf, 0, &said.a, &said.b, &said.c, &said.d)) said = {};
    return said;
}

// XCR0: the registers that the system saves when it switches between threads.
uint64_t kept_registers() {
    uint32_t low, high;
    __asm__(".byte 0x0f, 0x01, 0xd0" : "=a"(low), "=d"(high) : "c"(0));  // xgetbv, which some assemblers do not know
    return uint64_t{high} << 32 | low;
}

constexpr bool has(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

X86 find_out() {
    constexpr uint64_t kYmm = 0x6, kZmm = 0xe6;
    const Registers basic = ask(1), more = ask(7);
    const bool told = has(basic.c, bit_OSXSAVE);
    const uint64_t kept = told ? kept_registers() : 0;
    X86 x;
    x.sse42 = has(basic.c, bit_SSE4_2);
    x.popcnt = has(basic.c, bit_POPCNT);
    x.avx2 = x.popcnt && has(basic.c, bit_AVX) && has(more.b, bit_AVX2 | bit_BMI) && (kept & kYmm) == kYmm;
    x.avx512 = x.avx2 && has(more.b, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL) && (kept & kZmm) == kZmm;
    x.avx512vpopcntdq = x.avx512 && has(more.c, bit_AVX512VPOPCNTDQ);
    x.amx_int8 = has(more.d, 1u << 24 | 1u << 25);
    return x;
}

}  // namespace

const X86& x86() {
    static const X86 found = find_out();
    return found;
}

}  // namespace vhash
#endif
