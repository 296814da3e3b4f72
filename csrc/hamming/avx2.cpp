// AVX2: population count by nibble look-up (Mula), 32 bytes in about 8 operations; 16 rows are
// decided by one branch. One row of 64 bits costs about 0.2 ns.
#include "hamming/x86.hpp"

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

VHASH_AVX2_INLINE __m256i load(const uint64_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

// Four vectors of partial sums, one per row, to the four sums in row order.
VHASH_AVX2_INLINE __m256i transpose_add(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i ab = _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    const __m256i cd = _mm256_add_epi64(_mm256_unpacklo_epi64(c, d), _mm256_unpackhi_epi64(c, d));
    return _mm256_add_epi64(_mm256_permute2x128_si256(ab, cd, 0x20), _mm256_permute2x128_si256(ab, cd, 0x31));
}

template <size_t kWords>
VHASH_AVX2_INLINE __m256i row_sum(const uint64_t* row, const uint64_t* query, size_t any_words) {
    const size_t words = kWords ? kWords : any_words;
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
    return transpose_add(row_sum<kWords>(p, query, words), row_sum<kWords>(p + words, query, words),
                         row_sum<kWords>(p + 2 * words, query, words), row_sum<kWords>(p + 3 * words, query, words));
}

template <size_t kWords>
VHASH_AVX2 size_t scan(const uint64_t* codes, size_t rows, size_t any_words, const uint64_t* query, uint32_t limit,
                       const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    const size_t words = kWords ? kWords : any_words;
    const __m256i q = kWords == 1 ? _mm256_set1_epi64x(static_cast<long long>(query[0]))
                      : kWords == 2
                          ? _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query)))
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

}  // namespace

size_t hamming_scan_avx2(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint32_t limit,
                         const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    static constexpr ScanFn fixed[9] = {scan<0>, scan<1>, scan<2>, scan<3>, scan<4>,
                                        scan<5>, scan<6>, scan<7>, scan<8>};
    const ScanFn fn = fixed[words <= 8 ? words : 0];
    return fn(codes, rows, words, query, limit, live, hits, capacity, count);
}

namespace {

namespace slice {

#define VHASH_SLICE VHASH_AVX2
#define VHASH_SLICE_INLINE VHASH_AVX2_INLINE
using Vec = __m256i;
constexpr size_t kTile = 256;

VHASH_AVX2_INLINE Vec load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
VHASH_AVX2_INLINE void store(void* p, Vec x) { _mm256_storeu_si256(static_cast<__m256i*>(p), x); }
VHASH_AVX2_INLINE Vec both(Vec a, Vec b) { return _mm256_and_si256(a, b); }
VHASH_AVX2_INLINE Vec either(Vec a, Vec b) { return _mm256_or_si256(a, b); }
VHASH_AVX2_INLINE Vec xor3(Vec a, Vec b, Vec c) { return _mm256_xor_si256(_mm256_xor_si256(a, b), c); }
VHASH_AVX2_INLINE Vec majority(Vec a, Vec b, Vec c) {  // shares a ^ b with xor3
    return either(both(a, b), both(_mm256_xor_si256(a, b), c));
}
VHASH_AVX2_INLINE Vec carry_of(Vec, Vec a, Vec b, Vec c) { return majority(a, b, c); }
VHASH_AVX2_INLINE Vec complement(Vec a) { return _mm256_xor_si256(a, _mm256_set1_epi64x(-1)); }
VHASH_AVX2_INLINE bool test_full(Vec a) { return _mm256_testc_si256(a, _mm256_set1_epi64x(-1)); }
VHASH_AVX2_INLINE unsigned words_set(Vec a) {
    const __m256i empty = _mm256_cmpeq_epi64(a, _mm256_setzero_si256());
    return static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(empty))) ^ 15u;
}

// Bit 8i + j of a plane's 64 bits is row 8j + i: what transpose_tile() leaves.
VHASH_AVX2_INLINE uint64_t row_order(uint64_t mask) { return transpose_8x8(mask); }
VHASH_AVX2_INLINE unsigned row_of(unsigned bit) { return bit % 8 * 8 + bit / 8; }

VHASH_AVX2_INLINE size_t append_words(Vec plane, uint32_t first, uint64_t* masks, uint32_t* places) {
    alignas(32) uint64_t words[kTile / 64];
    store(words, plane);
    size_t count = 0;
    for (uint32_t i = 0; i < kTile / 64; ++i) {
        masks[count] = words[i];
        places[count] = first + i;
        count += words[i] != 0;
    }
    return count;
}

// 32 rows at a time, the lower or upper four of each eight; otherwise as for AVX-512.
VHASH_AVX2 void transpose_tile(const uint64_t* codes, size_t words, size_t word, uint64_t* planes) {
    auto* out = reinterpret_cast<uint32_t*>(planes);
    for (size_t part = 0; part < kTile / 32; ++part) {
        __m256i x[8], y[8];
        for (size_t m = 0; m < 8; ++m) {
            const uint64_t* p = codes + (part / 2 * 64 + part % 2 * 4 + 8 * m) * words + word;
            x[m] = words == 1
                       ? load(p)
                       : _mm256_setr_epi64x(static_cast<long long>(p[0]), static_cast<long long>(p[words]),
                                            static_cast<long long>(p[2 * words]), static_cast<long long>(p[3 * words]));
        }
        for (size_t m = 0; m < 4; ++m) {
            y[m] = _mm256_unpacklo_epi8(x[2 * m], x[2 * m + 1]);
            y[m + 4] = _mm256_unpackhi_epi8(x[2 * m], x[2 * m + 1]);
        }
        for (size_t half = 0; half < 8; half += 4) {
            x[half] = _mm256_unpacklo_epi16(y[half], y[half + 1]);
            x[half + 1] = _mm256_unpackhi_epi16(y[half], y[half + 1]);
            x[half + 2] = _mm256_unpacklo_epi16(y[half + 2], y[half + 3]);
            x[half + 3] = _mm256_unpackhi_epi16(y[half + 2], y[half + 3]);
        }
        for (size_t half = 0; half < 8; half += 4) {
            y[half] = _mm256_unpacklo_epi32(x[half], x[half + 2]);
            y[half + 1] = _mm256_unpackhi_epi32(x[half], x[half + 2]);
            y[half + 2] = _mm256_unpacklo_epi32(x[half + 1], x[half + 3]);
            y[half + 3] = _mm256_unpackhi_epi32(x[half + 1], x[half + 3]);
        }
        for (size_t m = 0; m < 4; ++m) {
            __m256i column[2] = {_mm256_unpacklo_epi64(y[m], y[m + 4]), _mm256_unpackhi_epi64(y[m], y[m + 4])};
            for (size_t c = 0; c < 2; ++c) {
                for (size_t bit = 8; bit-- > 0;) {
                    out[(8 * (2 * m + c) + bit) * (kTile / 32) + part] =
                        static_cast<uint32_t>(_mm256_movemask_epi8(column[c]));
                    column[c] = _mm256_add_epi8(column[c], column[c]);
                }
            }
        }
    }
}

#include "hamming/slice.inc"

}  // namespace slice

constexpr BatchKernels kSlice = slice::batch_kernels<3>(12), kWideSlice = slice::batch_kernels<7>(200);

}  // namespace

const Kernels kKernelsAvx2 = {"avx2",
                              hamming_scan_avx2,
                              hamming_gather_popcnt,
                              hamming_measure_popcnt,
                              hamming_moments_popcnt,
                              {&kWideSlice, &kSlice}};

}  // namespace vhash
#endif
