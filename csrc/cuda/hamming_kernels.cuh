// Kernels that scan codes in device memory for those within a limit of each query.
//
// A row is WORDS (1, 2, 4 or 8) 64-bit words, or any even number of them for scan_wide; rows ascend with
// their ids. Each scan appends (distance << 48 | row) for the rows [from, to) within `limits[q]` bits of
// query q to that query's part of `keys`, in no order; counts go on where a part is full. Hits are rare,
// so what is fast is finding that there are none:
//
//   scan_few     up to 4 queries, bound by memory bandwidth; the rows are split over all SMs
//   scan_popc    a row in registers against a chunk of queries: 2 population counts per 64 bits and pair
//   scan_slices  32 rows a thread, bit-sliced: about 2.5 three-input logic operations per bit and 32 pairs
//   scan_s8      tensor cores on ±1: the product is bits - 2 · distance; the limit is in the sums' start
//   scan_b1      tensor cores on bits: AND of (query, ~query) with (~code, code) counts the distance
//
// Rows beyond `to` may be read (the codes are padded by kPadRows) but never become hits.
#pragma once

#include "cuda/device.hpp"

namespace vhash::cuda {

constexpr int kRowBits = 48;
constexpr std::uint64_t kRowMask = (std::uint64_t{1} << kRowBits) - 1;
constexpr std::uint64_t kPadRows = 8192;

struct Scan {
    const std::uint64_t* codes;
    std::uint64_t from, to;        // `from` is even
    const std::uint64_t* queries;  // [queries][words], padded with zeros to a multiple of 16 queries
    const std::int32_t* limits;    // inclusive; -1: none; padding has -1
    unsigned n;                    // queries
    unsigned words;                // of a row and of a query
    const std::uint64_t* start;    // [n + 1] where in `keys` each query's part begins
    unsigned long long* counts;    // [n]
    std::uint64_t* keys;
};

__device__ inline void add_hit(const Scan& s, unsigned q, std::uint64_t row, int distance) {
    if (row >= s.to || q >= s.n) return;
    const std::uint64_t place = s.start[q] + atomicAdd(&s.counts[q], 1ull);
    if (place < s.start[q + 1]) s.keys[place] = static_cast<std::uint64_t>(distance) << kRowBits | row;
}

template <int WORDS>
__device__ inline int distance(const std::uint64_t* a, const std::uint64_t* b) {
    int sum = 0;
    for (int w = 0; w < WORDS; ++w) sum += __popcll(a[w] ^ b[w]);
    return sum;
}

// Bytes to rows of words, padding zeroed: out[i][w] for i < n.
__global__ void pack_codes(const unsigned char* bytes, std::uint64_t n, unsigned bits, unsigned words,
                           std::uint64_t* out) {
    const std::uint64_t at = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at >= n * words) return;
    const std::uint64_t row = at / words;
    const unsigned word = static_cast<unsigned>(at % words), size = (bits + 7) / 8;
    std::uint64_t value = 0;
    for (unsigned i = 0; i < 8 && 8 * word + i < size; ++i)
        value |= std::uint64_t{bytes[row * size + 8 * word + i]} << (8 * i);
    const unsigned first = 64 * word;
    if (first >= bits) value = 0;
    else if (bits - first < 64) value &= (std::uint64_t{1} << (bits - first)) - 1;
    out[at] = value;
}

// Picks rows: out[i] = codes[rows[i]].
__global__ void gather_codes(const std::uint64_t* codes, const std::int64_t* rows, std::uint64_t n, unsigned words,
                             std::uint64_t* out) {
    const std::uint64_t at = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at < n * words) out[at] = codes[static_cast<std::uint64_t>(rows[at / words]) * words + at % words];
}

constexpr unsigned kFewThreads = 256, kFewQueries = 4;

template <int WORDS>
constexpr unsigned few_rows() {  // that a block takes at once
    return kFewThreads * (WORDS == 1 ? 16 : WORDS == 2 ? 8 : WORDS == 4 ? 4 : 2);
}

