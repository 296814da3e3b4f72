// The resize of csrc/frames/frames.hpp on planes in device memory, to the same bytes. Plain C++.
#pragma once

#include <memory>
#include <vector>

#include "frames/frames.hpp"
#include "frames/tone.hpp"

namespace vhash::cuda {

// Planes of one frame and where its RGB goes, all in device memory. With interleaved chroma `v` is null.
struct DeviceFrame {
    const std::uint8_t *y = nullptr, *u = nullptr, *v = nullptr;
    std::int64_t y_stride = 0, u_stride = 0, v_stride = 0;
    std::uint8_t* out = nullptr;
};

// Scales frames of one device. Calls may come from several threads; they return before the work on the
// stream (a cudaStream_t, or null) is done. Throws CudaError and std::bad_alloc.
class FrameScaler {
  public:
    explicit FrameScaler(int device);
    ~FrameScaler();

    // `format` gives size, chroma, matrix and range of all frames (its pointers are not used); `stride`: bytes
    // from one row of RGB to the next. `direct`: one thread a pixel, for tests (it is chosen by itself where a
    // row of sums would not fit into shared memory).
    void run(const frames::Planes& format, const frames::Target& target, const std::vector<DeviceFrame>& batch,
             std::int64_t stride, void* stream, bool direct = false);

    // HDR planes to 8-bit SDR planes, both in device memory; the tables of `tone` are the host's, and are kept on
    // the device by its numbers, from which they follow.
    void tone_map(const frames::DeepPlanes& in, const frames::Tone& tone, const frames::TonedPlanes& out, void* stream);

    // Every `step`-th pixel of every `step`-th row of `count` frames of height × width RGB pixels, close together.
    void thin(const std::uint8_t* rgb, std::int64_t count, std::int64_t height, std::int64_t width, std::int64_t step,
              std::uint8_t* out, void* stream);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace vhash::cuda
