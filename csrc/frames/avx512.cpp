// AVX-512 (BW) kernels of the resize: 64 pixels a step down the rows; across, one shuffle of a
// window of 64 cells feeds 16 multiply-adds. What AVX2 does as well is taken from there.
#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // inside GCC 12's own header, GCC bug 105593
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include "frames/kernels.hpp"

#define AVX512 __attribute__((target("avx512f,avx512bw")))

namespace vhash::frames {
namespace {

AVX512 inline __m512i load(const void* p) { return _mm512_loadu_si512(p); }

AVX512 inline __m512i pair_of(std::int16_t a, std::int16_t b) {
    return _mm512_set1_epi32(
        static_cast<std::int32_t>(static_cast<std::uint16_t>(a) | static_cast<std::uint32_t>(b) << 16));
}

struct Sums {
    __m512i s0, s1, s2, s3;
};

AVX512 inline void add_rows(Sums& sums, __m512i a, __m512i b, __m512i weight) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
    sums.s0 = _mm512_add_epi32(sums.s0, _mm512_madd_epi16(_mm512_unpacklo_epi8(low, zero), weight));
    sums.s1 = _mm512_add_epi32(sums.s1, _mm512_madd_epi16(_mm512_unpackhi_epi8(low, zero), weight));
    sums.s2 = _mm512_add_epi32(sums.s2, _mm512_madd_epi16(_mm512_unpacklo_epi8(high, zero), weight));
    sums.s3 = _mm512_add_epi32(sums.s3, _mm512_madd_epi16(_mm512_unpackhi_epi8(high, zero), weight));
}

// 64 cells of one row of m
AVX512 inline void rows_step(const std::uint8_t* p, std::ptrdiff_t stride, const std::int16_t* weights, int taps,
                             std::int16_t* m) {
    const __m512i half = _mm512_set1_epi32(1 << 6);
    Sums sums = {half, half, half, half};
    int k = 0;
    for (; k + 1 < taps; k += 2)
        add_rows(sums, load(p + k * stride), load(p + (k + 1) * stride), pair_of(weights[k], weights[k + 1]));
    if (k < taps) add_rows(sums, load(p + k * stride), _mm512_setzero_si512(), pair_of(weights[k], 0));
    const __m512i low = _mm512_packs_epi32(_mm512_srai_epi32(sums.s0, 7), _mm512_srai_epi32(sums.s1, 7));
    const __m512i high = _mm512_packs_epi32(_mm512_srai_epi32(sums.s2, 7), _mm512_srai_epi32(sums.s3, 7));
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
    const __m512i second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    _mm512_storeu_si512(m, _mm512_permutex2var_epi64(low, first, high));
    _mm512_storeu_si512(m + 32, _mm512_permutex2var_epi64(low, second, high));
}

AVX512 void rows(const std::uint8_t* p, std::ptrdiff_t stride, const std::int16_t* weights, int taps, int n,
                 std::int16_t* m) {
    if (n < 64) return kAvx2.rows(p, stride, weights, taps, n, m);
    for (int x = 0; x + 64 <= n; x += 64) rows_step(p + x, stride, weights, taps, m + x);
    if (n % 64) rows_step(p + n - 64, stride, weights, taps, m + n - 64);
}

// Groups of `size` outputs; `wide` where a group spans more than 32 cells.
template <int size, bool wide>
AVX512 void window_columns(const std::int16_t* m, const Taps& taps, std::int16_t* q) {
    const Taps::Window* tables = taps.windows.data();
    const std::int32_t steps = taps.window_steps;
    for (std::int32_t group = 0; group * size < taps.outputs; ++group, tables += steps) {
        const std::int16_t* window = m + taps.window_base[group];
        const __m512i a = load(window), b = wide ? load(window + 32) : a;
        const auto step = [&](const Taps::Window& table) AVX512 {
            const __m512i places = load(table.places);
            const __m512i cells = wide ? _mm512_permutex2var_epi16(a, places, b) : _mm512_permutexvar_epi16(places, a);
            return _mm512_madd_epi16(cells, load(table.weights));
        };
        __m512i sum = step(tables[0]);
        for (std::int32_t k = 1; k < steps; ++k) sum = _mm512_add_epi32(sum, step(tables[k]));
        if (size == 16) {
            sum = _mm512_srai_epi32(_mm512_add_epi32(sum, _mm512_set1_epi32(1 << 13)), 14);
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(q + 16 * group), _mm512_cvtepi32_epi16(sum));
            continue;
        }
        __m256i folded = _mm256_add_epi32(_mm512_castsi512_si256(sum), _mm512_extracti64x4_epi64(sum, 1));
        folded = _mm256_srai_epi32(_mm256_add_epi32(folded, _mm256_set1_epi32(1 << 13)), 14);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 8 * group),
                         _mm_packs_epi32(_mm256_castsi256_si128(folded), _mm256_extracti128_si256(folded, 1)));
    }
}

AVX512 void columns(const std::int16_t* m, const Taps& taps, std::int16_t* q) {
    const bool wide = taps.window_wide;
    if (taps.window_size == 16) return (wide ? window_columns<16, true> : window_columns<16, false>)(m, taps, q);
    if (taps.window_size == 8) return (wide ? window_columns<8, true> : window_columns<8, false>)(m, taps, q);
    kAvx2.columns(m, taps, q);
}

}  // namespace

const Kernels kAvx512 = {rows, columns, kAvx2.split2, kAvx2.split3, kAvx2.colour, kAvx2.merge};

}  // namespace vhash::frames
#endif
