// Kernels of the resize defined in csrc/frames/frames.hpp: 16 × 16 → 32 bit multiply-adds, the sums in any order,
// so the bytes are those of the CPU.
#pragma once

#include "cuda/device.hpp"
#include "cuda/frames.hpp"
#include "frames/kernels.hpp"
#include "frames/tone.hpp"

namespace vhash::cuda {

// frames::Taps in device memory: output k has weights[k * width + t] for cells first_cell + first[k] + t, t < count[k].
struct Axis {
    const std::int32_t *first, *count;
    const std::int16_t* weights;
    int width, first_cell;
};

struct FrameJob {
    Axis y_rows, y_columns, c_rows, c_columns;
    int height, width;     // of the result as stored
    int y_bytes, c_bytes;  // in a row of a plane
    int rotation;
    bool interleaved;
    std::int64_t stride;
    frames::Colour colour;
};

constexpr int kFrameBatch = 48;  // frames of a launch: they must fit the kernel's 4 KB of parameters
constexpr int kFrameThreads = 128;
constexpr int kSums = 4096;  // of a block, for each of the three channels

struct FrameBatch {
    DeviceFrame frame[kFrameBatch];
};

// Where pixel (i, k) as stored is shown.
__device__ inline std::uint8_t* shown_at(const FrameJob& job, std::uint8_t* out, int i, int k) {
    int row = i, column = k;
    if (job.rotation == 90) row = k, column = job.height - 1 - i;
    else if (job.rotation == 180) row = job.height - 1 - i, column = job.width - 1 - k;
    else if (job.rotation == 270) row = job.width - 1 - k, column = i;
    return out + row * job.stride + 3 * std::int64_t{column};
}

// m of bytes [from, to) of the plane's rows that output row i needs, into sums[0, to - from).
__device__ inline void scale_rows(const std::uint8_t* plane, std::int64_t stride, int bytes, const Axis& rows, int i,
                                  int from, int to, std::int16_t* sums) {
    const std::uint8_t* top = plane + std::int64_t{rows.first_cell + rows.first[i]} * stride;
    const std::int16_t* weights = rows.weights + std::int64_t{i} * rows.width;
    const int taps = rows.count[i];
    const bool aligned = ((reinterpret_cast<std::uintptr_t>(plane) | static_cast<std::uintptr_t>(stride)) & 3) == 0;
    for (int x = (from & ~3) + 4 * static_cast<int>(threadIdx.x); x < to; x += 4 * kFrameThreads) {
        int sum[4] = {1 << 6, 1 << 6, 1 << 6, 1 << 6};
        if (aligned && x + 4 <= bytes) {
#pragma unroll 4
            for (int t = 0; t < taps; ++t) {
                const std::uint32_t four = *reinterpret_cast<const std::uint32_t*>(top + t * stride + x);
                const int weight = weights[t];
                for (int j = 0; j < 4; ++j) sum[j] += weight * static_cast<int>(four >> (8 * j) & 255u);
            }
        } else {
            for (int t = 0; t < taps; ++t)
                for (int j = 0; j < 4 && x + j < bytes; ++j) sum[j] += weights[t] * top[t * stride + x + j];
        }
        for (int j = 0; j < 4; ++j)
            if (x + j >= from && x + j < to) sums[x + j - from] = static_cast<std::int16_t>(sum[j] >> 7);
    }
}

// q of output k from the sums of cells from `from` on, each `channels` values apart.
__device__ inline int scale_columns(const std::int16_t* sums, int from, int channels, const Axis& columns, int k) {
    const std::int16_t* weights = columns.weights + std::int64_t{k} * columns.width;
    const std::int16_t* m = sums + std::int64_t{columns.first[k] - from} * channels;
    int sum = 1 << 13;
    for (int t = 0; t < columns.count[k]; ++t) sum += weights[t] * m[t * channels];
    return sum >> 14;
}

// A block makes outputs [chunk · j, chunk · (j + 1)) of one row of one frame.
__global__ void __launch_bounds__(kFrameThreads) scale_frames(FrameJob job, FrameBatch batch, int chunk) {
    __shared__ std::int16_t y[kSums], u[2 * kSums];
    std::int16_t* const v = job.interleaved ? u + 1 : u + kSums;
    const int channels = job.interleaved ? 2 : 1;
    const int chunks = (job.width + chunk - 1) / chunk, i = static_cast<int>(blockIdx.x) / chunks;
    const int first = static_cast<int>(blockIdx.x) % chunks * chunk,
              last = first + chunk < job.width ? first + chunk : job.width;
    const DeviceFrame& frame = batch.frame[blockIdx.y];
    const int y_from = job.y_columns.first[first], y_to = job.y_columns.first[last - 1] + job.y_columns.count[last - 1];
    const int c_from = job.c_columns.first[first], c_to = job.c_columns.first[last - 1] + job.c_columns.count[last - 1];
    const int y_cell = job.y_columns.first_cell, c_cell = job.c_columns.first_cell;
    scale_rows(frame.y, frame.y_stride, job.y_bytes, job.y_rows, i, y_cell + y_from, y_cell + y_to, y);
    scale_rows(frame.u, frame.u_stride, job.c_bytes, job.c_rows, i, channels * (c_cell + c_from),
               channels * (c_cell + c_to), u);
    if (!job.interleaved)
        scale_rows(frame.v, frame.v_stride, job.c_bytes, job.c_rows, i, c_cell + c_from, c_cell + c_to, v);
    __syncthreads();
    for (int k = first + static_cast<int>(threadIdx.x); k < last; k += kFrameThreads) {
        const int qy = scale_columns(y, y_from, 1, job.y_columns, k);
        const int qu = scale_columns(u, c_from, channels, job.c_columns, k),
                  qv = scale_columns(v, c_from, channels, job.c_columns, k);
        std::uint8_t* rgb = shown_at(job, frame.out, i, k);
        rgb[0] = frames::mix(job.colour.r, qy, qu, qv);
        rgb[1] = frames::mix(job.colour.g, qy, qu, qv);
        rgb[2] = frames::mix(job.colour.b, qy, qu, qv);
    }
}

// q of one pixel straight from its plane.
__device__ inline int scale_pixel(const std::uint8_t* plane, std::int64_t stride, int channels, const Axis& rows,
                                  const Axis& columns, int i, int k) {
    const std::uint8_t* top = plane + std::int64_t{rows.first_cell + rows.first[i]} * stride +
                              std::int64_t{columns.first_cell + columns.first[k]} * channels;
    const std::int16_t *down = rows.weights + std::int64_t{i} * rows.width,
                       *across = columns.weights + std::int64_t{k} * columns.width;
    int q = 1 << 13;
    for (int x = 0; x < columns.count[k]; ++x) {
        int m = 1 << 6;
        for (int t = 0; t < rows.count[i]; ++t) m += down[t] * top[t * stride + std::int64_t{x} * channels];
        q += across[x] * (m >> 7);
    }
    return q >> 14;
}

// The same, a thread to a pixel: for scales so strong that the sums of a single output would not fit a block.
__global__ void __launch_bounds__(kFrameThreads) scale_frames_directly(FrameJob job, FrameBatch batch) {
    const std::int64_t at = std::int64_t{blockIdx.x} * kFrameThreads + threadIdx.x;
    if (at >= std::int64_t{job.height} * job.width) return;
    const int i = static_cast<int>(at / job.width), k = static_cast<int>(at % job.width),
              channels = job.interleaved ? 2 : 1;
    const DeviceFrame& frame = batch.frame[blockIdx.y];
    const std::uint8_t* v = job.interleaved ? frame.u + 1 : frame.v;
    const int qy = scale_pixel(frame.y, frame.y_stride, 1, job.y_rows, job.y_columns, i, k);
    const int qu = scale_pixel(frame.u, frame.u_stride, channels, job.c_rows, job.c_columns, i, k);
    const int qv =
        scale_pixel(v, job.interleaved ? frame.u_stride : frame.v_stride, channels, job.c_rows, job.c_columns, i, k);
    std::uint8_t* rgb = shown_at(job, frame.out, i, k);
    rgb[0] = frames::mix(job.colour.r, qy, qu, qv);
    rgb[1] = frames::mix(job.colour.g, qy, qu, qv);
    rgb[2] = frames::mix(job.colour.b, qy, qu, qv);
}

// A thread to a chroma sample and its pixels.
__global__ void tone_frame(frames::DeepPlanes in, frames::Tone tone, frames::TonedPlanes out, std::int64_t columns,
                           std::int64_t cells) {
    const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at < cells) frames::tone_cell(in, tone, out, at / columns, at % columns);
}

// Every `step`-th pixel of every `step`-th row; `rows` and `columns` are of the result.
__global__ void thin_frames(const std::uint8_t* rgb, std::int64_t height, std::int64_t width, std::int64_t step,
                            std::int64_t rows, std::int64_t columns, std::int64_t pixels, std::uint8_t* out) {
    const std::int64_t at = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at >= pixels) return;
    const std::int64_t frame = at / (rows * columns), row = at / columns % rows * step, column = at % columns * step;
    const std::uint8_t* from = rgb + 3 * ((frame * height + row) * width + column);
    for (int c = 0; c < 3; ++c) out[3 * at + c] = from[c];
}

}  // namespace vhash::cuda
