// AVX2 kernels of the resize: 32 pixels a step down the rows, 8 or 16 outputs a step across.
//
// A row costs, for 32 cells and each pair of taps, 2 loads, 6 unpacks, 4 multiply-adds and
// 4 adds. Ends that do not fill a step are done by a last step that overlaps the one before.
#if defined(__x86_64__)
#include <immintrin.h>

#include "frames/kernels.hpp"

#define AVX2 __attribute__((target("avx2")))

namespace vhash::frames {
namespace {

AVX2 inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
AVX2 inline __m128i load_half(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
AVX2 inline __m256i load_halves(const void* low, const void* high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_half(low)), load_half(high), 1);
}
AVX2 inline void store(void* p, __m256i v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
AVX2 inline void store_half(void* p, __m128i v) { _mm_storeu_si128(static_cast<__m128i*>(p), v); }

AVX2 inline __m256i pair_of(std::int16_t a, std::int16_t b) {
    return _mm256_set1_epi32(
        static_cast<std::int32_t>(static_cast<std::uint16_t>(a) | static_cast<std::uint32_t>(b) << 16));
}

struct Sums {
    __m256i s0, s1, s2, s3;
};

AVX2 inline void add_rows(Sums& sums, __m256i a, __m256i b, __m256i weight) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
    sums.s0 = _mm256_add_epi32(sums.s0, _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), weight));
    sums.s1 = _mm256_add_epi32(sums.s1, _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), weight));
    sums.s2 = _mm256_add_epi32(sums.s2, _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), weight));
    sums.s3 = _mm256_add_epi32(sums.s3, _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), weight));
}

// 32 cells of one row of m
AVX2 inline void rows_step(const std::uint8_t* p, std::ptrdiff_t stride, const std::int16_t* weights, int taps,
                           std::int16_t* m) {
    const __m256i half = _mm256_set1_epi32(1 << 6);
    Sums sums = {half, half, half, half};
    int k = 0;
    for (; k + 1 < taps; k += 2)
        add_rows(sums, load(p + k * stride), load(p + (k + 1) * stride), pair_of(weights[k], weights[k + 1]));
    if (k < taps) add_rows(sums, load(p + k * stride), _mm256_setzero_si256(), pair_of(weights[k], 0));
    const __m256i low = _mm256_packs_epi32(_mm256_srai_epi32(sums.s0, 7), _mm256_srai_epi32(sums.s1, 7));
    const __m256i high = _mm256_packs_epi32(_mm256_srai_epi32(sums.s2, 7), _mm256_srai_epi32(sums.s3, 7));
    store(m, _mm256_permute2x128_si256(low, high, 0x20));
    store(m + 16, _mm256_permute2x128_si256(low, high, 0x31));
}

AVX2 void rows(const std::uint8_t* p, std::ptrdiff_t stride, const std::int16_t* weights, int taps, int n,
               std::int16_t* m) {
    if (n < 32) return kScalar.rows(p, stride, weights, taps, n, m);
    for (int x = 0; x + 32 <= n; x += 32) rows_step(p + x, stride, weights, taps, m + x);
    if (n % 32) rows_step(p + n - 32, stride, weights, taps, m + n - 32);
}

// 8 outputs whose taps lie within 8 cells of two bases
template <int pairs>
AVX2 inline __m256i near_step(const std::int16_t* m, const Taps& taps, int group) {
    const Taps::Near& near = taps.near[group];
    const __m256i shuffle = load(near.shuffle);
    const std::int16_t* low = m + taps.near_base[2 * group];
    const std::int16_t* high = m + taps.near_base[2 * group + 1];
    __m256i sum = _mm256_set1_epi32(1 << 13);
    for (int pair = 0; pair < pairs; ++pair) {
        const __m256i cells = _mm256_shuffle_epi8(load_halves(low + 2 * pair, high + 2 * pair), shuffle);
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(cells, load(near.weights[pair])));
    }
    return _mm256_srai_epi32(sum, 14);
}

