// The POPCNT instruction, one word per cycle: any x86-64 since 2008.
#include "hamming/x86.hpp"

#if defined(__x86_64__)
namespace vhash {
namespace {

template <size_t kWords>  // 0: any width
VHASH_POPCNT size_t scan(const uint64_t* codes, size_t rows, size_t any_words, const uint64_t* query, uint32_t limit,
                         const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    const size_t words = kWords ? kWords : any_words;
    size_t found = *count, row = 0;
    while (row < rows && capacity - found >= kGroup) {
        const size_t end = row + kGroup < rows ? row + kGroup : rows;
        found = scan_tail_popcnt(codes, row, end, words, query, limit, live, hits, found);
        row = end;
    }
    *count = found;
    return row;
}

size_t hamming_scan_popcnt(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint32_t limit,
                           const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    const ScanFn fn = words == 1 ? scan<1> : words == 2 ? scan<2> : words == 4 ? scan<4> : scan<0>;
    return fn(codes, rows, words, query, limit, live, hits, capacity, count);
}

}  // namespace

// Codes are scattered over memory: ask for them some turns ahead.
VHASH_POPCNT size_t hamming_gather_popcnt(const uint64_t* const* codes, size_t n, size_t words, const uint64_t* query,
                                          uint32_t limit, Hit* hits) {
    constexpr size_t kAhead = 16;
    size_t found = 0;
    for (size_t i = 0; i < n; ++i) {
        if (i + kAhead < n) __builtin_prefetch(codes[i + kAhead]);
        const uint32_t d = words == 1 ? distance_popcnt(codes[i], query, 1) : distance_popcnt(codes[i], query, words);
        if (d <= limit) hits[found++] = {static_cast<uint32_t>(i), d};
    }
    return found;
}

VHASH_POPCNT void hamming_measure_popcnt(const uint64_t* codes, size_t words, const uint64_t* queries,
                                         const BatchHit* hits, size_t n, uint32_t* distances) {
    for (size_t i = 0; i < n; ++i)
        distances[i] = distance_popcnt(codes + hits[i].row * words, queries + hits[i].query * words, words);
}

VHASH_POPCNT void hamming_moments_popcnt(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query,
                                         uint64_t* sum, uint64_t* squares) {
    uint64_t sums = 0, squared = 0;
    for (size_t i = 0; i < rows; ++i) {
        const uint64_t d = distance_popcnt(codes + i * words, query, words);
        sums += d;
        squared += d * d;
    }
    *sum += sums;
    *squares += squared;
}

const Kernels kKernelsPopcnt = {
    "popcnt", hamming_scan_popcnt, hamming_gather_popcnt, hamming_measure_popcnt, hamming_moments_popcnt, {}};

}  // namespace vhash
#endif
