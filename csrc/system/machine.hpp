// What the system says of the processor and of this process, and its memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vhash {

// CPUs that this process may use (its affinity mask where there is one), at least 1 and at most kMaxThreads.
unsigned available_threads();

// The L2 cache of a core, in bytes; 0 where the system does not say.
size_t l2_bytes();

// The number by which the system knows this process; another one in a child after fork().
uint64_t process_id();

constexpr size_t kHugePage = size_t{2} << 20;

// At least `bytes` bytes at a multiple of `align`, a power of two; throws std::bad_alloc. What is aligned to huge pages
// is asked for in huge pages.
void* aligned_memory(size_t align, size_t bytes);
void free_aligned(void* memory) noexcept;

}  // namespace vhash
