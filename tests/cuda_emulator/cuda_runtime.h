// Enough of CUDA to run the kernels of csrc/cuda on a CPU, for tests: every thread of a block is a
// fibre, so barriers, shared memory and warp functions do what they do on a GPU, and threads can be
// taken in any order (VHASH_EMULATOR_ORDER: forward, backward, shuffled), which shows a missing barrier.
// Device memory is host memory, streams are synchronous, one block runs at a time.
#pragma once

#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
extern "C" void __sanitizer_start_switch_fiber(void** save, const void* bottom, size_t size);
extern "C" void __sanitizer_finish_switch_fiber(void* save, const void** bottom, size_t* size);
#endif

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define VHASH_EMULATED 1

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(16) ulonglong2 {
    unsigned long long x, y;
};
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace emulator {

[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "CUDA emulator: %s\n", what);
    std::abort();
}

enum class State { ready, at_block_barrier, at_warp_barrier, done };

struct Fibre {
    ucontext_t context;
    jmp_buf jump;  // where it goes on; switching by contexts would be a system call each time
    bool started = false;
    char* stack = nullptr;
    void* fake_stack = nullptr;
    State state = State::done;
    dim3 thread;
    unsigned number = 0;
};

constexpr size_t kStack = size_t{1} << 18;

struct Machine {
    std::mutex one;  // a launch at a time
    std::vector<Fibre> fibres;
    ucontext_t scheduler;
    jmp_buf scheduler_jump;
    const void* scheduler_stack = nullptr;
    size_t scheduler_stack_size = 0;
    Fibre* current = nullptr;
    std::function<void()> body;
    dim3 grid, block, block_index;
    std::vector<unsigned char> shared;
    uint32_t exchange[32][64][8];  // warp, lane, registers
};
inline Machine& machine() {
    static Machine& instance = *new Machine;
    return instance;
}

inline void switch_to_scheduler(Machine& m, Fibre& fibre) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(fibre.state == State::done ? nullptr : &fibre.fake_stack, m.scheduler_stack, m.scheduler_stack_size);
    swapcontext(&fibre.context, &m.scheduler);
    __sanitizer_finish_switch_fiber(fibre.fake_stack, &m.scheduler_stack, &m.scheduler_stack_size);
#else
    if (_setjmp(fibre.jump) == 0) _longjmp(m.scheduler_jump, 1);
#endif
}

inline void run_fibre() {
    Machine& m = machine();
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &m.scheduler_stack, &m.scheduler_stack_size);
#endif
    Fibre& fibre = *m.current;
    m.body();
    fibre.state = State::done;
    switch_to_scheduler(m, fibre);
}

inline void resume(Machine& m, Fibre& fibre) {
    m.current = &fibre;
#if defined(__SANITIZE_ADDRESS__)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, fibre.stack, kStack);
    swapcontext(&m.scheduler, &fibre.context);
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
    if (_setjmp(m.scheduler_jump) != 0) return;
    if (fibre.started) _longjmp(fibre.jump, 1);
    fibre.started = true;
    setcontext(&fibre.context);
#endif
}

inline void wait(State state) {
    Machine& m = machine();
    m.current->state = state;
    switch_to_scheduler(m, *m.current);
}

// Lets those go on whose barrier is complete; returns whether there are any.
inline bool release(Machine& m, unsigned threads) {
    bool released = false;
    unsigned at_block = 0, done = 0;
    for (unsigned first = 0; first < threads; first += 32) {
        const unsigned last = std::min(first + 32, threads);
        unsigned waiting = 0, left = 0;
        for (unsigned i = first; i < last; ++i) {
            waiting += m.fibres[i].state == State::at_warp_barrier;
            left += m.fibres[i].state == State::done;
            at_block += m.fibres[i].state == State::at_block_barrier;
        }
        done += left;
        if (waiting && left) fail("a warp function with all lanes, but a lane has left the kernel");
        if (waiting && waiting == last - first) {
            if (last - first < 32) fail("a warp function in a block whose size is no multiple of 32");
            for (unsigned i = first; i < last; ++i) m.fibres[i].state = State::ready;
            released = true;
        }
    }
    if (!released && at_block && at_block + done == threads) {
        for (unsigned i = 0; i < threads; ++i)
            if (m.fibres[i].state == State::at_block_barrier) m.fibres[i].state = State::ready;
        released = true;
    }
    return released;
}

