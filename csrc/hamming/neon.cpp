// NEON (every AArch64): CNT on 16 bytes, sums by pairwise widening; 8 rows decided by one branch.
#include "hamming/hamming.hpp"

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

size_t hamming_scan_neon(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint32_t limit,
                         const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
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
            if (d <= limit && (alive >> (i - row) & 1))
                hits[found++] = {static_cast<uint32_t>(i), static_cast<uint32_t>(d)};
        }
        row = end;
    }
    *count = found;
    return row;
}

size_t hamming_gather_neon(const uint64_t* const* codes, size_t n, size_t words, const uint64_t* query, uint32_t limit,
                           Hit* hits) {
    constexpr size_t kAhead = 16;
    size_t found = 0;
    for (size_t i = 0; i < n; ++i) {
        if (i + kAhead < n) __builtin_prefetch(codes[i + kAhead]);
        const uint64_t d = distance(codes[i], query, words);
        if (d <= limit) hits[found++] = {static_cast<uint32_t>(i), static_cast<uint32_t>(d)};
    }
    return found;
}

void hamming_measure_neon(const uint64_t* codes, size_t words, const uint64_t* queries, const BatchHit* hits, size_t n,
                          uint32_t* distances) {
    for (size_t i = 0; i < n; ++i)
        distances[i] =
            static_cast<uint32_t>(distance(codes + hits[i].row * words, queries + hits[i].query * words, words));
}

void hamming_moments_neon(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint64_t* sum,
                          uint64_t* squares) {
    for (size_t i = 0; i < rows; ++i) {
        const uint64_t d = distance(codes + i * words, query, words);
        *sum += d;
        *squares += d * d;
    }
}

namespace slice {

#define VHASH_SLICE
#define VHASH_SLICE_INLINE __attribute__((always_inline)) inline
using Vec = uint64x2_t;
constexpr size_t kTile = 128;

inline Vec load(const void* p) { return vld1q_u64(static_cast<const uint64_t*>(p)); }
inline void store(void* p, Vec x) { vst1q_u64(static_cast<uint64_t*>(p), x); }
inline Vec both(Vec a, Vec b) { return vandq_u64(a, b); }
inline Vec either(Vec a, Vec b) { return vorrq_u64(a, b); }
inline Vec xor3(Vec a, Vec b, Vec c) { return veorq_u64(veorq_u64(a, b), c); }
inline Vec majority(Vec a, Vec b, Vec c) { return vbslq_u64(veorq_u64(a, b), c, a); }
inline Vec carry_of(Vec, Vec a, Vec b, Vec c) { return majority(a, b, c); }
inline Vec complement(Vec a) { return veorq_u64(a, vdupq_n_u64(~uint64_t{0})); }
inline bool test_full(Vec a) { return (vgetq_lane_u64(a, 0) & vgetq_lane_u64(a, 1)) == ~uint64_t{0}; }
inline unsigned words_set(Vec a) { return (vgetq_lane_u64(a, 0) != 0) | (vgetq_lane_u64(a, 1) != 0) << 1; }
inline uint64_t row_order(uint64_t mask) { return mask; }
inline unsigned row_of(unsigned bit) { return bit; }

inline size_t append_words(Vec plane, uint32_t first, uint64_t* masks, uint32_t* places) {
    const uint64_t low = vgetq_lane_u64(plane, 0), high = vgetq_lane_u64(plane, 1);
    size_t count = low != 0;
    masks[0] = low;
    places[0] = first;
    masks[count] = high;
    places[count] = first + 1;
    return count + (high != 0);
}

void transpose_tile(const uint64_t* codes, size_t words, size_t word, uint64_t* planes) {
    for (size_t group = 0; group < kTile / 64; ++group) {
        uint64_t block[64];
        for (size_t r = 0; r < 64; ++r) block[r] = codes[(64 * group + r) * words + word];
        transpose_64x64(block);
        for (size_t b = 0; b < 64; ++b) planes[b * (kTile / 64) + group] = block[b];
    }
}

#include "hamming/slice.inc"

}  // namespace slice

constexpr BatchKernels kSlice = slice::batch_kernels<3>(16);

}  // namespace

const Kernels kKernelsNeon = {
    "neon", hamming_scan_neon, hamming_gather_neon, hamming_measure_neon, hamming_moments_neon, {&kSlice, nullptr}};

}  // namespace vhash
#endif
