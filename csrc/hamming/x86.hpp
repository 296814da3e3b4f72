// Inner functions shared by the x86 kernels: the POPCNT instruction on single rows.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>

#include "hamming/hamming.hpp"

#if defined(__linux__) && (__GNUC__ >= 11 || __clang_major__ >= 12)
#define VHASH_HAS_AMX 1
#else
#define VHASH_HAS_AMX 0
#endif
#define VHASH_POPCNT __attribute__((target("popcnt")))

namespace vhash {

#if VHASH_HAS_AMX
extern const BatchKernels kBatchAmx;
bool has_amx();  // this CPU, and the kernel of the system
extern const Kernels kKernelsAmx;
#endif

// 1 word per cycle: what the POPCNT port allows.
VHASH_POPCNT inline uint32_t distance_popcnt(const uint64_t* a, const uint64_t* b, size_t words) {
    uint64_t sum = 0;
    for (size_t w = 0; w < words; ++w) sum += static_cast<uint64_t>(__builtin_popcountll(a[w] ^ b[w]));
    return static_cast<uint32_t>(sum);
}

// Rows [row, rows): the tail below one group that vector kernels leave over. `row` is a multiple of kGroup.
VHASH_POPCNT inline size_t scan_tail_popcnt(const uint64_t* codes, size_t row, size_t rows, size_t words,
                                            const uint64_t* query, uint32_t limit, const uint64_t* live, Hit* hits,
                                            size_t found) {
    const uint64_t mask = live ? live[row / kGroup] : ~uint64_t{0};
    for (size_t i = row; i < rows; ++i) {
        const uint32_t d = distance_popcnt(codes + i * words, query, words);
        if (d <= limit && (mask >> (i - row) & 1)) hits[found++] = {static_cast<uint32_t>(i), d};
    }
    return found;
}

size_t hamming_scan_avx2(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint32_t limit,
                         const uint64_t* live, Hit* hits, size_t capacity, size_t* count);
size_t hamming_gather_popcnt(const uint64_t* const* codes, size_t n, size_t words, const uint64_t* query,
                             uint32_t limit, Hit* hits);
void hamming_measure_popcnt(const uint64_t* codes, size_t words, const uint64_t* queries, const BatchHit* hits,
                            size_t n, uint32_t* distances);
void hamming_moments_popcnt(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint64_t* sum,
                            uint64_t* squares);

}  // namespace vhash
#endif
