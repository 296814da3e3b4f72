// Python's view of the second look: checks shapes, releases the GIL.
#include "bindings/module.hpp"
#include "matching/frame_codes.hpp"

namespace py = pybind11;

namespace vhash {
namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;

void require(bool good, const char* what) {
    if (!good) throw std::invalid_argument(what);
}

template <class T>
void require_shape(const Array<T>& array, py::ssize_t rows, py::ssize_t columns) {
    require(array.ndim() == 2 && array.shape(0) == rows && array.shape(1) == columns, "lines of other shapes");
}

py::array_t<double> frame_likeness(const Array<uint8_t>& a, const Array<uint8_t>& b, const Array<float>& shared,
                                   const Array<int64_t>& low, const Array<float>& part, const Array<float>& weights) {
    require(a.ndim() == 2 && b.ndim() == 2 && a.shape(1) == b.shape(1), "codes of other shapes");
    require(shared.ndim() == 2 && b.shape(0) > 0, "lines of other shapes");
    const py::ssize_t count = shared.shape(0), ours = a.shape(0), theirs = b.shape(0);
    require_shape(shared, count, ours);
    require_shape(low, count, ours);
    require_shape(part, count, ours);
    require_shape(weights, count, theirs);
    for (py::ssize_t i = 0; i < low.size(); ++i)
        require(low.data()[i] >= 0 && low.data()[i] < theirs, "a line leaves the other video");
    const auto codes_of = [](const Array<uint8_t>& video) {
        return FrameCodes{video.data(), static_cast<size_t>(video.shape(0)), static_cast<size_t>(video.shape(1))};
    };
    const Lines lines{shared.data(), low.data(), part.data(), weights.data(), static_cast<size_t>(count)};
    Likeness found;
    {
        const Released release;
        found = likeness(codes_of(a), codes_of(b), lines);
    }
    return py::array_t<double>(static_cast<py::ssize_t>(found.size()), found.data());
}

}  // namespace

void bind_matching(py::module_& module) {
    module.def("frame_likeness", frame_likeness, py::arg("a").noconvert(), py::arg("b").noconvert(),
               py::arg("shared").noconvert(), py::arg("low").noconvert(), py::arg("part").noconvert(),
               py::arg("weights").noconvert());
}

}  // namespace vhash
