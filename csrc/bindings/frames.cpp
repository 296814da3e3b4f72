// Python's side of csrc/frames/frames.hpp. vhash_sdk/video/resize.py is the public face and explains
// wrong arguments; what is checked here again is whatever would make the kernel leave an array.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>

#include "bindings/module.hpp"
#include "frames/frames.hpp"
#include "frames/tone.hpp"
#include "hamming/hamming.hpp"

namespace py = pybind11;

namespace vhash {
namespace {

using Bytes = py::array_t<std::uint8_t>;
using Size = std::array<std::int64_t, 2>;

void require(bool condition, const char* what) {
    if (!condition) throw std::invalid_argument(what);
}

// The rows of an array may lie anywhere; inside a row bytes must be adjacent.
template <int dimensions>
void require_rows(const Bytes& array, const char* what) {
    require(array.ndim() == dimensions, what);
    py::ssize_t adjacent = 1;
    for (int axis = dimensions - 1; axis > 0; --axis) {
        require(array.strides(axis) == adjacent || array.shape(axis) <= 1, what);
        adjacent *= array.shape(axis);
    }
}

void require_target(const frames::Target& target, std::int64_t height, std::int64_t width, const Bytes& out) {
    const auto side = [](std::int64_t value, std::int64_t most) { return value >= 1 && value <= most; };
    require(side(height, frames::kMaxSide) && side(width, frames::kMaxSide), "source size is out of range");
    require(side(target.height, frames::kMaxOutput) && side(target.width, frames::kMaxOutput),
            "output size is out of range");
    require(target.scaled_height <= frames::kMaxScaled && target.scaled_width <= frames::kMaxScaled,
            "scaled size is out of range");
    require(target.top >= 0 && target.left >= 0 && target.height <= target.scaled_height - target.top &&
                target.width <= target.scaled_width - target.left,
            "crop leaves the scaled frame");
    require(target.rotation == 0 || target.rotation == 90 || target.rotation == 180 || target.rotation == 270,
            "rotation is not 0, 90, 180 or 270");
    require_rows<3>(out, "out must have 3 dimensions and adjacent pixels");
    require(out.shape(0) == target.height && out.shape(1) == target.width && out.shape(2) == 3, "out has another size");
}

frames::Target target_of(const Size& scaled, const Size& crop, bool area, int rotation, bool mirrored) {
    frames::Target target;
    target.scaled_height = scaled[0], target.scaled_width = scaled[1];
    target.top = (scaled[0] - crop[0]) / 2, target.left = (scaled[1] - crop[1]) / 2;
    target.height = crop[0], target.width = crop[1];
    target.filter = area ? frames::Filter::area : frames::Filter::bilinear;
    target.rotation = rotation, target.mirrored = mirrored;
    return target;
}

frames::Level level() { return frames::level_named(kernels().name); }

frames::Plane plane_of(const Bytes& array) { return {array.data(), array.strides(0)}; }

void planes_to_rgb(const Bytes& y, const Bytes& u, const std::optional<Bytes>& v, bool bt709, bool full_range,
                   Bytes out, const Size& scaled, const Size& crop, bool area, int rotation, bool mirrored) {
    const frames::Target target = target_of(scaled, crop, area, rotation, mirrored);
    require_rows<2>(y, "y must have 2 dimensions and adjacent pixels");
    frames::Planes planes;
    planes.height = y.shape(0), planes.width = y.shape(1);
    require_target(target, planes.height, planes.width, out);
    planes.matrix = bt709 ? frames::Matrix::bt709 : frames::Matrix::bt601;
    planes.full_range = full_range;
    planes.y = plane_of(y), planes.u = plane_of(u);
    require_rows<2>(u, "u must have 2 dimensions and adjacent pixels");
    const std::int64_t rows = u.shape(0), columns = v ? u.shape(1) : u.shape(1) / 2;
    const auto step = [](std::int64_t luma, std::int64_t chroma) {
        require(chroma == luma || chroma == (luma + 1) / 2, "chroma does not fit luma");
        return chroma == luma ? 1 : 2;
    };
    planes.chroma_rows = step(planes.height, rows);
    planes.chroma_columns = step(planes.width, columns);
    if (v) {
        require_rows<2>(*v, "v must have 2 dimensions and adjacent pixels");
        require(v->shape(0) == rows && v->shape(1) == columns, "u and v differ in size");
        planes.v = plane_of(*v);
    } else {
        require(u.shape(1) % 2 == 0, "interleaved chroma must have pairs");
    }
    const frames::Level used = level();
    std::uint8_t* const to = out.mutable_data();
    const std::ptrdiff_t stride = out.strides(0);
    const Unlocked unlocked;
    frames::planes_to_rgb(planes, target, used, to, stride);
}

void rgb_to_rgb(const Bytes& rgb, Bytes out, const Size& scaled, const Size& crop, bool area) {
    const frames::Target target = target_of(scaled, crop, area, 0, false);
    require_rows<3>(rgb, "rgb must have 3 dimensions and adjacent pixels");
    require(rgb.shape(2) == 3, "rgb must have 3 channels");
    require_target(target, rgb.shape(0), rgb.shape(1), out);
    const frames::Rgb source{rgb.data(), rgb.strides(0), rgb.shape(0), rgb.shape(1)};
    const frames::Level used = level();
    std::uint8_t* const to = out.mutable_data();
    const std::ptrdiff_t stride = out.strides(0);
    const Unlocked unlocked;
    frames::rgb_to_rgb(source, target, used, to, stride);
}

using Deep = py::array_t<std::uint16_t>;

template <typename Array>
void require_dense(const Array& array, const char* what) {
    require((array.flags() & py::array::c_style) != 0, what);
}

void tone_map(const Deep& y, const Deep& u, const Deep& v, const py::array_t<std::uint32_t>& linear,
              const Deep& display, const std::optional<Deep>& gain,
              const std::optional<py::array_t<std::uint32_t>>& curve, const py::array_t<std::int32_t>& numbers,
              Bytes to_y, Bytes to_u, Bytes to_v) {
    for (const auto& plane : {y, u, v}) {
        require(plane.ndim() == 2, "planes must have 2 dimensions");
        require_dense(plane, "planes must be C-contiguous");
    }
    require(linear.size() == frames::kToneCodes && display.size() == frames::kToneDisplay &&
                numbers.size() == frames::kToneNumbers,
            "tables have another size");
    require_dense(linear, "tables must be C-contiguous");
    require_dense(display, "tables must be C-contiguous");
    require_dense(numbers, "tables must be C-contiguous");
    require(gain.has_value() == curve.has_value(), "gain and curve belong together");
    if (gain) {
        require(gain->size() == frames::kToneDisplay && curve->size() == frames::kToneCurve,
                "tables have another size");
        require_dense(*gain, "tables must be C-contiguous");
        require_dense(*curve, "tables must be C-contiguous");
    }
    const auto same = [](const Deep& from, const Bytes& to) {
        require_dense(to, "results must be C-contiguous");
        require(to.ndim() == 2 && to.shape(0) == from.shape(0) && to.shape(1) == from.shape(1),
                "results have another size");
    };
    same(y, to_y), same(u, to_u), same(v, to_v);
    require(u.shape(0) == v.shape(0) && u.shape(1) == v.shape(1), "u and v differ in size");
    const auto step = [](std::int64_t luma, std::int64_t chroma) {
        require(luma >= 1 && (chroma == luma || chroma == (luma + 1) / 2), "chroma does not fit luma");
        return chroma == luma ? 1 : 2;
    };
    frames::DeepPlanes in;
    in.height = y.shape(0), in.width = y.shape(1);
    in.chroma_rows = step(in.height, u.shape(0)), in.chroma_columns = step(in.width, u.shape(1));
    in.y = y.data(), in.u = u.data(), in.v = v.data();
    in.y_stride = in.width, in.c_stride = u.shape(1);
    frames::Tone tone;
    tone.linear = linear.data(), tone.display = display.data();
    if (gain) tone.gain = gain->data(), tone.curve = curve->data();
    std::copy_n(numbers.data(), frames::kToneNumbers, tone.numbers);
    frames::TonedPlanes out;
    out.y = to_y.mutable_data(), out.u = to_u.mutable_data(), out.v = to_v.mutable_data();
    out.y_stride = in.y_stride, out.c_stride = in.c_stride;
    const Unlocked unlocked;
    for (std::int64_t row = 0; row < frames::chroma_height(in); ++row)
        for (std::int64_t column = 0; column < frames::chroma_width(in); ++column)
            frames::tone_cell(in, tone, out, row, column);
}

}  // namespace

void bind_frames(py::module_& module) {
    module.def("frames_planes_to_rgb", &planes_to_rgb, py::arg("y").noconvert(), py::arg("u").noconvert(),
               py::arg("v").noconvert(), py::kw_only(), py::arg("bt709"), py::arg("full_range"),
               py::arg("out").noconvert(), py::arg("scaled"), py::arg("crop"), py::arg("area"), py::arg("rotation"),
               py::arg("mirrored") = false, "Scale 8-bit planes into RGB; v is None where u holds interleaved pairs.");
    module.def("frames_tone_map", &tone_map, py::arg("y").noconvert(), py::arg("u").noconvert(),
               py::arg("v").noconvert(), py::arg("linear").noconvert(), py::arg("display").noconvert(),
               py::arg("gain").noconvert(), py::arg("curve").noconvert(), py::arg("numbers").noconvert(),
               py::arg("to_y").noconvert(), py::arg("to_u").noconvert(), py::arg("to_v").noconvert(),
               "HDR planes of 8, 10 or 12 bits become 8-bit SDR planes of the same sampling; see video/tone.py.");
    module.def("frames_rgb_to_rgb", &rgb_to_rgb, py::arg("rgb").noconvert(), py::kw_only(), py::arg("out").noconvert(),
               py::arg("scaled"), py::arg("crop"), py::arg("area"), "Scale one RGB frame.");
}

}  // namespace vhash