// 8 outputs, 16 taps at a time from wherever they begin
AVX2 inline __m256i far_step(const std::int16_t* m, const Taps& taps, int k) {
    const std::int32_t* first = taps.first.data() + k;
    const std::int16_t* weights = taps.weights.data() + static_cast<std::ptrdiff_t>(k) * taps.width;
    __m256i s[8];
    for (int j = 0; j < 8; ++j) s[j] = _mm256_madd_epi16(load(m + first[j]), load(weights + j * taps.width));
    for (int tap = 16; tap < taps.width; tap += 16)
        for (int j = 0; j < 8; ++j) {
            const __m256i more = _mm256_madd_epi16(load(m + first[j] + tap), load(weights + j * taps.width + tap));
            s[j] = _mm256_add_epi32(s[j], more);
        }
    const __m256i low = _mm256_hadd_epi32(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
    const __m256i high = _mm256_hadd_epi32(_mm256_hadd_epi32(s[4], s[5]), _mm256_hadd_epi32(s[6], s[7]));
    const __m256i sum =
        _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31));
    return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 13)), 14);
}

// 8 outputs of at most 8 taps
AVX2 inline __m256i middle_step(const std::int16_t* m, const Taps& taps, int k) {
    const std::int32_t* first = taps.first.data() + k;
    const std::int16_t* weights = taps.weights.data() + static_cast<std::ptrdiff_t>(k) * 8;
    __m256i s[4];
    for (int j = 0; j < 4; ++j)
        s[j] = _mm256_madd_epi16(load_halves(m + first[j], m + first[j + 4]),
                                 load_halves(weights + 8 * j, weights + 8 * (j + 4)));
    const __m256i sum = _mm256_hadd_epi32(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
    return _mm256_srai_epi32(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 13)), 14);
}

AVX2 inline void store_outputs(std::int16_t* q, __m256i a, __m256i b) {
    store(q, _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xD8));
}

AVX2 inline void store_outputs(std::int16_t* q, __m256i a) {
    store_half(q, _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1)));
}

template <int pairs>
AVX2 void near_columns(const std::int16_t* m, const Taps& taps, std::int16_t* q) {
    int k = 0;
    for (; k + 8 < taps.outputs; k += 16)
        store_outputs(q + k, near_step<pairs>(m, taps, k / 8), near_step<pairs>(m, taps, k / 8 + 1));
    if (k < taps.outputs) store_outputs(q + k, near_step<pairs>(m, taps, k / 8));
}

AVX2 void columns(const std::int16_t* m, const Taps& taps, std::int16_t* q) {
    if (taps.near_pairs == 1) return near_columns<1>(m, taps, q);
    if (taps.near_pairs == 2) return near_columns<2>(m, taps, q);
    if (taps.width == 8) {
        for (int k = 0; k < taps.outputs; k += 8) store_outputs(q + k, middle_step(m, taps, k));
    } else {
        for (int k = 0; k < taps.outputs; k += 8) store_outputs(q + k, far_step(m, taps, k));
    }
}

AVX2 void split2(const std::int16_t* m, int n, std::int16_t* const* parts) {
    int x = 0;
    for (; x + 16 <= n; x += 16) {
        const __m256i a = load(m + 2 * x), b = load(m + 2 * x + 16);
        const __m256i even = _mm256_packs_epi32(_mm256_srai_epi32(_mm256_slli_epi32(a, 16), 16),
                                                _mm256_srai_epi32(_mm256_slli_epi32(b, 16), 16));
        const __m256i odd = _mm256_packs_epi32(_mm256_srai_epi32(a, 16), _mm256_srai_epi32(b, 16));
        store(parts[0] + x, _mm256_permute4x64_epi64(even, 0xD8));
        store(parts[1] + x, _mm256_permute4x64_epi64(odd, 0xD8));
    }
    for (; x < n; ++x) parts[0][x] = m[2 * x], parts[1][x] = m[2 * x + 1];
}

