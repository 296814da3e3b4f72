/* The nearest codes, in C: makes an index, searches it, saves it, loads it. */
#include <stdio.h>
#include <stdlib.h>
#include <vhash.h>

enum { BITS = 64, BYTES = BITS / 8, CODES = 100000, K = 3 };

static void check(vhash_status status) {
    if (status == VHASH_OK) return;
    fprintf(stderr, "vhash: %s\n", vhash_error());
    exit(1);
}

int main(int argc, char** argv) {
    const char* path = argc > 1 ? argv[1] : "nearest.vhash";
    uint8_t* codes = malloc((size_t)CODES * BYTES);
    uint32_t state = 1; /* a small random number generator: the codes of some videos */
    if (!codes) return 1;
    for (size_t i = 0; i < (size_t)CODES * BYTES; ++i) {
        state = state * 1664525u + 1013904223u;
        codes[i] = (uint8_t)(state >> 24);
    }

    vhash_index* index = NULL;
    check(vhash_index_create(BITS, NULL, &index));
    check(vhash_index_add(index, codes, CODES, NULL, NULL));
    check(vhash_index_save(index, path));
    vhash_index_free(index);
    check(vhash_index_load(path, 1, &index));

    uint8_t query[BYTES]; /* code 4711 with two bits flipped */
    for (int i = 0; i < BYTES; ++i) query[i] = codes[4711 * BYTES + i];
    query[0] ^= 1;
    query[7] ^= 128;
    int64_t ids[K];
    uint16_t distances[K];
    size_t found = 0;
    check(vhash_index_search(index, query, 1, K, ids, distances, &found));
    for (size_t i = 0; i < found; ++i) printf("%lld at %u bits\n", (long long)ids[i], distances[i]);

    if (vhash_index_remove(index, ids, 1, NULL) != VHASH_OK || vhash_index_contains(index, 4711)) return 1;
    if (vhash_index_codes(index, ids, 1, query) != VHASH_UNKNOWN_ID) return 1;
    printf("%zu left; then: %s\n", vhash_index_size(index), vhash_error());
    vhash_index_free(index);
    free(codes);
    return found == K && ids[0] == 4711 && distances[0] == 2 ? 0 : 1;
}