template <int WORDS, int QUERIES>
__global__ void __launch_bounds__(kFewThreads) scan_few(Scan s) {
    constexpr int kPair = WORDS == 1 ? 2 : 1;                                 // rows in a load of 16 bytes
    constexpr int kLoads = WORDS == 1 ? 1 : WORDS / 2, kUnroll = 8 / kLoads;  // 128 bytes in flight
    std::uint64_t query[QUERIES][WORDS];
    int limit[QUERIES];
    for (int q = 0; q < QUERIES; ++q) {
        limit[q] = s.limits[q];
        for (int w = 0; w < WORDS; ++w) query[q][w] = s.queries[q * WORDS + w];
    }
    constexpr std::uint64_t span = few_rows<WORDS>();
    for (std::uint64_t base = s.from + blockIdx.x * span; base < s.to; base += gridDim.x * span) {
        ulonglong2 loaded[kUnroll][kLoads];
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) {
            const std::uint64_t row = base + (u * kFewThreads + threadIdx.x) * kPair;
            const auto* from = reinterpret_cast<const ulonglong2*>(s.codes + row * WORDS);
#pragma unroll
            for (int i = 0; i < kLoads; ++i) loaded[u][i] = __ldcs(from + i);
        }
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) {
            const std::uint64_t row = base + (u * kFewThreads + threadIdx.x) * kPair;
            std::uint64_t code[2 * kLoads];
#pragma unroll
            for (int i = 0; i < kLoads; ++i) code[2 * i] = loaded[u][i].x, code[2 * i + 1] = loaded[u][i].y;
#pragma unroll
            for (int q = 0; q < QUERIES; ++q)
#pragma unroll
                for (int i = 0; i < kPair; ++i) {
                    const int d = distance<WORDS>(code + i * WORDS, query[q]);
                    if (d <= limit[q]) add_hit(s, q, row + i, d);
                }
        }
    }
}

constexpr unsigned kPopcThreads = 256;
template <int WORDS>
constexpr unsigned popc_rows() {  // of a thread
    return WORDS <= 2 ? 4 : WORDS == 4 ? 2 : 1;
}
template <int WORDS>
constexpr unsigned popc_queries() {  // of a block
    return 1024 / WORDS;
}

// Blocks of one column of the grid share a chunk of queries.
template <int WORDS>
__global__ void __launch_bounds__(kPopcThreads) scan_popc(Scan s) {
    constexpr unsigned kRows = popc_rows<WORDS>(), kQueries = popc_queries<WORDS>();
    __shared__ std::uint64_t queries[kQueries * WORDS];
    __shared__ int limits[kQueries];
    const unsigned first = blockIdx.y * kQueries, n = s.n - first < kQueries ? s.n - first : kQueries;
    for (unsigned i = threadIdx.x; i < n * WORDS; i += kPopcThreads)
        queries[i] = s.queries[std::uint64_t{first} * WORDS + i];
    for (unsigned i = threadIdx.x; i < n; i += kPopcThreads) limits[i] = s.limits[first + i];
    __syncthreads();
    constexpr std::uint64_t span = kPopcThreads * kRows;
    for (std::uint64_t base = s.from + blockIdx.x * span; base < s.to; base += gridDim.x * span) {
        std::uint64_t code[kRows][WORDS];
#pragma unroll
        for (unsigned r = 0; r < kRows; ++r)
#pragma unroll
            for (int w = 0; w < WORDS; ++w) code[r][w] = s.codes[(base + r * kPopcThreads + threadIdx.x) * WORDS + w];
        for (unsigned q = 0; q < n; ++q) {
            const int limit = limits[q];
#pragma unroll
            for (unsigned r = 0; r < kRows; ++r) {
                const int d = distance<WORDS>(code[r], queries + q * WORDS);
                if (d <= limit) add_hit(s, first + q, base + r * kPopcThreads + threadIdx.x, d);
            }
        }
    }
}

constexpr unsigned kWideQueries = 64;

// Codes of any width, a thread to a row.
__global__ void __launch_bounds__(256) scan_wide(Scan s) {
    const unsigned first = blockIdx.y * kWideQueries, n = s.n - first < kWideQueries ? s.n - first : kWideQueries;
    const std::uint64_t stride = std::uint64_t{gridDim.x} * blockDim.x;
    for (std::uint64_t row = s.from + std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; row < s.to; row += stride)
        for (unsigned q = first; q < first + n; ++q) {
            int d = 0;
            for (unsigned w = 0; w < s.words; ++w)
                d += __popcll(s.codes[row * s.words + w] ^ s.queries[std::uint64_t{q} * s.words + w]);
            if (d <= s.limits[q]) add_hit(s, q, row, d);
        }
}

