// The inner loops of the resize, one set for each instruction set. All sets give the same bits.
#pragma once

#include "frames/frames.hpp"

#if defined(__CUDACC__)
#define VHASH_DEVICE __host__ __device__
#else
#define VHASH_DEVICE
#endif

namespace vhash::frames {

// The target turned back to the stored frame. What is left to do with finished pixels is to turn
// them by its rotation and then, where it is mirrored, to write the rows from the last one to the
// first (exchanging left and right is that after half a turn more).
Target as_stored(Target target);

// Step 3 of the definition as dot products: value = (y * qY + u * qU + v * qV + bias) >> 20.
struct Colour {
    struct Channel {
        std::int16_t y, u, v;
        std::int32_t bias;
    } r, g, b;
};
Colour colour_of(Matrix matrix, bool full_range);

VHASH_DEVICE inline std::uint8_t mix(const Colour::Channel& k, std::int32_t y, std::int32_t u, std::int32_t v) {
    const std::int32_t value = (k.y * y + k.u * u + k.v * v + k.bias) >> 20;
    return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

constexpr int kPad = 64;  // cells after a row of m, and outputs after a row of q, that may be touched

struct Kernels {
    // m[x] = (sum over k < taps of weights[k] * p[k * stride + x] + 2^6) >> 7 for x < n
    void (*rows)(const std::uint8_t* p, std::ptrdiff_t stride, const std::int16_t* weights, int taps, int n,
                 std::int16_t* m);
    // q[k] = (sum of weights * m + 2^13) >> 14; reads up to kPad + taps.width cells too many
    void (*columns)(const std::int16_t* m, const Taps& taps, std::int16_t* q);
    // parts[c][x] = m[channels * x + c] for x < n; channels is 2 or 3
    void (*split2)(const std::int16_t* m, int n, std::int16_t* const* parts);
    void (*split3)(const std::int16_t* m, int n, std::int16_t* const* parts);
    // n pixels of 3 bytes each, nothing beyond them
    void (*colour)(const std::int16_t* y, const std::int16_t* u, const std::int16_t* v, int n, const Colour& colour,
                   std::uint8_t* rgb);
    void (*merge)(const std::int16_t* r, const std::int16_t* g, const std::int16_t* b, int n, std::uint8_t* rgb);
};

extern const Kernels kScalar;
#if defined(__x86_64__)
extern const Kernels kAvx2;
extern const Kernels kAvx512;
#endif

}  // namespace vhash::frames
