#include "system/checksum.hpp"

#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>

#include "system/x86.hpp"
#endif

namespace vhash {
namespace {

struct Table {
    uint32_t entry[8][256];
    Table() {
        for (uint32_t i = 0; i < 256; ++i) {
            uint32_t crc = i;
            for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78u : crc >> 1;
            entry[0][i] = crc;
        }
        for (uint32_t i = 0; i < 256; ++i)
            for (int t = 1; t < 8; ++t) entry[t][i] = (entry[t - 1][i] >> 8) ^ entry[0][entry[t - 1][i] & 255];
    }
};

// Eight table look-ups per eight bytes ("slicing by 8").
uint32_t crc32c_portable(uint32_t crc, const unsigned char* p, size_t n) {
    static const Table table;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        std::memcpy(&word, p, 8);
        word ^= crc;
        crc = 0;
        for (int t = 0; t < 8; ++t) crc ^= table.entry[7 - t][word >> (8 * t) & 255];
    }
    for (; n; --n) crc = (crc >> 8) ^ table.entry[0][(crc ^ *p++) & 255];
    return crc;
}

#if defined(__x86_64__)
#ifdef __clang__  // for it the checksum's instruction is a set of its own
#define VHASH_CRC32 __attribute__((target("sse4.2,crc32")))
#else
#define VHASH_CRC32 __attribute__((target("sse4.2")))
#endif
VHASH_CRC32 uint32_t crc32c_sse42(uint32_t crc, const unsigned char* p, size_t n) {
    uint64_t wide = crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        std::memcpy(&word, p, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = static_cast<uint32_t>(wide);
    for (; n; --n) crc = _mm_crc32_u8(crc, *p++);
    return crc;
}
#endif

}  // namespace

uint32_t crc32c(uint32_t crc, const void* data, size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
#if defined(__x86_64__)
    static const bool instruction = x86().sse42;
    if (instruction) return ~crc32c_sse42(~crc, bytes, size);
#endif
    return ~crc32c_portable(~crc, bytes, size);
}

}  // namespace vhash
