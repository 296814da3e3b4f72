// Hamming distance kernels and the table through which they are reached.
//
// One file per instruction set, `<isa>.cpp`; a function there is named
// `hamming_<operation>_<isa>`. Instruction sets come by function `target` attributes, so every
// file compiles with a plain `g++ -O3`, and the table is chosen once at run time.
//
// Codes are rows of `words` 64-bit words, little-endian, padding bits zero.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vhash {

constexpr unsigned kMaxBits = 4096;
constexpr unsigned kMaxWords = kMaxBits / 64;
constexpr size_t kGroup = 64;  // rows that a scan decides at once: one word of a live-row bitmap

struct Hit {
    uint32_t row;
    uint32_t distance;
};

// Appends the rows of codes[0, rows) within `limit` bits (inclusive) of the query to `hits`, in row
// order, and returns how many rows it has looked at: `rows`, or fewer (a multiple of kGroup) when
// fewer than kGroup places are left in `hits`. `live` is a bitmap of rows, or null for all.
using ScanFn = size_t (*)(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint32_t limit,
                          const uint64_t* live, Hit* hits, size_t capacity, size_t* count);

// The same for n codes that lie anywhere; `row` of a hit is the place in the list. Returns the number
// of hits, at most n.
using GatherFn = size_t (*)(const uint64_t* const* codes, size_t n, size_t words, const uint64_t* query, uint32_t limit,
                            Hit* hits);

// The distance of each of n hits from its query; hits[i].row is a row of `codes`.
struct BatchHit {
    uint32_t query, row;
};
using MeasureFn = void (*)(const uint64_t* codes, size_t words, const uint64_t* queries, const BatchHit* hits, size_t n,
                           uint32_t* distances);

// Adds the distances of codes[0, rows) from the query to `sum`, and their squares to `squares`.
using MomentsFn = void (*)(const uint64_t* codes, size_t rows, size_t words, const uint64_t* query, uint64_t* sum,
                           uint64_t* squares);

// What a batch kernel is asked of one tile of codes, and how far it has come.
struct BatchScan {
    const void* table;    // of the tile
    const void* batch;    // the queries
    size_t words, n;      // n queries
    size_t early;         // words of a code after which it looks whether a row can still hit; 0: it does not
    bool dense;           // whether many queries are expected to hit something
    size_t next = 0;      // the query to go on with; n: done
    size_t given_up = 0;  // queries that were done with after `early` words
};

// Kernels for a batch of queries over a tile of codes, both in a form of their own; see slice.inc and amx.cpp.
struct BatchKernels {
    const char* name;
    size_t tile;       // rows
    size_t group;      // queries that it takes at once
    size_t min_batch;  // queries from which it beats the row scan
    size_t min_words;
    bool stops;         // whether it looks at BatchScan::early
    bool (*allowed)();  // whether the system lets this process use it; null: always
    size_t (*table_bytes)(size_t words);
    size_t (*batch_bytes)(size_t words, size_t n);
    // Fills the table, 64-byte aligned, for the rows codes[0, tile).
    void (*build)(const uint64_t* codes, size_t words, void* table);
    // Puts query number q into its place in a batch, with a threshold that no row or few rows meet.
    void (*set_query)(const uint64_t* query, size_t words, size_t q, void* batch);
    // Sets its threshold so that exactly the rows with distance <= limit hit; limit < 64 * words.
    void (*set_limit)(uint32_t limit, size_t words, size_t q, void* batch);
    // Writes the hits by query, then row, of as many queries as surely fit into `capacity`, at least
    // tile * group; returns their number and moves `scan` on. To be called until scan.next is scan.n.
    size_t (*scan)(BatchScan& scan, BatchHit* hits, size_t capacity);
};

constexpr size_t kBatchMaxWords = 16;  // 1024 bits