constexpr unsigned kSliceThreads = 128;
constexpr unsigned kSliceQueries = 32;  // of a block

// Bit c of rows[r] goes to bit r of rows[c] (Warren, Hacker's Delight, 7-3).
__device__ inline void transpose_32x32(std::uint32_t (&rows)[32]) {
    std::uint32_t mask = 0x0000ffffu;
#pragma unroll
    for (int half = 16; half; half /= 2, mask ^= mask << half) {
#pragma unroll
        for (int r = 0; r < 32; ++r) {
            if (r & half) continue;
            const std::uint32_t t = ((rows[r] >> half) ^ rows[r + half]) & mask;
            rows[r] ^= t << half;
            rows[r + half] ^= t;
        }
    }
}

// A query as masks: for each pair of bit positions the first bit, and the XOR of both, over a whole word.
template <int WORDS>
struct SliceQuery {
    std::uint32_t first[32 * WORDS], both[32 * WORDS];
    std::uint32_t digits[8];    // of the total's start, 2^K - (limit + 1)
    std::uint32_t beyond, all;  // all ones where no row, or every row, is a hit
};

// The distances of 32 rows to a query, plus the start, by a tree of full adders: returns its last carry.
template <int WORDS, int LEVEL, int I>
__device__ inline std::uint32_t add_planes(const std::uint32_t (&first)[32 * WORDS],
                                           const std::uint32_t (&both)[32 * WORDS], const SliceQuery<WORDS>& query,
                                           std::uint32_t (&digits)[8]) {
    const std::uint32_t digit = digits[LEVEL];
    if constexpr (LEVEL == 0) {
        const std::uint32_t x = first[I] ^ query.first[I], sum = digit ^ both[I] ^ query.both[I], differ = digit ^ sum;
        digits[0] = sum;
        return (differ & digit) | (~differ & x);  // the majority of digit, x and the other: x ^ other is `differ`
    } else {
        const std::uint32_t a = add_planes<WORDS, LEVEL - 1, 2 * I>(first, both, query, digits);
        const std::uint32_t b = add_planes<WORDS, LEVEL - 1, 2 * I + 1>(first, both, query, digits);
        digits[LEVEL] = digit ^ a ^ b;
        return (digit & a) | (digit & b) | (a & b);
    }
}

template <int WORDS>
__global__ void __launch_bounds__(kSliceThreads) scan_slices(Scan s) {
    constexpr int kDigits = WORDS == 1 ? 6 : 7;  // 2^kDigits = 64 · WORDS
    __shared__ SliceQuery<WORDS> queries[kSliceQueries];
    const unsigned begin = blockIdx.y * kSliceQueries, n = s.n - begin < kSliceQueries ? s.n - begin : kSliceQueries;
    for (unsigned i = threadIdx.x; i < n * 32 * WORDS; i += kSliceThreads) {
        const unsigned q = i / (32 * WORDS), pair = i % (32 * WORDS);
        const std::uint64_t word = s.queries[std::uint64_t{begin + q} * WORDS + pair / 32] >> (2 * (pair % 32));
        queries[q].first[pair] = word & 1 ? ~0u : 0u;
        queries[q].both[pair] = (word ^ word >> 1) & 1 ? ~0u : 0u;
    }
    for (unsigned q = threadIdx.x; q < n; q += kSliceThreads) {
        const int limit = s.limits[begin + q];
        const std::uint32_t start = (1u << kDigits) - static_cast<std::uint32_t>(limit + 1);
        for (int d = 0; d < 8; ++d) queries[q].digits[d] = start >> d & 1 && d < kDigits ? ~0u : 0u;
        queries[q].beyond = limit < 0 ? ~0u : 0u;
        queries[q].all = limit >= 64 * WORDS ? ~0u : 0u;
    }
    __syncthreads();
    constexpr std::uint64_t span = 32 * kSliceThreads;
    for (std::uint64_t base = s.from + blockIdx.x * span; base < s.to; base += gridDim.x * span) {
        // bit j of a plane is row base + j * kSliceThreads + this thread
        std::uint32_t first[32 * WORDS], both[32 * WORDS];
#pragma unroll
        for (int half = 0; half < 2 * WORDS; ++half) {
            std::uint32_t rows[32];
#pragma unroll
            for (int j = 0; j < 32; ++j)
                rows[j] = reinterpret_cast<const std::uint32_t*>(
                    s.codes)[(base + j * kSliceThreads + threadIdx.x) * 2 * WORDS + half];
            transpose_32x32(rows);
#pragma unroll
            for (int pair = 0; pair < 16; ++pair) {
                first[16 * half + pair] = rows[2 * pair];
                both[16 * half + pair] = rows[2 * pair] ^ rows[2 * pair + 1];
            }
        }
        for (unsigned q = 0; q < n; ++q) {
            std::uint32_t digits[8];
#pragma unroll
            for (int d = 0; d < kDigits; ++d) digits[d] = queries[q].digits[d];
            const std::uint32_t carry = add_planes<WORDS, kDigits - 1, 0>(first, both, queries[q], digits);
            for (std::uint32_t hits = ~(carry | queries[q].beyond) | queries[q].all; hits; hits &= hits - 1) {
                const std::uint64_t row = base + (__ffs(static_cast<int>(hits)) - 1) * kSliceThreads + threadIdx.x;
                add_hit(s, begin + q, row,
                        distance<WORDS>(s.codes + row * WORDS, s.queries + std::uint64_t{begin + q} * WORDS));
            }
        }
    }
}

