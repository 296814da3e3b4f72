// Memory, launches and tensor-core instructions of a CUDA device; every call's status is checked.
//
// The tests compile these sources with a plain C++ compiler against tests/cuda_emulator, where a
// launch runs the same kernel bodies on the CPU: that is what VHASH_EMULATED means.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace vhash::cuda {

// A call of the CUDA runtime failed; vhash_sdk raises it as BackendError.
struct CudaError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void check(cudaError_t status, const char* what) {
    if (status == cudaSuccess) return;
    const char* advice = status == cudaErrorMemoryAllocation ? "free GPU memory or use a smaller index or batch"
                                                             : "see `vhash doctor`, or use the CPU";
    throw CudaError("CUDA: " + std::string(what) + " failed with " + std::to_string(static_cast<int>(status)) + " (" +
                    cudaGetErrorString(status) + "); " + advice);
}

// Device memory, freed with the object. The device is the current one.
class Memory {
  public:
    Memory() = default;
    explicit Memory(std::size_t bytes) : bytes_(bytes) {
        check(cudaMalloc(&pointer_, bytes ? bytes : 1), "cudaMalloc");
    }
    Memory(Memory&& other) noexcept
        : pointer_(std::exchange(other.pointer_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Memory& operator=(Memory&& other) noexcept {
        std::swap(pointer_, other.pointer_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~Memory() {
        if (pointer_) cudaFree(pointer_);  // nothing to do about a failure here
    }

    // At least this many bytes; what was there is lost when it grows.
    void reserve(std::size_t bytes) {
        if (pointer_ && bytes <= bytes_) return;
        *this = Memory();  // first free, then allocate
        *this = Memory(bytes);
    }
    std::size_t bytes() const { return bytes_; }
    template <class T>
    T* as() const {
        return static_cast<T*>(pointer_);
    }

  private:
    void* pointer_ = nullptr;
    std::size_t bytes_ = 0;
};

inline void copy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    if (bytes) check(cudaMemcpyAsync(to, from, bytes, kind, stream), "cudaMemcpyAsync");
}
inline void upload(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
    copy(to, from, bytes, cudaMemcpyHostToDevice, stream);
}
inline void download(void* to, const void* from, std::size_t bytes, cudaStream_t stream) {
    copy(to, from, bytes, cudaMemcpyDeviceToHost, stream);
}
inline void synchronize(cudaStream_t stream) { check(cudaStreamSynchronize(stream), "cudaStreamSynchronize"); }

inline int attribute(cudaDeviceAttr which, int device) {
    int value = 0;
    check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
    return value;
}

// Runs a kernel on a stream. Parameters are converted to those of the kernel.
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, std::size_t shared, cudaStream_t stream, A... arguments) {
#if defined(VHASH_EMULATED)
    (void)stream;
    emulator::run(grid, block, shared, [=] { kernel(static_cast<P>(arguments)...); });
#elif defined(__CUDACC__)
    kernel<<<grid, block, shared, stream>>>(static_cast<P>(arguments)...);
#endif
    check(cudaGetLastError(), "a kernel launch");
}

#if defined(__CUDACC__) || defined(VHASH_EMULATED)

// The shared memory that a launch asked for.
__device__ inline void* dynamic_shared() {
#if defined(VHASH_EMULATED)
    auto address = reinterpret_cast<std::uintptr_t>(emulator::machine().shared.data());
    return reinterpret_cast<void*>((address + 15) / 16 * 16);
#else
    extern __shared__ __align__(16) unsigned char vhash_dynamic_shared[];
    return vhash_dynamic_shared;
#endif
}

// Tensor-core products of a warp (PTX ISA, 9.7.14: mma). With g = lane / 4 and t = lane % 4, a lane's
// part of the sums c is rows g (c0, c1) and g + 8 (c2, c3), columns 2t and 2t + 1.

// 16 × 32 by 32 × 8 of int8: a0, a2 are row g, a1, a3 row g + 8; b is column g; a0, a1, b0 hold k = 4t .. 4t + 3,
// a2, a3, b1 k = 16 + 4t .. .
__device__ inline void mma_s8(int (&c)[4], const uint4& a, const std::uint32_t (&b)[2]) {
#if defined(VHASH_EMULATED)
    std::uint32_t all[32][6];
    emulator::exchange({a.x, a.y, a.z, a.w, b[0], b[1]}, all);
    const unsigned g = emulator::lane() / 4, t = emulator::lane() % 4;
    for (unsigned i = 0; i < 4; ++i)
        for (unsigned k = 0; k < 32; ++k) {
            const unsigned from = k / 4 % 4, half = k / 16, shift = 8 * (k % 4);
            const std::uint32_t x = all[4 * g + from][2 * half + i / 2], y = all[4 * (2 * t + i % 2) + from][4 + half];
            c[i] += static_cast<std::int8_t>(x >> shift) * static_cast<std::int8_t>(y >> shift);
        }
#else
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b[0]), "r"(b[1]));
#endif
}

// 16 × 128 by 128 × 8 of bits, and then popcount: a0 is row g, a1 row g + 8, b column g, each k = 32t .. 32t + 31.
__device__ inline void mma_b1_128(int (&c)[4], std::uint32_t a0, std::uint32_t a1, std::uint32_t b) {
#if defined(VHASH_EMULATED)
    std::uint32_t all[32][3];
    emulator::exchange({a0, a1, b}, all);
    const unsigned g = emulator::lane() / 4, t = emulator::lane() % 4;
    for (unsigned i = 0; i < 4; ++i)
        for (unsigned k = 0; k < 4; ++k) c[i] += __popcll(all[4 * g + k][i / 2] & all[4 * (2 * t + i % 2) + k][2]);
#else
    asm volatile(
        "mma.sync.aligned.m16n8k128.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
        : "r"(a0), "r"(a1), "r"(b));
#endif
}

// The same with k = 256: a0, a1, b0 as above; a2, a3, b1 hold k = 128 + 32t .. .
__device__ inline void mma_b1_256(int (&c)[4], const uint4& a, std::uint32_t b0, std::uint32_t b1) {
#if defined(VHASH_EMULATED)
    mma_b1_128(c, a.x, a.y, b0);
    mma_b1_128(c, a.z, a.w, b1);
#else
    asm volatile("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                 "{%0,%1,%2,%3};"
                 : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
                 : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
#endif
}

#endif

}  // namespace vhash::cuda
