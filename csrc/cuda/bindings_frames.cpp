// Python's side of cuda/frames.hpp. Addresses are taken as they are: vhash_sdk/video/device_frames.py is
// the public face, and what is checked here is that the kernel stays inside planes of the stated sizes.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "cuda/frames.hpp"
#include "system/gil.hpp"

namespace py = pybind11;

namespace vhash::cuda {
namespace {

using Size = std::array<std::int64_t, 2>;
// addresses of y, u (or interleaved chroma), v (or 0) and of the result, and the strides of the planes
using Addresses = std::array<std::uintptr_t, 4>;
using Strides = std::array<std::int64_t, 3>;

void require(bool condition, const char* what) {
    if (!condition) throw std::invalid_argument(what);
}

void planes_to_rgb(FrameScaler& scaler, const std::vector<std::pair<Addresses, Strides>>& batch, const Size& size,
                   const Size& chroma, bool bt709, bool full_range, const Size& scaled, const Size& crop, bool area,
                   int rotation, bool mirrored, std::int64_t stride, std::uintptr_t stream, bool direct) {
    const auto side = [](std::int64_t value, std::int64_t most) { return value >= 1 && value <= most; };
    require(side(size[0], frames::kMaxSide) && side(size[1], frames::kMaxSide), "source size is out of range");
    require(side(crop[0], frames::kMaxOutput) && side(crop[1], frames::kMaxOutput), "output size is out of range");
    require(scaled[0] <= frames::kMaxScaled && scaled[1] <= frames::kMaxScaled, "scaled size is out of range");
    require(crop[0] <= scaled[0] && crop[1] <= scaled[1], "crop leaves the scaled frame");
    require(rotation == 0 || rotation == 90 || rotation == 180 || rotation == 270, "rotation is not 0, 90, 180 or 270");
    require(stride >= 3 * crop[1], "rows of the result overlap");
    const auto step = [](std::int64_t luma, std::int64_t samples) {
        require(samples == luma || samples == (luma + 1) / 2, "chroma does not fit luma");
        return samples == luma ? 1 : 2;
    };
    frames::Planes format;
    format.height = size[0], format.width = size[1];
    format.chroma_rows = step(size[0], chroma[0]), format.chroma_columns = step(size[1], chroma[1]);
    format.matrix = bt709 ? frames::Matrix::bt709 : frames::Matrix::bt601;
    format.full_range = full_range;
    frames::Target target;
    target.scaled_height = scaled[0], target.scaled_width = scaled[1];
    target.top = (scaled[0] - crop[0]) / 2, target.left = (scaled[1] - crop[1]) / 2;
    target.height = crop[0], target.width = crop[1];
    target.filter = area ? frames::Filter::area : frames::Filter::bilinear;
    target.rotation = rotation, target.mirrored = mirrored;
    std::vector<DeviceFrame> frames_of_batch;
    for (const auto& [at, strides] : batch) {
        require(at[0] && at[1] && at[3], "an address is null");
        require((at[2] == 0) == (batch.front().first[2] == 0), "frames differ in their layout");
        DeviceFrame frame;
        frame.y = reinterpret_cast<const std::uint8_t*>(at[0]);
        frame.u = reinterpret_cast<const std::uint8_t*>(at[1]);
        frame.v = reinterpret_cast<const std::uint8_t*>(at[2]);
        frame.y_stride = strides[0], frame.u_stride = strides[1], frame.v_stride = strides[2];
        frame.out = reinterpret_cast<std::uint8_t*>(at[3]);
        frames_of_batch.push_back(frame);
    }
    const Unlocked unlocked;
    scaler.run(format, target, frames_of_batch, stride, reinterpret_cast<void*>(stream), direct);
}

void thin(FrameScaler& scaler, std::uintptr_t frames, std::int64_t count, const Size& size, std::int64_t step,
          std::uintptr_t out, std::uintptr_t stream) {
    require(frames && out && count >= 0 && step >= 1 && size[0] >= 1 && size[1] >= 1,
            "frames, count, size or step are out of range");
    const Unlocked unlocked;
    scaler.thin(reinterpret_cast<const std::uint8_t*>(frames), count, size[0], size[1], step,
                reinterpret_cast<std::uint8_t*>(out), reinterpret_cast<void*>(stream));
}

// Tables as of frames_tone_map (csrc/bindings/frames.cpp), here as addresses of the host.
void tone_map(FrameScaler& scaler, const std::array<std::uintptr_t, 2>& planes,
              const std::array<std::int64_t, 2>& strides, const Size& size, int shift,
              const std::array<std::uintptr_t, 4>& tables,
              const std::array<std::int32_t, frames::kToneNumbers>& numbers, const std::array<std::uintptr_t, 2>& out,
              std::uintptr_t stream) {
    require(planes[0] && planes[1] && out[0] && out[1] && tables[0] && tables[1], "an address is null");
    require((tables[2] == 0) == (tables[3] == 0), "gain and curve belong together");
    require(size[0] >= 1 && size[0] <= frames::kMaxSide && size[1] >= 1 && size[1] <= frames::kMaxSide,
            "source size is out of range");
    require(strides[0] % 2 == 0 && strides[1] % 2 == 0 && shift >= 0 && shift <= 8,
            "strides or shift are out of range");
    frames::DeepPlanes in;
    in.y = reinterpret_cast<const std::uint16_t*>(planes[0]);
    in.u = reinterpret_cast<const std::uint16_t*>(planes[1]), in.v = in.u + 1;
    in.y_stride = strides[0] / 2, in.c_stride = strides[1] / 2, in.c_step = 2, in.shift = shift;
    in.height = size[0], in.width = size[1];
    frames::Tone tone;
    tone.linear = reinterpret_cast<const std::uint32_t*>(tables[0]);
    tone.display = reinterpret_cast<const std::uint16_t*>(tables[1]);
    tone.gain = reinterpret_cast<const std::uint16_t*>(tables[2]);
    tone.curve = reinterpret_cast<const std::uint32_t*>(tables[3]);
    std::copy(numbers.begin(), numbers.end(), tone.numbers);
    frames::TonedPlanes to;
    to.y = reinterpret_cast<std::uint8_t*>(out[0]), to.u = reinterpret_cast<std::uint8_t*>(out[1]), to.v = to.u + 1;
    to.y_stride = in.width, to.c_stride = 2 * frames::chroma_width(in), to.c_step = 2;
    const Unlocked unlocked;
    scaler.tone_map(in, tone, to, reinterpret_cast<void*>(stream));
}

}  // namespace

void bind_frames(py::module_& module) {
    py::class_<FrameScaler>(module, "FrameScaler", py::module_local(), "Scales frames in the memory of one device.")
        .def(py::init<int>(), py::arg("device"))
        .def("planes_to_rgb", &planes_to_rgb, py::arg("batch"), py::kw_only(), py::arg("size"), py::arg("chroma"),
             py::arg("bt709"), py::arg("full_range"), py::arg("scaled"), py::arg("crop"), py::arg("area"),
             py::arg("rotation"), py::arg("mirrored"), py::arg("stride"), py::arg("stream") = 0,
             py::arg("direct") = false,
             "Scale 8-bit planes into RGB: ((y, u, v or 0, out), (strides)) for each frame, as addresses.")
        .def("tone_map", &tone_map, py::arg("planes"), py::kw_only(), py::arg("strides"), py::arg("size"),
             py::arg("shift"), py::arg("tables"), py::arg("numbers"), py::arg("out"), py::arg("stream"),
             "HDR luma and pairs of chroma (P016) become NV12 without padding.")
        .def("thin", &thin, py::arg("frames"), py::arg("count"), py::arg("size"), py::arg("step"), py::arg("out"),
             py::arg("stream"), "Every step-th pixel of every step-th row.");
}

}  // namespace vhash::cuda