// The bit-sliced table of a word, in planes: for each group of three or seven of its bits the binary digits of how many
// of them differ from a query's, two planes of the lowest one and for each higher one a plane for every pattern of the
// query; then the bit that is left over and its complement.
struct SliceShape {
    static constexpr size_t kLastBit = 63;
    size_t group;  // bits
    constexpr size_t digits() const { return group == 3 ? 2 : 3; }
    constexpr size_t groups() const { return kLastBit / group; }
    constexpr size_t patterns() const { return size_t{1} << group; }
    constexpr size_t group_planes() const { return 2 + (digits() - 1) * patterns(); }
    constexpr size_t word_planes() const { return groups() * group_planes() + 2; }
    constexpr size_t word_offsets() const { return groups() * digits() + 1; }  // loads of a query
};

// Digits of the running total below the test: 2^digits >= bits, and at least a word's own.
constexpr size_t kWordDigits = 6;
constexpr size_t slice_digits(size_t words) {
    size_t digits = kWordDigits;
    while ((size_t{1} << digits) < 64 * words) ++digits;
    return digits;
}
// A query as the kernels want it: the digits of its threshold, then what it loads for each word: places in the planes
// of a group, in bytes.
constexpr size_t slice_query_size(SliceShape shape, size_t words) {
    return slice_digits(words) + shape.word_offsets() * words;
}
void slice_query(SliceShape shape, const uint64_t* query, size_t words, size_t tile, uint16_t* out);
void slice_limit(uint32_t limit, size_t words, uint16_t* out);

struct Kernels {
    const char* name;
    ScanFn scan;
    GatherFn gather;
    MeasureFn measure;
    MomentsFn moments;
    const BatchKernels* batch[2];  // in the order of preference; null: none
};

// The kernels in use: the best that the CPU has, or what VHASH_SIMD or set_simd_level() asks for.
// Throws std::invalid_argument where VHASH_SIMD names a level that this CPU does not have.
const Kernels& kernels();

// Forces a level by name ("scalar", "popcnt", "avx2", "avx512bw", "avx512", "amx", "neon") or "auto"; throws
// std::invalid_argument naming the levels of this CPU.
void set_simd_level(const char* name);

// The levels that this CPU has, slowest first; ends with a null pointer.
const Kernels* const* available_kernels();

extern const Kernels kKernelsScalar;
#if defined(__x86_64__)
extern const Kernels kKernelsPopcnt, kKernelsAvx2, kKernelsAvx512bw, kKernelsAvx512;
#elif defined(__aarch64__)
extern const Kernels kKernelsNeon;
#endif

// What every scan kernel does with the rare group that holds a hit.
inline size_t append_hits(Hit* hits, size_t count, uint32_t row, const uint64_t* distances, uint64_t mask) {
    for (; mask; mask &= mask - 1) {
        const unsigned lane = static_cast<unsigned>(__builtin_ctzll(mask));
        hits[count++] = {row + lane, static_cast<uint32_t>(distances[lane])};
    }
    return count;
}

// Bit (8i + j) goes to (8j + i) (Warren, Hacker's Delight, 7-3).
inline uint64_t transpose_8x8(uint64_t x) {
    uint64_t t = (x ^ (x >> 7)) & 0x00aa00aa00aa00aau;
    x ^= t ^ (t << 7);
    t = (x ^ (x >> 14)) & 0x0000cccc0000ccccu;
    x ^= t ^ (t << 14);
    t = (x ^ (x >> 28)) & 0x00000000f0f0f0f0u;
    return x ^ t ^ (t << 28);
}

// Bit c of rows[r] goes to bit r of rows[c].
inline void transpose_64x64(uint64_t* rows) {
    uint64_t mask = 0x00000000ffffffffu;
    for (size_t half = 32; half; half /= 2, mask ^= mask << half) {
        for (size_t r = 0; r < 64; r = (r + half + 1) & ~half) {
            const uint64_t t = ((rows[r] >> half) ^ rows[r + half]) & mask;
            rows[r] ^= t << half;
            rows[r + half] ^= t;
        }
    }
}

}  // namespace vhash