// Byte masks between 16-byte blocks of pixels RGBRGB... and of one channel; Z clears a byte.
constexpr char Z = -128;
// [channel][block]: 8 int16 of a channel out of 48 bytes
alignas(16) constexpr char kGather[3][3][16] = {{{0, 1, 6, 7, 12, 13, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z},
                                                 {Z, Z, Z, Z, Z, Z, 2, 3, 8, 9, 14, 15, Z, Z, Z, Z},
                                                 {Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, 4, 5, 10, 11}},
                                                {{2, 3, 8, 9, 14, 15, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z},
                                                 {Z, Z, Z, Z, Z, Z, 4, 5, 10, 11, Z, Z, Z, Z, Z, Z},
                                                 {Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, 0, 1, 6, 7, 12, 13}},
                                                {{4, 5, 10, 11, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z},
                                                 {Z, Z, Z, Z, 0, 1, 6, 7, 12, 13, Z, Z, Z, Z, Z, Z},
                                                 {Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, 2, 3, 8, 9, 14, 15}}};
// [block][channel]: 16 bytes of a channel into 48
alignas(16) constexpr char kScatter[3][3][16] = {{{0, Z, Z, 1, Z, Z, 2, Z, Z, 3, Z, Z, 4, Z, Z, 5},
                                                  {Z, 0, Z, Z, 1, Z, Z, 2, Z, Z, 3, Z, Z, 4, Z, Z},
                                                  {Z, Z, 0, Z, Z, 1, Z, Z, 2, Z, Z, 3, Z, Z, 4, Z}},
                                                 {{Z, Z, 6, Z, Z, 7, Z, Z, 8, Z, Z, 9, Z, Z, 10, Z},
                                                  {5, Z, Z, 6, Z, Z, 7, Z, Z, 8, Z, Z, 9, Z, Z, 10},
                                                  {Z, 5, Z, Z, 6, Z, Z, 7, Z, Z, 8, Z, Z, 9, Z, Z}},
                                                 {{Z, 11, Z, Z, 12, Z, Z, 13, Z, Z, 14, Z, Z, 15, Z, Z},
                                                  {Z, Z, 11, Z, Z, 12, Z, Z, 13, Z, Z, 14, Z, Z, 15, Z},
                                                  {10, Z, Z, 11, Z, Z, 12, Z, Z, 13, Z, Z, 14, Z, Z, 15}}};

AVX2 void split3(const std::int16_t* m, int n, std::int16_t* const* parts) {
    int x = 0;
    for (; x + 8 <= n; x += 8) {
        const __m128i blocks[3] = {load_half(m + 3 * x), load_half(m + 3 * x + 8), load_half(m + 3 * x + 16)};
        for (int c = 0; c < 3; ++c) {
            const __m128i first = _mm_shuffle_epi8(blocks[0], load_half(kGather[c][0]));
            const __m128i second = _mm_shuffle_epi8(blocks[1], load_half(kGather[c][1]));
            const __m128i third = _mm_shuffle_epi8(blocks[2], load_half(kGather[c][2]));
            store_half(parts[c] + x, _mm_or_si128(_mm_or_si128(first, second), third));
        }
    }
    for (; x < n; ++x)
        for (int c = 0; c < 3; ++c) parts[c][x] = m[3 * x + c];
}

// 32 pixels from three channels of 32 int16 in [0, 255] after saturation
AVX2 inline void store_pixels(const __m256i (&low)[3], const __m256i (&high)[3], std::uint8_t* rgb) {
    __m256i channel[3];  // bytes of pixels 0..15 in the low half, 16..31 in the high one
    for (int c = 0; c < 3; ++c) channel[c] = _mm256_permute4x64_epi64(_mm256_packus_epi16(low[c], high[c]), 0xD8);
    for (int block = 0; block < 3; ++block) {
        __m256i bytes = _mm256_setzero_si256();
        for (int c = 0; c < 3; ++c)
            bytes = _mm256_or_si256(
                bytes, _mm256_shuffle_epi8(channel[c], _mm256_broadcastsi128_si256(load_half(kScatter[block][c]))));
        store_half(rgb + 16 * block, _mm256_castsi256_si128(bytes));
        store_half(rgb + 48 + 16 * block, _mm256_extracti128_si256(bytes, 1));
    }
}

