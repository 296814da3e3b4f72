// The exact Hamming index in device memory: a copy of codes, ordered by id, that is searched with the
// same results as on the CPU. Plain C++, so that the bindings need no CUDA compiler.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace vhash::cuda {

// How codes are scanned; see hamming_kernels.cuh.
enum class Method { automatic, few, popc, slices, s8, b1 };

// The fastest for this many queries by estimate, until benchmarks/gpu/hamming.py has measured it.
Method choose_method(unsigned bits, std::size_t queries);
// Whether a method is there for codes of this width.
bool has_method(Method method, unsigned bits);

struct RangeResult {
    std::vector<std::int64_t> ids;
    std::vector<std::uint16_t> distances;
    std::vector<std::int64_t> splits;
};

// Calls may come from several threads; they run one after the other. `stream` is a cudaStream_t, or null;
// each call returns when its results are on the host. Throws CudaError and std::bad_alloc.
class DeviceIndex {
  public:
    // Room for `capacity` codes; `with_ids`: append() is given ids, otherwise they are id_base, id_base + 1, …
    DeviceIndex(unsigned bits, std::uint64_t capacity, int device, bool with_ids, std::int64_t id_base);
    ~DeviceIndex();

    unsigned bits() const;
    int device() const;
    std::uint64_t size() const;
    std::size_t bytes() const;  // of device memory, scratch included

    // Appends codes of (bits + 7) / 8 bytes each, ids ascending from call to call.
    void append(const std::uint8_t* codes, std::size_t n, const std::int64_t* ids);
    // An index of these rows (ascending).
    std::unique_ptr<DeviceIndex> take(const std::int64_t* rows, std::size_t n) const;

    // The k nearest (k <= size()) of n queries, in the order (distance, id): n × k ids and distances, on the host.
    // `on_device`: the queries' bytes lie in device memory.
    void search(const void* queries, bool on_device, std::size_t n, std::size_t k, Method method, void* stream,
                std::int64_t* ids, std::uint16_t* distances);
    // Those within `radius` bits (inclusive), at most `limit` of the nearest for each query.
    RangeResult range(const void* queries, bool on_device, std::size_t n, std::uint32_t radius, std::uint64_t limit,
                      Method method, void* stream);

    // For measurements: one scan over everything for hits within `radius`; returns how many there are.
    std::uint64_t scan_only(const void* queries, std::size_t n, std::int32_t radius, Method method, void* stream);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace vhash::cuda
