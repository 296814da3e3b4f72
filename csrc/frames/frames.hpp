// The one resize of vhash: 8-bit planes or RGB in, RGB at the model's size out, in integers only.
//
// THE DEFINITION. Stored codes depend on it: it may never change. `>>` is the arithmetic shift
// (rounds down), `/` rounds down too, and no intermediate leaves a signed 32-bit integer except
// where 64 bits are named. tests/video/test_resize.py says the same in numpy.
//
// 1. Weights along one axis (64-bit integers). The frame has S pixels along the axis and is
//    scaled to D. The plane has cells of s pixels, n = ceil(S / s) of them: s = 1 for luma and
//    RGB, s = 2 for subsampled chroma, whose samples sit in the middle of their cell; the last
//    cell may stick out of the frame. Output i, 0 <= i < D, gets integer weights of sum 2^14:
//    area, where S > s * D:
//      W(j) = (2^15 * clamp(j * s * D - i * S, 0, S) + S) / (2 * S)       for j = 0..n
//      weight of cell j = W(j + 1) - W(j)      (its share of [i * S / D, (i + 1) * S / D))
//    bilinear, and area where S <= s * D (that plane is scaled up along that axis):
//      a = (2 * i + 1) * S - s * D,   b = 2 * s * D
//      j = a / b,   f = a - b * j,   w = (2^15 * f + b) / (2 * b)
//      cell clamp(j, 0, n - 1) gets 2^14 - w and cell clamp(j + 1, 0, n - 1) gets w
//    (half-pixel centres; where both are the same cell it gets the sum).
// 2. Each plane is scaled, the rows first:
//      m[i][x] = (sum over y of weight(i, y) * p[y][x] + 2^6) >> 7            0 <= m <= 255 * 2^7
//      q[i][k] = (sum over x of weight(k, x) * m[i][x] + 2^13) >> 14          0 <= q <= 255 * 2^7
// 3. Planes become RGB at the target size:
//      R = clamp((cy * qY + rv * qV - (cy * black + rv * 2^14) + 2^19) >> 20, 0, 255)
//      G = clamp((cy * qY + gu * qU + gv * qV - (cy * black + (gu + gv) * 2^14) + 2^19) >> 20, ..)
//      B = clamp((cy * qY + bu * qU - (cy * black + bu * 2^14) + 2^19) >> 20, 0, 255)
//    with black = 16 * 2^7 for limited range and 0 for full range, and coefficients in 1/2^13:
//                          cy      rv      gu      gv      bu
//      BT.601 limited    9539   13075   -3209   -6660   16525
//      BT.601 full       8192   11485   -2819   -5850   14516
//      BT.709 limited    9539   14686   -1747   -4366   17305
//      BT.709 full       8192   12901   -1535   -3835   15201
//    RGB input stays RGB: out = (q + 2^6) >> 7, for each channel.
// 4. The frame as shown is the stored one turned clockwise by the rotation, then, where it is
//    mirrored, with left and right exchanged. Size, rule and crop are meant as shown: the stored
//    frame is scaled to the size that turns into it, and turned and mirrored afterwards, so
//    orientation moves pixels and computes nothing.
//
// Every weight is between 0 and 2^14 and fits an int16, as m and q do: both sums are chains of
// 16 x 16 -> 32 bit multiply-adds (pmaddwd, dp2a), and constant frames stay constant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace vhash::frames {

constexpr std::int64_t kMaxSide = 1 << 20;                  // of a source frame, in pixels
constexpr std::int64_t kMaxOutput = 1 << 16;                // of the result, in pixels
constexpr std::int64_t kMaxScaled = std::int64_t{1} << 32;  // before the crop; keeps 64 bits enough
constexpr int kWeightBits = 14;

enum class Filter { area, bilinear };
enum class Matrix { bt601, bt709 };
enum class Level { scalar, avx2, avx512 };  // each gives the same bits

struct Plane {
    const std::uint8_t* data = nullptr;
    std::ptrdiff_t stride = 0;  // bytes from one row to the next, may be negative
};

// A frame of planes as stored. With interleaved chroma (NV12) `u` is the plane of pairs and
// `v.data` is null.
struct Planes {
    Plane y, u, v;
    std::int64_t height = 0, width = 0;       // of luma
    int chroma_rows = 2, chroma_columns = 2;  // luma pixels per chroma sample, each 1 or 2
    Matrix matrix = Matrix::bt601;
    bool full_range = false;
};

struct Rgb {
    const std::uint8_t* data = nullptr;
    std::ptrdiff_t stride = 0;
    std::int64_t height = 0, width = 0;
};

// What comes out: `height` x `width` pixels from (top, left) of the frame scaled to
// scaled_height x scaled_width; all as shown, after the clockwise rotation and the mirror.
struct Target {
    std::int64_t scaled_height = 0, scaled_width = 0, top = 0, left = 0, height = 0, width = 0;
    Filter filter = Filter::area;
    int rotation = 0;
    bool mirrored = false;
};

// out: `target.height` rows of `target.width` RGB pixels, `stride` bytes apart.
// Arguments are taken as checked (bindings/frames.cpp does it); throws std::bad_alloc only.
void planes_to_rgb(const Planes& planes, const Target& target, Level level, std::uint8_t* out, std::ptrdiff_t stride);
void rgb_to_rgb(const Rgb& rgb, const Target& target, Level level, std::uint8_t* out, std::ptrdiff_t stride);

// The weights of outputs first_output .. first_output + outputs of one axis (definition, 1).
// Row k of `weights` holds the weights of cells first_cell + first[k] + (0 .. count[k]), then
// zeros; `first` and `weights` go on, with zeros, to a multiple of 8 outputs.
struct Taps {
    std::vector<std::int32_t> first, count;
    std::vector<std::int16_t> weights;
    std::int32_t outputs = 0;
    std::int32_t width = 0;                     // taps in a row of `weights`: 8 or a multiple of 16
    std::int32_t first_cell = 0, end_cell = 0;  // cells that any output uses

    // For kernels that shuffle 16 bytes: 8 outputs, each half within 8 cells of its base. Empty
    // where the scale is 2 or more.
    struct alignas(32) Near {
        std::uint8_t shuffle[32];     // from the base to (tap 0, tap 1); taps 2 and 3 are 2 cells on
        std::int16_t weights[2][16];  // 8 x (tap 2p, tap 2p + 1)
    };
    std::vector<Near> near;
    std::vector<std::int32_t> near_base;  // two for each
    std::int32_t near_pairs = 0;          // 1 or 2 pairs of taps are in use

    // For kernels that shuffle 64 cells: groups of window_size outputs, each within 64 cells (32
    // unless window_wide) of its base, in window_steps steps. Lane l of 16 in a step is a pair
    // of taps of output l % window_size. Empty where the scale is too large.
    struct alignas(64) Window {
        std::int16_t places[32], weights[32];
    };
    std::vector<Window> windows;
    std::vector<std::int32_t> window_base;  // one for each group
    std::int32_t window_size = 0, window_steps = 0;
    bool window_wide = false;
};

Taps make_taps(std::int64_t source, int step, std::int64_t scaled, Filter filter, std::int64_t first_output,
               std::int64_t outputs);

// The kernels for a SIMD level named as in hamming/hamming.hpp: avx512, avx2, else the scalar ones (NEON
// has none of its own: compilers vectorise the scalar ones for it).
Level level_named(std::string_view name);

}  // namespace vhash::frames
