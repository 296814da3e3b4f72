// CRC-32C (Castagnoli, reflected, as in iSCSI, ext4 and RocksDB), by the instruction of the CPU where it has one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vhash {

// Continues `crc`, the checksum of what came before; 0 to begin. crc32c(0, "123456789", 9) = 0xe3069283.
uint32_t crc32c(uint32_t crc, const void* data, size_t size);

}  // namespace vhash
