// AVX2: population count by nibble look-up (Mula), 32 bytes in about 8 operations; 16 rows are
// decided by one branch. One row of 64 bits costs about 0.2 ns.
#include "hamming_x86.hpp"

#if defined(__x86_64__)
#define VHASH_AVX2 __attribute__((target("avx2,popcnt,bmi")))
#define VHASH_AVX2_INLINE VHASH_AVX2 __attribute__((always_inline)) inline

namespace vhash {
namespace {

constexpr size_t kStep = 16;      // rows that share one branch
constexpr size_t kByteSums = 31;  // vectors whose byte counts (at most 8 each) fit a byte

VHASH_AVX2_INLINE __m256i byte_counts(__m256i x) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                           0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i lo = _mm256_shuffle_epi8(table, _mm256_and_si256(x, low));
    const __m256i hi = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low));
    return _mm256_add_epi8(lo, hi);
}

VHASH_AVX2_INLINE __m256i word_counts(__m256i bytes) { return _mm256_sad_epu8(bytes, _mm256_setzero_si256()); }

VHASH_AVX2_INLINE __m256i load(const uint64_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

// Four vectors of partial sums, one per row, to the four sums in row order.
VHASH_AVX2_INLINE __m256i transpose_add(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i ab = _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    const __m256i cd = _mm256_add_epi64(_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
    return _mm256_add_epi64(_mm256_permute2x128_si256(ab, cd, 0x20), _mm256_permute2x128_si256(ab, cd, 0x31));
}

VHASH_AVX2_INLINE __m256i row_sum(const uint64_t* row, const uint64_t* query, size_t words) {
    __m256i sum = _mm256_setzero_si256();
    size_t w = 0;
    while (w + 4 <= words) {
        __m256i bytes = _mm256_setzero_si256();
        for (size_t turn = 0; turn < kByteSums && w + 4 <= words; ++turn, w += 4)
            bytes = _mm256_add_epi8(bytes, byte_counts(_mm256_xor_si256(load(row + w), load(query + w))));
        sum = _mm256_add_epi64(sum, word_counts(bytes));
    }
    if (w < words) {
        const __m256i lanes = _mm256_setr_epi64x(0, 1, 2, 3);
        const __m256i mask = _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(words - w)), lanes);
        const __m256i x = _mm256_maskload_epi64(reinterpret_cast<const long long*>(row + w), mask);
        const __m256i q = _mm256_maskload_epi64(reinterpret_cast<const long long*>(query + w), mask);
        sum = _mm256_add_epi64(sum, word_counts(byte_counts(_mm256_xor_si256(x, q))));
    }
    return sum;
}

// Distances of four rows; kWords 0: any width.
template <size_t kWords>
VHASH_AVX2_INLINE __m256i four_rows(const uint64_t* p, const uint64_t* query, size_t words, __m256i q) {
    if (kWords == 1) return word_counts(byte_counts(_mm256_xor_si256(load(p), q)));
    if (kWords == 2) {
        const __m256i a = word_counts(byte_counts(_mm256_xor_si256(load(p), q)));
        const __m256i b = word_counts(byte_counts(_mm256_xor_si256(load(p + 4), q)));
        const __m256i sum = _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
        return _mm256_permute4x64_epi64(sum, 0xd8);  // rows 0 2 1 3 to 0 1 2 3
    }
    return transpose_add(row_sum(p, query, words), row_sum(p + words, query, words),
                         row_sum(p + 2 * words, query, words), row_sum(p + 3 * words, query, words));
}

template <size_t kWords>
VHASH_AVX2 size_t scan(const uint64_t* codes, size_t rows, size_t any_words, const uint64_t* query,
                       uint32_t limit, const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    const size_t words = kWords ? kWords : any_words;
    const __m256i q = kWords == 1   ? _mm256_set1_epi64x(static_cast<long long>(query[0]))
                      : kWords == 2 ? _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query)))
                                    : _mm256_setzero_si256();
    const __m256i above = _mm256_set1_epi64x(int64_t{limit} + 1);
    size_t found = *count, row = 0;
    for (; row + kGroup <= rows && capacity - found >= kGroup; row += kGroup) {
        for (size_t step = 0; step < kGroup; step += kStep) {
            const uint64_t* p = codes + (row + step) * words;
            alignas(32) uint64_t distances[kStep];
            __m256i d[4], any = _mm256_setzero_si256();
            for (size_t j = 0; j < 4; ++j) {
                d[j] = four_rows<kWords>(p + 4 * j * words, query, words, q);
                any = _mm256_or_si256(any, _mm256_cmpgt_epi64(above, d[j]));
            }
            if (__builtin_expect(_mm256_testz_si256(any, any), 1)) continue;
            uint64_t mask = 0;
            for (size_t j = 0; j < 4; ++j) {
                _mm256_store_si256(reinterpret_cast<__m256i*>(distances + 4 * j), d[j]);
                const int bits = _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(above, d[j])));
                mask |= static_cast<uint64_t>(bits) << (4 * j);
            }
            if (live) mask &= live[row / kGroup] >> step;
            found = append_hits(hits, found, static_cast<uint32_t>(row + step), distances, mask);
        }
    }
    if (row + kGroup > rows && row < rows && capacity - found >= kGroup) {
        found = scan_tail_popcnt(codes, row, rows, words, query, limit, live, hits, found);
        row = rows;
    }
    *count = found;
    return row;
}

size_t hamming_scan_avx2(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query,
                         uint32_t limit, const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    const ScanFn fn = words == 1 ? scan<1> : words == 2 ? scan<2> : words == 4 ? scan<4> : words == 8 ? scan<8> : scan<0>;
    return fn(codes, rows, words, query, limit, live, hits, capacity, count);
}

}  // namespace

const Kernels kKernelsAvx2 = {"avx2", hamming_scan_avx2, hamming_gather_popcnt};

}  // namespace vhash
#endif
