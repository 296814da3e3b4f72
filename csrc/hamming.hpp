// Hamming distance kernels and the table through which they are reached.
//
// One file per instruction set, `hamming_<isa>.cpp`; a function there is named
// `hamming_<operation>_<isa>`. Instruction sets come by function `target` attributes, so every
// file compiles with a plain `g++ -O3`, and the table is chosen once at run time.
//
// Codes are rows of `words` 64-bit words, little-endian, padding bits zero.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vhash {

constexpr unsigned kMaxBits = 4096;
constexpr unsigned kMaxWords = kMaxBits / 64;
constexpr size_t kGroup = 64;  // rows that a scan decides at once: one word of a live-row bitmap

struct Hit {
    uint32_t row;
    uint32_t distance;
};

// Appends the rows of codes[0, rows) within `limit` bits (inclusive) of the query to `hits`, in row
// order, and returns how many rows it has looked at: `rows`, or fewer (a multiple of kGroup) when
// fewer than kGroup places are left in `hits`. `live` is a bitmap of rows, or null for all.
using ScanFn = size_t (*)(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query,
                          uint32_t limit, const uint64_t* live, Hit* hits, size_t capacity, size_t* count);

// The same for the listed rows; returns the number of hits, at most `n`.
using GatherFn = size_t (*)(const uint64_t* codes, size_t words, const uint64_t* query, uint32_t limit,
                            const uint32_t* rows, size_t n, Hit* hits);

struct Kernels {
    const char* name;
    ScanFn scan;
    GatherFn gather;
};

// The kernels in use: the best that the CPU has, or what VHASH_SIMD or set_simd_level() asks for.
// Throws std::invalid_argument where VHASH_SIMD names a level that this CPU does not have.
const Kernels& kernels();

// Forces a level by name ("scalar", "popcnt", "avx2", "avx512", "neon") or "auto"; throws
// std::invalid_argument naming the levels of this CPU.
void set_simd_level(const char* name);

// The levels that this CPU has, slowest first; ends with a null pointer.
const Kernels* const* available_kernels();

extern const Kernels kKernelsScalar;
#if defined(__x86_64__)
extern const Kernels kKernelsPopcnt, kKernelsAvx2, kKernelsAvx512;
#elif defined(__aarch64__)
extern const Kernels kKernelsNeon;
#endif

// What every scan kernel does with the rare group that holds a hit.
inline size_t append_hits(Hit* hits, size_t count, uint32_t row, const uint64_t* distances, uint64_t mask) {
    for (; mask; mask &= mask - 1) {
        const unsigned lane = static_cast<unsigned>(__builtin_ctzll(mask));
        hits[count++] = {row + lane, static_cast<uint32_t>(distances[lane])};
    }
    return count;
}

}  // namespace vhash