constexpr unsigned kMmaThreads = 128, kMmaWarps = kMmaThreads / 32;

// Bits 0..3 of x as four bytes, 1 for a one and -1 for a zero.
__host__ __device__ inline std::uint32_t signs(std::uint32_t x) {
    const std::uint32_t spread = ((x & 15u) * 0x00204081u) & 0x01010101u;
    return 0x01010101u | (spread ^ 0x01010101u) * 0xfeu;
}

// A value that stays in its register. ptxas would rather compute signs() anew for each group of queries, which
// is six times the arithmetic of the loop (seen in its output for sm_90); it cannot see through a shuffle.
__device__ inline std::uint32_t held(std::uint32_t value) {
    return __shfl_sync(~0u, value, static_cast<int>(threadIdx.x % 32));
}

// What a lane of scan_s8 or scan_b1 reads of a group of 16 queries: uint4 [groups][steps][32 lanes].
__global__ void query_fragments(const std::uint64_t* queries, unsigned groups, unsigned words, bool bits, uint4* out) {
    const unsigned steps = !bits ? 2 * words : words == 1 ? 1 : words / 2, at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= groups * steps * 32) return;
    const unsigned lane = at % 32, step = at / 32 % steps, group = at / 32 / steps, g = lane / 4, t = lane % 4;
    const auto* low = reinterpret_cast<const std::uint32_t*>(queries + std::uint64_t{16 * group + g} * words);
    const auto* high = reinterpret_cast<const std::uint32_t*>(queries + std::uint64_t{16 * group + g + 8} * words);
    if (!bits) {
        const std::uint32_t x = low[step] >> (4 * t), y = high[step] >> (4 * t);
        out[at] = make_uint4(signs(x), signs(y), signs(x >> 16), signs(y >> 16));
    } else if (words == 1) {
        const std::uint32_t flip = t < 2 ? 0u : ~0u;
        out[at] = make_uint4(low[t % 2] ^ flip, high[t % 2] ^ flip, 0u, 0u);
    } else {
        const std::uint32_t x = low[4 * step + t], y = high[4 * step + t];
        out[at] = make_uint4(x, y, ~x, ~y);
    }
}

// The pairs of a lane's sums that are hits are found by counting again: 16 queries, `tiles` groups of 8 rows.
template <int WORDS>
__device__ inline void recount(const Scan& s, unsigned first_query, std::uint64_t first_row, int tiles) {
    const unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4 * tiles; ++i) {
        const unsigned q = first_query + g + 8 * (i >> 1 & 1);
        const std::uint64_t row = first_row + 8 * (i / 4) + 2 * t + (i & 1);
        const int d = distance<WORDS>(s.codes + row * WORDS, s.queries + std::uint64_t{q} * WORDS);
        if (d <= s.limits[q]) add_hit(s, q, row, d);
    }
}

