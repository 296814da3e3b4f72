// Portable kernels: what runs where nothing better exists, and the reference for the others.
// About 12 operations per word (the classic SWAR population count).
#include "hamming/hamming.hpp"

namespace vhash {
namespace {

inline uint32_t popcount(uint64_t x) {
    x -= (x >> 1) & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return static_cast<uint32_t>((x * 0x0101010101010101u) >> 56);
}

inline uint32_t distance(const uint64_t* a, const uint64_t* b, size_t words) {
    uint32_t sum = 0;
    for (size_t w = 0; w < words; ++w) sum += popcount(a[w] ^ b[w]);
    return sum;
}

size_t hamming_scan_scalar(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint32_t limit,
                           const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    size_t found = *count, row = 0;
    while (row < rows && capacity - found >= kGroup) {
        const size_t end = row + kGroup < rows ? row + kGroup : rows;
        const uint64_t mask = live ? live[row / kGroup] : ~uint64_t{0};
        for (size_t i = row; i < end; ++i) {
            const uint32_t d = distance(codes + i * words, query, words);
            if (d <= limit && (mask >> (i - row) & 1)) hits[found++] = {static_cast<uint32_t>(i), d};
        }
        row = end;
    }
    *count = found;
    return row;
}

size_t hamming_gather_scalar(const uint64_t* const* codes, size_t n, size_t words, const uint64_t* query,
                             uint32_t limit, Hit* hits) {
    size_t found = 0;
    for (size_t i = 0; i < n; ++i) {
        const uint32_t d = distance(codes[i], query, words);
        if (d <= limit) hits[found++] = {static_cast<uint32_t>(i), d};
    }
    return found;
}

void hamming_measure_scalar(const uint64_t* codes, size_t words, const uint64_t* queries, const BatchHit* hits,
                            size_t n, uint32_t* distances) {
    for (size_t i = 0; i < n; ++i)
        distances[i] = distance(codes + hits[i].row * words, queries + hits[i].query * words, words);
}

void hamming_moments_scalar(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint64_t* sum,
                            uint64_t* squares) {
    for (size_t i = 0; i < rows; ++i) {
        const uint64_t d = distance(codes + i * words, query, words);
        *sum += d;
        *squares += d * d;
    }
}

}  // namespace

const Kernels kKernelsScalar = {
    "scalar", hamming_scan_scalar, hamming_gather_scalar, hamming_measure_scalar, hamming_moments_scalar, {}};

}  // namespace vhash
