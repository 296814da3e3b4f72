/* vhash: exact Hamming search over binary codes. The plain-C interface of the engine.
 *
 * A code of `bits` bits is (bits + 7) / 8 bytes; bit i is bit i % 8, counted from the least
 * significant, of byte i / 8. Bits beyond the last are ignored. Every result is in the order
 * (distance, id), whatever the threads, the batch size or the instruction set.
 *
 * Every function that returns a vhash_status says why it failed in vhash_error(), a text of the
 * calling thread. An index may be searched from any number of threads while one or more add to it
 * or remove from it; a search sees the index as it was when it began.
 */
#ifndef VHASH_H
#define VHASH_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define VHASH_API __attribute__((visibility("default")))
#else
#define VHASH_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    VHASH_OK = 0,
    VHASH_INVALID = 1,    /* an argument is outside the allowed set */
    VHASH_UNKNOWN_ID = 2, /* no code has this id */
    VHASH_FORMAT = 3,     /* a file is damaged, not an index, or of a newer version */
    VHASH_IO = 4,         /* the operating system refused a file operation */
    VHASH_MEMORY = 5,     /* out of memory */
    VHASH_INTERNAL = 6,   /* a defect of vhash */
    VHASH_STORE = 7,      /* a store is locked, open for reading only, closed or out of space */
    VHASH_MODEL = 8       /* a store holds codes of another model */
} vhash_status;

typedef struct vhash_index vhash_index;

/* Why the last call on this thread failed; never null. */
VHASH_API const char* vhash_error(void);

/* Forces the kernels: "scalar", "popcnt", "avx2", "avx512bw", "avx512", "amx", "neon" or "auto"; vhash_simd_level()
   names those in use. */
VHASH_API vhash_status vhash_set_simd_level(const char* name);
VHASH_API const char* vhash_simd_level(void);

/* An empty index for codes of 1 to 4096 bits. `model` is the fingerprint of the model that makes
 * the codes (at most 64 printable ASCII characters), or null. Free it with vhash_index_free. */
VHASH_API vhash_status vhash_index_create(unsigned bits, const char* model, vhash_index** index);
VHASH_API void vhash_index_free(vhash_index* index);

VHASH_API unsigned vhash_index_bits(const vhash_index* index);
VHASH_API size_t vhash_index_size(const vhash_index* index);
VHASH_API int vhash_index_contains(const vhash_index* index, int64_t id);
/* Copies the fingerprint, zero-terminated, into `model`. */
VHASH_API vhash_status vhash_index_model(const vhash_index* index, char model[65]);
/* How many threads a search may use, at most 256; 0: all that the process has, the default. */
VHASH_API void vhash_index_set_threads(vhash_index* index, unsigned threads);

/* Adds n codes. `ids` null: the next free ones, the first of which is written to `first_id` unless
 * that is null. All or nothing: VHASH_INVALID when an id exists already. */
VHASH_API vhash_status vhash_index_add(vhash_index* index, const uint8_t* codes, size_t n, const int64_t* ids,
                                       int64_t* first_id);
/* Adds n codes, replacing those of ids that exist. */
VHASH_API vhash_status vhash_index_upsert(vhash_index* index, const uint8_t* codes, size_t n, const int64_t* ids);
/* Removes those of the ids that exist; their number goes to `removed` unless that is null. */
VHASH_API vhash_status vhash_index_remove(vhash_index* index, const int64_t* ids, size_t n, size_t* removed);
/* Copies the codes of n ids to `codes`, n × (bits + 7) / 8 bytes. */
VHASH_API vhash_status vhash_index_codes(const vhash_index* index, const int64_t* ids, size_t n, uint8_t* codes);

/* The k nearest codes of each of n queries. `ids` and `distances` have room for n × k; the results of
 * query q begin at q × *found, where *found = min(k, codes in the index). */
VHASH_API vhash_status vhash_index_search(const vhash_index* index, const uint8_t* queries, size_t n, size_t k,
                                          int64_t* ids, uint16_t* distances, size_t* found);

/* The same among the eligible ids only; ids that are not in the index are passed over. */
VHASH_API vhash_status vhash_index_search_among(const vhash_index* index, const uint8_t* queries, size_t n, size_t k,
                                                const int64_t* among, size_t eligible, int64_t* ids,
                                                uint16_t* distances, size_t* found);

/* All codes within `radius` bits (inclusive) of each query; `limit` > 0 keeps the nearest `limit` of
 * each. Those of query q are [splits[q], splits[q + 1]). Free it with vhash_ranges_free. */
typedef struct {
    size_t queries;
    uint64_t* splits;
    int64_t* ids;
    uint16_t* distances;
} vhash_ranges;
VHASH_API vhash_status vhash_index_range(const vhash_index* index, const uint8_t* queries, size_t n, unsigned radius,
                                         size_t limit, vhash_ranges* ranges);
VHASH_API void vhash_ranges_free(vhash_ranges* ranges);

/* Builds now the tables that make searches for near duplicates fast; searches do so by themselves
 * once that would have saved time. */
VHASH_API vhash_status vhash_index_build_multi_index(vhash_index* index);

/* All pairs within `radius` bits (inclusive) in an index, or between it and `other` where that is not
 * null: a stream. Each call of vhash_pairs_next hands out at least `wanted` > 0 pairs (fewer at the end,
 * 0 after it) in arrays that hold until the next call. Free it with vhash_pairs_free. */
typedef struct vhash_pairs vhash_pairs;
typedef struct {
    int64_t a, b; /* ids; in one index a < b */
    uint32_t distance;
} vhash_pair;
VHASH_API vhash_status vhash_index_pairs(const vhash_index* index, const vhash_index* other, unsigned radius,
                                         vhash_pairs** pairs);
VHASH_API vhash_status vhash_pairs_next(vhash_pairs* pairs, size_t wanted, const vhash_pair** batch, size_t* n);
VHASH_API void vhash_pairs_free(vhash_pairs* pairs);

/* Writes the index to one file: temporary name, flush, rename. */
VHASH_API vhash_status vhash_index_save(const vhash_index* index, const char* path);
/* Reads one; `map` != 0: search the file in place. Checksums are verified. */
VHASH_API vhash_status vhash_index_load(const char* path, int map, vhash_index** index);

/* Opens an index that is kept in a directory on a local file system: a change returns when it is on
 * the disk, and is there after a crash. `writable` != 0: for the one process that writes; with `bits` > 0
 * the store is created where it is not. Otherwise for one of any number of readers, which see what was
 * written since by vhash_index_refresh. `model` may be null. vhash_index_free closes it. */
VHASH_API vhash_status vhash_index_open(const char* directory, unsigned bits, const char* model, int writable,
                                        vhash_index** index);
/* Takes over what the writer has acknowledged; *changed, unless null, tells whether anything was new. */
VHASH_API vhash_status vhash_index_refresh(vhash_index* index, int* changed);
/* Seals the log and merges all segments into one without the codes that were removed. */
VHASH_API vhash_status vhash_index_compact(vhash_index* index);
/* Ends the background work and lets another process write; searching still works. */
VHASH_API vhash_status vhash_index_close(vhash_index* index);

#ifdef __cplusplus
}
#endif
#endif
