// AVX-512. With VPOPCNTDQ one population count per 64 bytes, 64 rows decided by one branch. At 64
// bits about 2 operations per 8 rows on the busiest port, far above the memory bandwidth of a core.
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the deliberately undefined operands of its own intrinsics for a mistake (bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "hamming/x86.hpp"

#if defined(__x86_64__)
#define VHASH_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi")))
#define VHASH_AVX512_INLINE VHASH_AVX512 __attribute__((always_inline)) inline

namespace vhash {
namespace {

VHASH_AVX512_INLINE __m512i load(const uint64_t* p) { return _mm512_loadu_si512(p); }

// Adds neighbours: eight sums from sixteen lanes, in order.
VHASH_AVX512_INLINE __m512i pairwise_add(__m512i a, __m512i b) {
    const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    const __m512i odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
    return _mm512_add_epi64(_mm512_permutex2var_epi64(a, even, b), _mm512_permutex2var_epi64(a, odd, b));
}

VHASH_AVX512_INLINE __m512i counts(const uint64_t* p, __m512i q) {
    return _mm512_popcnt_epi64(_mm512_xor_si512(load(p), q));
}

template <size_t kWords>
VHASH_AVX512_INLINE __m512i row_sum(const uint64_t* row, const uint64_t* query, size_t any_words) {
    const size_t words = kWords ? kWords : any_words;
    __m512i sum = _mm512_setzero_si512();
    size_t w = 0;
    for (; w + 8 <= words; w += 8) sum = _mm512_add_epi64(sum, counts(row + w, load(query + w)));
    if (w < words) {
        const __mmask8 tail = static_cast<__mmask8>((1u << (words - w)) - 1);
        const __m512i x =
            _mm512_xor_si512(_mm512_maskz_loadu_epi64(tail, row + w), _mm512_maskz_loadu_epi64(tail, query + w));
        sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
    }
    return sum;
}

// Distances of eight rows; kWords 0: any width.
template <size_t kWords>
VHASH_AVX512_INLINE __m512i eight_rows(const uint64_t* p, const uint64_t* query, size_t words, __m512i q) {
    if (kWords == 1) return counts(p, q);
    if (kWords == 2) return pairwise_add(counts(p, q), counts(p + 8, q));
    if (kWords == 4)
        return pairwise_add(pairwise_add(counts(p, q), counts(p + 8, q)),
                            pairwise_add(counts(p + 16, q), counts(p + 24, q)));
    __m512i s[8];
    for (size_t r = 0; r < 8; ++r)
        s[r] = kWords == 8 ? counts(p + 8 * r, q) : row_sum<kWords>(p + r * words, query, words);
    return pairwise_add(pairwise_add(pairwise_add(s[0], s[1]), pairwise_add(s[2], s[3])),
                        pairwise_add(pairwise_add(s[4], s[5]), pairwise_add(s[6], s[7])));
}

template <size_t kWords>
VHASH_AVX512_INLINE __m512i broadcast(const uint64_t* query) {
    if (kWords == 1) return _mm512_set1_epi64(static_cast<long long>(query[0]));
    const auto* q = reinterpret_cast<const long long*>(query);
    if (kWords == 2) return _mm512_set4_epi64(q[1], q[0], q[1], q[0]);
    if (kWords == 4) return _mm512_set4_epi64(q[3], q[2], q[1], q[0]);
    return kWords == 8 ? load(query) : _mm512_setzero_si512();
}

template <size_t kWords>
VHASH_AVX512 size_t scan(const uint64_t* codes, size_t rows, size_t any_words, const uint64_t* query, uint32_t limit,
                         const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    constexpr size_t kAhead = 2048;  // bytes; the CPU's own prefetcher stops at every page; not tuned
    const size_t words = kWords ? kWords : any_words;
    const __m512i q = broadcast<kWords>(query), bound = _mm512_set1_epi64(limit);
    size_t found = *count, row = 0;
    for (; row + kGroup <= rows && capacity - found >= kGroup; row += kGroup) {
        const uint64_t* p = codes + row * words;
        __m512i d[8];
        __mmask8 m[8];
        unsigned any = 0;
        for (size_t j = 0; j < 8; ++j) {
            if (kWords) {
                for (size_t line = 0; line < kWords; ++line)
                    _mm_prefetch(reinterpret_cast<const char*>(p + 8 * (j * kWords + line)) + kAhead, _MM_HINT_T0);
            }
            d[j] = eight_rows<kWords>(p + 8 * j * words, query, words, q);
            m[j] = _mm512_cmple_epu64_mask(d[j], bound);
            any |= m[j];
        }
        if (__builtin_expect(any == 0, 1)) continue;
        alignas(64) uint64_t distances[kGroup];
        uint64_t mask = 0;
        for (size_t j = 0; j < 8; ++j) {
            _mm512_store_si512(distances + 8 * j, d[j]);
            mask |= static_cast<uint64_t>(m[j]) << (8 * j);
        }
        if (live) mask &= live[row / kGroup];
        found = append_hits(hits, found, static_cast<uint32_t>(row), distances, mask);
    }
    if (row + kGroup > rows && row < rows && capacity - found >= kGroup) {
        found = scan_tail_popcnt(codes, row, rows, words, query, limit, live, hits, found);
        row = rows;
    }
    *count = found;
    return row;
}

size_t hamming_scan_avx512(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint32_t limit,
                           const uint64_t* live, Hit* hits, size_t capacity, size_t* count) {
    static constexpr ScanFn fixed[9] = {scan<0>, scan<1>, scan<2>, scan<3>, scan<4>,
                                        scan<5>, scan<6>, scan<7>, scan<8>};
    const ScanFn fn = fixed[words <= 8 ? words : 0];
    return fn(codes, rows, words, query, limit, live, hits, capacity, count);
}

template <size_t kWords>
VHASH_AVX512 void moments(const uint64_t* codes, size_t rows, size_t any_words, const uint64_t* query, uint64_t* sum,
                          uint64_t* squares) {
    const size_t words = kWords ? kWords : any_words;
    const __m512i q = broadcast<kWords>(query);
    __m512i sums = _mm512_setzero_si512(), squared = sums;
    size_t row = 0;
    for (; row + 8 <= rows; row += 8) {
        const __m512i d = eight_rows<kWords>(codes + row * words, query, words, q);
        sums = _mm512_add_epi64(sums, d);
        squared = _mm512_add_epi64(squared, _mm512_mul_epu32(d, d));
    }
    *sum += static_cast<uint64_t>(_mm512_reduce_add_epi64(sums));
    *squares += static_cast<uint64_t>(_mm512_reduce_add_epi64(squared));
    hamming_moments_popcnt(codes + row * words, rows - row, words, query, sum, squares);
}

void hamming_moments_avx512(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint64_t* sum,
                            uint64_t* squares) {
    static constexpr MomentsFn fixed[9] = {moments<0>, moments<1>, moments<2>, moments<3>, moments<4>,
                                           moments<5>, moments<6>, moments<7>, moments<8>};
    fixed[words <= 8 ? words : 0](codes, rows, words, query, sum, squares);
}

namespace slice {

#define VHASH_SLICE __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,popcnt,bmi")))
#define VHASH_SLICE_INLINE VHASH_SLICE __attribute__((always_inline)) inline
using Vec = __m512i;
constexpr size_t kTile = 512;

VHASH_SLICE_INLINE Vec load(const void* p) { return _mm512_loadu_si512(p); }
VHASH_SLICE_INLINE void store(void* p, Vec x) { _mm512_storeu_si512(p, x); }
VHASH_SLICE_INLINE Vec xor3(Vec a, Vec b, Vec c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
VHASH_SLICE_INLINE Vec majority(Vec a, Vec b, Vec c) { return _mm512_ternarylogic_epi64(a, b, c, 0xe8); }
// Where b = c the carry is b, else it is not the sum: without a the sum may overwrite it, and no
// register is copied (a copy of 64 bytes is not free on Intel).
VHASH_SLICE_INLINE Vec carry_of(Vec sum, Vec, Vec b, Vec c) { return _mm512_ternarylogic_epi64(b, sum, c, 0xb2); }
VHASH_SLICE_INLINE Vec both(Vec a, Vec b) { return _mm512_and_si512(a, b); }
VHASH_SLICE_INLINE Vec either(Vec a, Vec b) { return _mm512_or_si512(a, b); }
VHASH_SLICE_INLINE Vec complement(Vec a) { return _mm512_ternarylogic_epi64(a, a, a, 0x55); }
VHASH_SLICE_INLINE bool test_full(Vec a) { return _mm512_cmpneq_epi64_mask(a, _mm512_set1_epi64(-1)) == 0; }
VHASH_SLICE_INLINE unsigned words_set(Vec a) { return _mm512_test_epi64_mask(a, a); }

// Bit 8i + j of a plane's 64 bits is row 8j + i: what transpose_tile() leaves.
VHASH_SLICE_INLINE uint64_t row_order(uint64_t mask) { return transpose_8x8(mask); }
VHASH_SLICE_INLINE unsigned row_of(unsigned bit) { return bit % 8 * 8 + bit / 8; }

VHASH_SLICE_INLINE size_t append_words(Vec plane, uint32_t first, uint64_t* masks, uint32_t* places) {
    const __mmask8 some = static_cast<__mmask8>(words_set(plane));
    const __m256i all =
        _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(first)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    // a compressing store is slow on some processors
    _mm512_storeu_si512(masks, _mm512_maskz_compress_epi64(some, plane));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(places), _mm256_maskz_compress_epi32(some, all));
    return static_cast<size_t>(__builtin_popcount(some));
}

// One word of eight rows. A gather takes a load a row, and is only used where rows lie far from each other.
VHASH_SLICE_INLINE __m512i column(const uint64_t* rows, size_t words, size_t word, __m512i lanes) {
    if (words == 1) return _mm512_loadu_si512(rows);
    const auto w = static_cast<long long>(word);
    if (words == 2) {
        const __m512i at = _mm512_add_epi64(_mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), _mm512_set1_epi64(w));
        return _mm512_permutex2var_epi64(_mm512_loadu_si512(rows), at, _mm512_loadu_si512(rows + 8));
    }
    if (words == 4) {
        const __m512i at = _mm512_add_epi64(_mm512_setr_epi64(0, 4, 8, 12, 0, 4, 8, 12), _mm512_set1_epi64(w));
        const __m512i low = _mm512_permutex2var_epi64(_mm512_loadu_si512(rows), at, _mm512_loadu_si512(rows + 8));
        const __m512i high =
            _mm512_permutex2var_epi64(_mm512_loadu_si512(rows + 16), at, _mm512_loadu_si512(rows + 24));
        return _mm512_mask_blend_epi64(0xf0, low, high);
    }
    return _mm512_i64gather_epi64(lanes, rows + word, 8);
}

// 64 rows at a time: bytes of one column come together by interleaving, then each bit of 64 bytes is
// one mask.
VHASH_SLICE void transpose_tile(const uint64_t* codes, size_t words, size_t word, uint64_t* planes) {
    const __m512i lanes =
        _mm512_mullo_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), _mm512_set1_epi64(static_cast<long long>(words)));
    for (size_t group = 0; group < kTile / 64; ++group) {
        __m512i x[8], y[8];
        for (size_t m = 0; m < 8; ++m) {
            x[m] = column(codes + (64 * group + 8 * m) * words, words, word, lanes);
        }
        for (size_t m = 0; m < 4; ++m) {
            y[m] = _mm512_unpacklo_epi8(x[2 * m], x[2 * m + 1]);
            y[m + 4] = _mm512_unpackhi_epi8(x[2 * m], x[2 * m + 1]);
        }
        for (size_t half = 0; half < 8; half += 4) {
            x[half] = _mm512_unpacklo_epi16(y[half], y[half + 1]);
            x[half + 1] = _mm512_unpackhi_epi16(y[half], y[half + 1]);
            x[half + 2] = _mm512_unpacklo_epi16(y[half + 2], y[half + 3]);
            x[half + 3] = _mm512_unpackhi_epi16(y[half + 2], y[half + 3]);
        }
        for (size_t half = 0; half < 8; half += 4) {
            y[half] = _mm512_unpacklo_epi32(x[half], x[half + 2]);
            y[half + 1] = _mm512_unpackhi_epi32(x[half], x[half + 2]);
            y[half + 2] = _mm512_unpacklo_epi32(x[half + 1], x[half + 3]);
            y[half + 3] = _mm512_unpackhi_epi32(x[half + 1], x[half + 3]);
        }
        for (size_t m = 0; m < 4; ++m) {
            __m512i column[2] = {_mm512_unpacklo_epi64(y[m], y[m + 4]), _mm512_unpackhi_epi64(y[m], y[m + 4])};
            for (size_t c = 0; c < 2; ++c) {
                for (size_t bit = 8; bit-- > 0;) {
                    planes[(8 * (2 * m + c) + bit) * (kTile / 64) + group] = _mm512_movepi8_mask(column[c]);
                    column[c] = _mm512_add_epi8(column[c], column[c]);
                }
            }
        }
    }
}

#include "hamming/slice.inc"

}  // namespace slice

constexpr BatchKernels kSlice = slice::batch_kernels<3>(24);

}  // namespace

// Skylake and Cascade Lake servers: no population count of vectors, which the bit-sliced kernel does without.
const Kernels kKernelsAvx512bw = {
    "avx512bw",        hamming_scan_avx2, hamming_gather_popcnt, hamming_measure_popcnt, hamming_moments_popcnt,
    {&kSlice, nullptr}};
const Kernels kKernelsAvx512 = {
    "avx512",          hamming_scan_avx512, hamming_gather_popcnt, hamming_measure_popcnt, hamming_moments_avx512,
    {&kSlice, nullptr}};
#if VHASH_HAS_AMX
// for narrow codes, and where a scan can stop early, as without
const Kernels kKernelsAmx = {"amx",
                             hamming_scan_avx512,
                             hamming_gather_popcnt,
                             hamming_measure_popcnt,
                             hamming_moments_avx512,
                             {&kBatchAmx, &kSlice}};
#endif

}  // namespace vhash
#endif
