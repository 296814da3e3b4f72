// AMX (Sapphire Rapids and later): distances as products of matrices of -1 and +1 in int8. One instruction
// multiplies 16 codes with 16 queries, 64 bits of each: 16 cycles for 256 pairs, where the bit-sliced kernel
// takes about 26 of AVX-512. Copying the sums out of the tiles costs as much as a word, so it pays for wide codes.
//
// The product of two codes of b bits at distance d is b - 2d.
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 takes the deliberately undefined operands of its own intrinsics for a mistake (bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "hamming/x86.hpp"

#if defined(__x86_64__)
#if VHASH_HAS_AMX
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "system/x86.hpp"

#define VHASH_AMX \
    __attribute__((target("amx-tile,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,popcnt,bmi")))
#define VHASH_AMX_INLINE VHASH_AMX __attribute__((always_inline)) inline

namespace vhash {
namespace {

constexpr size_t kSide = 16;            // codes and queries of a matrix tile
constexpr size_t kStep = 64;            // bits of them, each a byte
constexpr size_t kMatrix = kSide * 64;  // bytes of a tile
constexpr size_t kTiles = 4;            // of codes, each multiplied with the same queries
constexpr size_t kRows = kTiles * kSide;
constexpr long kTileData = 18;  // the kernel's number of the state that has to be asked for

size_t group_bytes(size_t words) { return words * kMatrix + kSide * sizeof(int32_t); }
size_t table_bytes(size_t words) { return kTiles * words * kMatrix; }
size_t batch_bytes(size_t words, size_t n) { return (n + kSide - 1) / kSide * group_bytes(words); }

// [tile of rows][word][row][bit]
VHASH_AMX void build(const uint64_t* codes, size_t words, void* table) {
    auto* out = static_cast<char*>(table);
    const __m512i one = _mm512_set1_epi8(1), minus = _mm512_set1_epi8(-1);
    for (size_t t = 0; t < kTiles; ++t)
        for (size_t w = 0; w < words; ++w) {
            const uint64_t* word = codes + t * kSide * words + w;
            for (size_t r = 0; r < kSide; ++r, word += words, out += kStep)
                _mm512_store_si512(out, _mm512_mask_blend_epi8(*word, minus, one));
        }
}

// [group of queries]([word][four bits][query][bit], thresholds): the order that the instruction wants of its second
// factor. A threshold is the least product that is a hit.
void set_query(const uint64_t* query, size_t words, size_t q, void* batch) {
    char* out = static_cast<char*>(batch) + q / kSide * group_bytes(words) + q % kSide * 4;
    for (size_t w = 0; w < words; ++w)
        for (size_t bit = 0; bit < kStep; bit += 4) {
            constexpr uint32_t kSpread = 0x00204081, kOnes = 0x01010101;  // a bit to each byte
            const auto four = static_cast<uint32_t>(query[w] >> bit & 15);
            const uint32_t plus = four * kSpread & kOnes, signs = plus | (plus ^ kOnes) * 0xff;
            std::memcpy(out + w * kMatrix + bit / 4 * 64, &signs, 4);
        }
}

void set_limit(uint32_t limit, size_t words, size_t q, void* batch) {
    auto* out =
        reinterpret_cast<int32_t*>(static_cast<char*>(batch) + q / kSide * group_bytes(words) + words * kMatrix);
    out[q % kSide] = static_cast<int32_t>(kStep * words) - 2 * static_cast<int32_t>(limit);
}

void set_first(const uint64_t* query, size_t words, size_t q, void* batch) {
    set_query(query, words, q, batch);
    set_limit(0, words, q, batch);
}

// The largest of each query's products with the rows of a tile.
VHASH_AMX_INLINE __m512i largest(const int32_t (*products)[kSide]) {
    __m512i a = _mm512_load_si512(products[0]), b = _mm512_load_si512(products[1]);
    for (size_t r = 2; r < kSide; r += 2) {
        a = _mm512_max_epi32(a, _mm512_load_si512(products[r]));
        b = _mm512_max_epi32(b, _mm512_load_si512(products[r + 1]));
    }
    return _mm512_max_epi32(a, b);
}

// Hits among the products of one tile of rows; `valid`: the queries that there are.
VHASH_AMX size_t write_hits(const int32_t (*products)[kSide], __m512i thresholds, __mmask16 valid, size_t query,
                            size_t row, BatchHit* hits) {
    alignas(32) uint16_t of_row[kSide];
    for (size_t r = 0; r < kSide; ++r)
        of_row[r] = _mm512_mask_cmpge_epi32_mask(valid, _mm512_load_si512(products[r]), thresholds);
    const __m256i all = _mm256_load_si256(reinterpret_cast<const __m256i*>(of_row));
    BatchHit* out = hits;
    for (unsigned rows = _mm256_test_epi16_mask(all, all); rows; rows &= rows - 1) {
        const unsigned r = static_cast<unsigned>(__builtin_ctz(rows));
        for (unsigned some = of_row[r]; some; some &= some - 1)
            *out++ = {static_cast<uint32_t>(query) + static_cast<unsigned>(__builtin_ctz(some)),
                      static_cast<uint32_t>(row) + r};
    }
    return static_cast<size_t>(out - hits);
}

// kWords 0: any width.
template <size_t kWords>
VHASH_AMX size_t scan(BatchScan& scan, BatchHit* hits, size_t capacity) {
    struct alignas(64) Shape {
        uint8_t palette = 1, start = 0, reserved[14] = {};
        uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    };
    static_assert(sizeof(Shape) == 64, "what LDTILECFG reads");
    const Shape shape;
    const size_t words = kWords ? kWords : scan.words, groups = (scan.n + kSide - 1) / kSide;
    const char *rows = static_cast<const char*>(scan.table), *batch = static_cast<const char*>(scan.batch);
    const size_t step = words * kMatrix, group = group_bytes(words);
    alignas(64) int32_t products[kRows][kSide];
    size_t found = 0, g = scan.next / kSide;
    const size_t first = g;
    const bool ahead = words <= 6;  // wider ones fill the L1 cache as it is
    _tile_loadconfig(&shape);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (; g <= groups && capacity - found >= kRows * kSide; ++g) {
        // The last group's products leave while this one's begin: neither unit waits for the other.
        if (g == groups) {
            _tile_stored(0, products, 64);
            _tile_stored(1, products + kSide, 64);
            _tile_stored(2, products + 2 * kSide, 64);
            _tile_stored(3, products + 3 * kSide, 64);
        }
        const char *a = rows, *b = batch + g * group;
        for (size_t w = 0; w < words && g < groups; ++w, a += kMatrix, b += kMatrix) {
            if (ahead)
                for (size_t line = 0; line < kMatrix; line += 64) _mm_prefetch(b + group + line, _MM_HINT_T0);
            _tile_loadd(4, b, 64);
            _tile_loadd(5, a, 64);
            if (w == 0) {
                _tile_stored(0, products, 64);
                _tile_zero(0);
            }
            _tile_dpbssd(0, 5, 4);
            _tile_loadd(6, a + step, 64);
            if (w == 0) {
                _tile_stored(1, products + kSide, 64);
                _tile_zero(1);
            }
            _tile_dpbssd(1, 6, 4);
            _tile_loadd(7, a + 2 * step, 64);
            if (w == 0) {
                _tile_stored(2, products + 2 * kSide, 64);
                _tile_zero(2);
            }
            _tile_dpbssd(2, 7, 4);
            _tile_loadd(5, a + 3 * step, 64);
            if (w == 0) {
                _tile_stored(3, products + 3 * kSide, 64);
                _tile_zero(3);
            }
            _tile_dpbssd(3, 5, 4);
        }
        if (g == first) continue;
        const __m512i thresholds = _mm512_load_si512(batch + (g - 1) * group + step);
        const __m512i best[kTiles] = {largest(products), largest(products + kSide), largest(products + 2 * kSide),
                                      largest(products + 3 * kSide)};
        const __m512i most = _mm512_max_epi32(_mm512_max_epi32(best[0], best[1]), _mm512_max_epi32(best[2], best[3]));
        if (__builtin_expect(_mm512_cmpge_epi32_mask(most, thresholds) == 0, 1)) continue;
        const size_t query = (g - 1) * kSide, left = scan.n - query;
        const auto valid = static_cast<__mmask16>(left < kSide ? (1u << left) - 1 : 0xffffu);
        unsigned tiles = 0;
        for (size_t t = 0; t < kTiles; ++t)
            tiles |= static_cast<unsigned>(_mm512_cmpge_epi32_mask(best[t], thresholds) != 0) << t;
        for (; tiles; tiles &= tiles - 1) {
            const size_t row = kSide * static_cast<size_t>(__builtin_ctz(tiles));
            found += write_hits(products + row, thresholds, valid, query, row, hits + found);
        }
    }
    _tile_release();
    scan.next = g > groups ? scan.n : (g - 1) * kSide;  // what waits in the tiles is multiplied again
    return found;
}

size_t hamming_products(BatchScan& args, BatchHit* hits, size_t capacity) {
    return args.words == 4   ? scan<4>(args, hits, capacity)
           : args.words == 8 ? scan<8>(args, hits, capacity)
                             : scan<0>(args, hits, capacity);
}

// Asked for once, when the first batch would use it: from then on the kernel keeps 8 KiB more of a thread that used it,
// and wants larger signal stacks.
bool allowed() {
    constexpr long kRequest = 0x1023;  // ARCH_REQ_XCOMP_PERM
    static const bool granted = syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
    return granted;
}

}  // namespace

bool has_amx() {
    constexpr long kSupported = 0x1021;  // ARCH_GET_XCOMP_SUPP
    uint64_t supported = 0;
    return x86().amx_int8 && syscall(SYS_arch_prctl, kSupported, &supported) == 0 && (supported >> kTileData & 1);
}

const BatchKernels kBatchAmx = {"products",  kRows,       kSide, 24,        3,         false,           allowed,
                                table_bytes, batch_bytes, build, set_first, set_limit, hamming_products};

}  // namespace vhash
#endif
#endif