template <int WORDS>
constexpr int s8_tiles() {  // groups of 8 rows that a warp holds, in 64 registers
    return 16 / WORDS;
}

// `groups` of 16 queries for the blocks of one column of the grid.
template <int WORDS>
__global__ void __launch_bounds__(kMmaThreads) scan_s8(Scan s, const uint4* fragments, unsigned groups) {
    constexpr int kSteps = 2 * WORDS, kTiles = s8_tiles<WORDS>();
    constexpr std::uint64_t kRows = 8 * kTiles;
    const unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const unsigned first = blockIdx.y * groups, all = (s.n + 15) / 16,
                   last = first + groups < all ? first + groups : all;
    const auto* words = reinterpret_cast<const std::uint32_t*>(s.codes);
    const std::uint64_t stride = std::uint64_t{gridDim.x} * kMmaWarps * kRows;
    for (std::uint64_t base = s.from + (blockIdx.x * kMmaWarps + threadIdx.x / 32) * kRows; base < s.to;
         base += stride) {
        std::uint32_t b[kTiles][kSteps][2];
#pragma unroll
        for (int j = 0; j < kTiles; ++j)
#pragma unroll
            for (int k = 0; k < kSteps; ++k) {
                const std::uint32_t x = words[(base + 8 * j + g) * kSteps + k] >> (4 * t);
                b[j][k][0] = held(signs(x));
                b[j][k][1] = held(signs(x >> 16));
            }
        for (unsigned group = first; group < last; ++group) {
            uint4 a[kSteps];
#pragma unroll
            for (int k = 0; k < kSteps; ++k) a[k] = __ldg(fragments + (group * kSteps + k) * 32 + lane);
            // bits - 2 · distance + start is not negative just where distance <= limit
            const int low = 2 * s.limits[16 * group + g] - 64 * WORDS,
                      high = 2 * s.limits[16 * group + g + 8] - 64 * WORDS;
            int negative = -1;
#pragma unroll
            for (int j = 0; j < kTiles; ++j) {
                int c[4] = {low, low, high, high};
#pragma unroll
                for (int k = 0; k < kSteps; ++k) mma_s8(c, a[k], b[j][k]);
                negative &= c[0] & c[1] & c[2] & c[3];
            }
            if (negative >= 0) recount<WORDS>(s, 16 * group, base, kTiles);
            __syncwarp();  // the next product needs all lanes together
        }
    }
}

template <int WORDS>
constexpr int b1_tiles() {
    return WORDS == 1 ? 32 : 64 / WORDS;
}

template <int WORDS>
__global__ void __launch_bounds__(kMmaThreads) scan_b1(Scan s, const uint4* fragments, unsigned groups) {
    constexpr int kSteps = WORDS == 1 ? 1 : WORDS / 2, kTiles = b1_tiles<WORDS>();
    constexpr std::uint64_t kRows = 8 * kTiles;
    const unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const unsigned first = blockIdx.y * groups, all = (s.n + 15) / 16,
                   last = first + groups < all ? first + groups : all;
    const auto* words = reinterpret_cast<const std::uint32_t*>(s.codes);
    const std::uint64_t stride = std::uint64_t{gridDim.x} * kMmaWarps * kRows;
    for (std::uint64_t base = s.from + (blockIdx.x * kMmaWarps + threadIdx.x / 32) * kRows; base < s.to;
         base += stride) {
        std::uint32_t b[kTiles][kSteps];
#pragma unroll
        for (int j = 0; j < kTiles; ++j)
#pragma unroll
            for (int k = 0; k < kSteps; ++k) {
                if constexpr (WORDS == 1) b[j][0] = held(words[(base + 8 * j + g) * 2 + t % 2] ^ (t < 2 ? ~0u : 0u));
                else b[j][k] = words[(base + 8 * j + g) * 2 * WORDS + 4 * k + t];
            }
        for (unsigned group = first; group < last; ++group) {
            uint4 a[kSteps];
#pragma unroll
            for (int k = 0; k < kSteps; ++k) a[k] = __ldg(fragments + (group * kSteps + k) * 32 + lane);
            const int low = -1 - s.limits[16 * group + g], high = -1 - s.limits[16 * group + g + 8];
            int negative = 0;  // distance - limit - 1 is negative just where distance <= limit
#pragma unroll
            for (int j = 0; j < kTiles; ++j) {
                int c[4] = {low, low, high, high};
#pragma unroll
                for (int k = 0; k < kSteps; ++k) {
                    if constexpr (WORDS == 1) mma_b1_128(c, a[0].x, a[0].y, b[j][0]);
                    else mma_b1_256(c, a[k], ~b[j][k], b[j][k]);
                }
                negative |= c[0] | c[1] | c[2] | c[3];
            }
            if (negative < 0) recount<WORDS>(s, 16 * group, base, kTiles);
            __syncwarp();
        }
    }
}

