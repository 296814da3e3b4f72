// NEON (every AArch64): CNT on 16 bytes, sums by pairwise widening; 8 rows decided by one branch.
#include "hamming.hpp"

#if defined(__aarch64__)
#include <arm_neon.h>

namespace vhash {
namespace {

constexpr size_t kStep = 8;       // rows that share one branch
constexpr size_t kByteSums = 31;  // vectors whose byte counts (at most 8 each) fit a byte

inline uint8x16_t byte_counts(const uint64_t* a, const uint64_t* b) {
    return vcntq_u8(veorq_u8(vreinterpretq_u8_u64(vld1q_u64(a)), vreinterpretq_u8_u64(vld1q_u64(b))));
}

inline uint64x2_t word_counts(uint8x16_t bytes) { return vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(bytes))); }

inline uint64_t distance(const uint64_t* a, const uint64_t* b, size_t words) {
    uint64x2_t sum = vdupq_n_u64(0);
    size_t w = 0;
    while (w + 2 <= words) {
        uint8x16_t bytes = vdupq_n_u8(0);
        for (size_t turn = 0; turn < kByteSums && w + 2 <= words; ++turn, w += 2)
            bytes = vaddq_u8(bytes, byte_counts(a + w, b + w));
        sum = vaddq_u64(sum, word_counts(bytes));
    }
    uint64_t total = vaddvq_u64(sum);
    if (w < words) total += vaddv_u8(vcnt_u8(vcreate_u8(a[w] ^ b[w])));
    return total;
}

size_t hamming_scan_neon(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query,
                         uint32_t limit, const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    const uint64_t pair[2] = {query[0], query[0]};
    size_t found = *count, row = 0;
    while (row < rows && capacity - found >= kGroup) {
        const size_t end = row + kGroup < rows ? row + kGroup : rows;
        const uint64_t alive = live ? live[row / kGroup] : ~uint64_t{0};
        size_t i = row;
        for (; i + kStep <= end; i += kStep) {
            uint64_t distances[kStep];
            const uint64_t* p = codes + i * words;
            if (words == 1) {
                for (size_t j = 0; j < kStep; j += 2) vst1q_u64(distances + j, word_counts(byte_counts(p + j, pair)));
            } else {
                for (size_t j = 0; j < kStep; ++j) distances[j] = distance(p + j * words, query, words);
            }
            uint64_t mask = 0;
            for (size_t j = 0; j < kStep; ++j) mask |= static_cast<uint64_t>(distances[j] <= limit) << j;
            mask &= alive >> (i - row);
            if (mask) found = append_hits(hits, found, static_cast<uint32_t>(i), distances, mask);
        }
        for (; i < end; ++i) {
            const uint64_t d = distance(codes + i * words, query, words);
            if (d <= limit && (alive >> (i - row) & 1)) hits[found++] = {static_cast<uint32_t>(i), static_cast<uint32_t>(d)};
        }
        row = end;
    }
    *count = found;
    return row;
}

size_t hamming_gather_neon(const uint64_t* codes, size_t words, const uint64_t* query, uint32_t limit,
                           const uint32_t* rows, size_t n, Hit* hits) {
    constexpr size_t kAhead = 16;
    size_t found = 0;
    for (size_t i = 0; i < n; ++i) {
        if (i + kAhead < n) __builtin_prefetch(codes + size_t{rows[i + kAhead]} * words);
        const uint64_t d = distance(codes + size_t{rows[i]} * words, query, words);
        if (d <= limit) hits[found++] = {rows[i], static_cast<uint32_t>(d)};
    }
    return found;
}

}  // namespace

const Kernels kKernelsNeon = {"neon", hamming_scan_neon, hamming_gather_neon};

}  // namespace vhash
#endif