inline void run_block(Machine& m, unsigned threads, const std::vector<unsigned>& order) {
    for (unsigned i = 0; i < threads; ++i) {
        Fibre& fibre = m.fibres[i];
        if (!fibre.stack) {
            void* memory = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (memory == MAP_FAILED) fail("no memory for the stack of a thread");
            fibre.stack = static_cast<char*>(memory);
        }
        getcontext(&fibre.context);
        fibre.context.uc_stack.ss_sp = fibre.stack;
        fibre.context.uc_stack.ss_size = kStack;
        fibre.context.uc_link = nullptr;
        makecontext(&fibre.context, run_fibre, 0);
        fibre.state = State::ready;
        fibre.fake_stack = nullptr;
        fibre.started = false;
        fibre.number = i;
        fibre.thread = dim3(i % m.block.x, i / m.block.x % m.block.y, i / m.block.x / m.block.y);
    }
    do {
        for (const unsigned i : order)
            if (m.fibres[i].state == State::ready) resume(m, m.fibres[i]);
    } while (release(m, threads));
    for (unsigned i = 0; i < threads; ++i)
        if (m.fibres[i].state != State::done) fail("threads wait at different barriers for ever");
}

inline void run(dim3 grid, dim3 block, size_t shared, std::function<void()> body) {
    Machine& m = machine();
    const std::lock_guard lock(m.one);
    const unsigned threads = block.x * block.y * block.z;
    if (threads == 0 || threads > 1024) fail("a block has 1 to 1024 threads");
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535) fail("a grid out of range");
    if (shared > 232448) fail("too much shared memory");
    m.grid = grid, m.block = block, m.body = std::move(body);
    if (m.fibres.size() < threads) m.fibres.resize(threads);
    std::vector<unsigned> order(threads);
    std::iota(order.begin(), order.end(), 0u);
    const char* wanted = std::getenv("VHASH_EMULATOR_ORDER");
    const std::string name = wanted ? wanted : "forward";
    if (name == "backward") std::reverse(order.begin(), order.end());
    else if (name == "shuffled") std::shuffle(order.begin(), order.end(), std::mt19937(7));
    for (unsigned z = 0; z < grid.z; ++z)
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x) {
                m.block_index = dim3(x, y, z);
                m.shared.assign(shared + 16, 0xa5);  // shared memory is not zero
                run_block(m, threads, order);
            }
    m.body = nullptr;
}

inline unsigned lane() { return machine().current->number % 32; }

// What every lane of the warp has passed, `count` registers each, seen by every lane.
template <int count>
void exchange(const uint32_t (&mine)[count], uint32_t (&all)[32][count]) {
    Machine& m = machine();
    auto& slots = m.exchange[m.current->number / 32];
    std::copy(mine, mine + count, slots[lane()]);
    wait(State::at_warp_barrier);
    for (int i = 0; i < 32; ++i) std::copy(slots[i], slots[i] + count, all[i]);
    wait(State::at_warp_barrier);
}

}  // namespace emulator

#define threadIdx (::emulator::machine().current->thread)
#define blockIdx (::emulator::machine().block_index)
#define blockDim (::emulator::machine().block)
#define gridDim (::emulator::machine().grid)

inline void __syncthreads() { emulator::wait(emulator::State::at_block_barrier); }
inline void __syncwarp() { emulator::wait(emulator::State::at_warp_barrier); }
inline uint32_t __shfl_sync(unsigned mask, uint32_t value, int from) {
    if (mask != ~0u) emulator::fail("a shuffle of some lanes only");
    uint32_t all[32][1];
    emulator::exchange({value}, all);
    return all[from % 32][0];
}
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; ++i) c += static_cast<int8_t>(a >> (8 * i)) * static_cast<int8_t>(b >> (8 * i));
    return c;
}
template <class T>
T __ldg(const T* p) {
    return *p;
}
template <class T>
T __ldcs(const T* p) {
    return *p;
}
template <class T, class V>
T atomicAdd(T* p, V value) {
    const T before = *p;
    *p = static_cast<T>(before + static_cast<T>(value));
    return before;
}

// The runtime's functions that csrc/cuda calls.
using cudaStream_t = struct CUstream_st*;
using cudaError_t = int;
constexpr cudaError_t cudaSuccess = 0, cudaErrorMemoryAllocation = 2;
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount = 16, cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

inline const char* cudaGetErrorString(cudaError_t error) { return error == 2 ? "out of memory" : "no error"; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    *value = attribute == cudaDevAttrMultiProcessorCount ? 2 : 232448;
    return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** p, size_t bytes) {
    *p = bytes < (size_t{1} << 40) ? std::aligned_alloc(256, (bytes + 255) / 256 * 256) : nullptr;
    if (*p) std::memset(*p, 0xcd, bytes);  // device memory is not zero
    return *p ? cudaSuccess : cudaErrorMemoryAllocation;
}
inline cudaError_t cudaFree(void* p) { return std::free(p), cudaSuccess; }
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
    if (bytes) std::memcpy(to, from, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t) {
    if (bytes) std::memset(to, value, bytes);
    return cudaSuccess;
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return *stream = nullptr, cudaSuccess; }
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
constexpr unsigned cudaStreamNonBlocking = 1;
template <class F>
cudaError_t cudaFuncSetAttribute(F, cudaFuncAttribute, int) {
    return cudaSuccess;
}