// Sorts `size` keys (a power of two) ascending by one block (Batcher's bitonic sort).
__device__ inline void sort_keys(std::uint64_t* keys, std::uint64_t size) {
    for (std::uint64_t width = 2; width <= size; width *= 2)
        for (std::uint64_t step = width / 2; step; step /= 2) {
            __syncthreads();
            for (std::uint64_t i = threadIdx.x; i < size / 2; i += blockDim.x) {
                const std::uint64_t low = i / step * 2 * step + i % step, high = low + step;
                const bool ascending = (low & width) == 0;
                const std::uint64_t a = keys[low], b = keys[high];
                if ((a > b) == ascending) keys[low] = b, keys[high] = a;
            }
        }
    __syncthreads();
}

constexpr unsigned kSortThreads = 512;

// Keeps the `k` smallest keys of each query's part, sorted. With `tighten` the limit becomes what a later,
// higher row must stay below: one less than the k-th distance. `overflow[q]` tells that keys were lost.
// `shared_keys`: how many fit the launch's shared memory; each part has room for a power of two of keys.
__global__ void __launch_bounds__(kSortThreads)
    keep_nearest(const std::uint64_t* start, unsigned long long* counts, std::uint64_t* keys, std::uint64_t k,
                 bool tighten, unsigned shared_keys, std::int32_t* limits, std::int32_t* overflow) {
    const unsigned q = blockIdx.x;
    const std::uint64_t room = start[q + 1] - start[q], counted = counts[q], n = counted < room ? counted : room;
    std::uint64_t size = 1;
    while (size < n) size *= 2;
    std::uint64_t* const mine = keys + start[q];
    std::uint64_t* const sorted = size <= shared_keys ? static_cast<std::uint64_t*>(dynamic_shared()) : mine;
    for (std::uint64_t i = threadIdx.x; i < size; i += blockDim.x) sorted[i] = i < n ? mine[i] : ~std::uint64_t{0};
    sort_keys(sorted, size);
    const std::uint64_t kept = n < k ? n : k;
    if (sorted != mine)
        for (std::uint64_t i = threadIdx.x; i < kept; i += blockDim.x) mine[i] = sorted[i];
    if (threadIdx.x == 0) {
        if (counted > room) overflow[q] = 1;
        counts[q] = kept;
        if (tighten && kept == k && k) limits[q] = static_cast<std::int32_t>(sorted[k - 1] >> kRowBits) - 1;
    }
}

// Sorted keys to ids and distances, from each query's part to its part of the result; `ids` null: id_base + row.
__global__ void unpack_keys(const std::uint64_t* start, const std::uint64_t* result_start, const std::uint64_t* keys,
                            const std::int64_t* ids, std::int64_t id_base, std::int64_t* out_ids,
                            std::uint16_t* out_distances) {
    const unsigned q = blockIdx.y;
    const std::uint64_t n = result_start[q + 1] - result_start[q], stride = std::uint64_t{gridDim.x} * blockDim.x;
    for (std::uint64_t i = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += stride) {
        const std::uint64_t key = keys[start[q] + i], row = key & kRowMask;
        out_ids[result_start[q] + i] = ids ? ids[row] : id_base + static_cast<std::int64_t>(row);
        out_distances[result_start[q] + i] = static_cast<std::uint16_t>(key >> kRowBits);
    }
}

}  // namespace vhash::cuda