struct Weights {
    __m256i r_yv, g_yu, g_yv, b_yu, r_bias, g_bias, b_bias;
};

AVX2 inline __m256i shifted(__m256i low, __m256i high, __m256i bias) {
    return _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(low, bias), 20),
                              _mm256_srai_epi32(_mm256_add_epi32(high, bias), 20));
}

AVX2 inline void mix(const std::int16_t* y, const std::int16_t* u, const std::int16_t* v, const Weights& w, __m256i& r,
                     __m256i& g, __m256i& b) {
    const __m256i Y = load(y), U = load(u), V = load(v);
    const __m256i yu_low = _mm256_unpacklo_epi16(Y, U), yu_high = _mm256_unpackhi_epi16(Y, U);
    const __m256i yv_low = _mm256_unpacklo_epi16(Y, V), yv_high = _mm256_unpackhi_epi16(Y, V);
    r = shifted(_mm256_madd_epi16(yv_low, w.r_yv), _mm256_madd_epi16(yv_high, w.r_yv), w.r_bias);
    g = shifted(_mm256_add_epi32(_mm256_madd_epi16(yu_low, w.g_yu), _mm256_madd_epi16(yv_low, w.g_yv)),
                _mm256_add_epi32(_mm256_madd_epi16(yu_high, w.g_yu), _mm256_madd_epi16(yv_high, w.g_yv)), w.g_bias);
    b = shifted(_mm256_madd_epi16(yu_low, w.b_yu), _mm256_madd_epi16(yu_high, w.b_yu), w.b_bias);
}

AVX2 void colour(const std::int16_t* y, const std::int16_t* u, const std::int16_t* v, int n, const Colour& k,
                 std::uint8_t* rgb) {
    if (n < 32) return kScalar.colour(y, u, v, n, k, rgb);
    const Weights w = {pair_of(k.r.y, k.r.v),      pair_of(k.g.y, k.g.u),       pair_of(0, k.g.v),
                       pair_of(k.b.y, k.b.u),      _mm256_set1_epi32(k.r.bias), _mm256_set1_epi32(k.g.bias),
                       _mm256_set1_epi32(k.b.bias)};
    for (int x = 0;;) {
        __m256i low[3], high[3];
        mix(y + x, u + x, v + x, w, low[0], low[1], low[2]);
        mix(y + x + 16, u + x + 16, v + x + 16, w, high[0], high[1], high[2]);
        store_pixels(low, high, rgb + 3 * x);
        if (x + 32 == n) return;
        x = x + 64 <= n ? x + 32 : n - 32;
    }
}

AVX2 void merge(const std::int16_t* r, const std::int16_t* g, const std::int16_t* b, int n, std::uint8_t* rgb) {
    if (n < 32) return kScalar.merge(r, g, b, n, rgb);
    const __m256i half = _mm256_set1_epi16(64);
    const std::int16_t* const channels[3] = {r, g, b};
    for (int x = 0;;) {
        __m256i low[3], high[3];
        for (int c = 0; c < 3; ++c) {
            low[c] = _mm256_srai_epi16(_mm256_add_epi16(load(channels[c] + x), half), 7);
            high[c] = _mm256_srai_epi16(_mm256_add_epi16(load(channels[c] + x + 16), half), 7);
        }
        store_pixels(low, high, rgb + 3 * x);
        if (x + 32 == n) return;
        x = x + 64 <= n ? x + 32 : n - 32;
    }
}

}  // namespace

const Kernels kAvx2 = {rows, columns, split2, split3, colour, merge};

}  // namespace vhash::frames
#endif
