// The Python module vhash_sdk._cuda. Conversions, the GIL and errors only; arguments were checked by
// vhash_sdk/index/device.py and video/device_frames.py, and what is checked here keeps memory safe.
#include <cuda_runtime.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>

#include "cuda/device.hpp"
#include "cuda/frames.hpp"
#include "cuda/hamming.hpp"
#include "system/gil.hpp"

namespace py = pybind11;

namespace vhash::cuda {

void bind_frames(py::module_& module);  // bindings_frames.cpp

namespace {

using Codes = py::array_t<std::uint8_t, py::array::c_style>;
using Ids = py::array_t<std::int64_t, py::array::c_style>;
using Distances = py::array_t<std::uint16_t, py::array::c_style>;

void require(bool condition, const char* what) {
    if (!condition) throw std::invalid_argument(what);
}

std::size_t rows_of(const DeviceIndex& index, const Codes& codes) {
    require(codes.ndim() == 2 && static_cast<std::size_t>(codes.shape(1)) == (index.bits() + 7) / 8,
            "codes must be uint8[n, bytes]");
    return static_cast<std::size_t>(codes.shape(0));
}

Method method_named(const DeviceIndex& index, const std::string& name) {
    static const std::pair<const char*, Method> methods[] = {{"auto", Method::automatic}, {"few", Method::few},
                                                             {"popc", Method::popc},      {"slices", Method::slices},
                                                             {"s8", Method::s8},          {"b1", Method::b1}};
    for (const auto& [known, method] : methods)
        if (name == known) {
            require(has_method(method, index.bits()), "this method is not there for codes of this width");
            return method;
        }
    throw std::invalid_argument("a method is auto, few, popc, slices, s8 or b1");
}

// Queries on the host (an array) or on the device (an address and their number).
struct Queries {
    const void* bytes = nullptr;
    bool on_device = false;
    std::size_t n = 0;

    Queries(const DeviceIndex& index, const py::object& queries, std::optional<std::size_t> count) {
        if (count) {
            bytes = reinterpret_cast<const void*>(queries.cast<std::uintptr_t>());
            on_device = true, n = *count;
        } else {
            const auto array = queries.cast<Codes>();
            n = rows_of(index, array), bytes = array.data();
        }
    }
};

void append(DeviceIndex& index, const Codes& codes, const std::optional<Ids>& ids) {
    const std::size_t n = rows_of(index, codes);
    require(!ids || (ids->ndim() == 1 && static_cast<std::size_t>(ids->shape(0)) == n),
            "ids must be int64[n], one for each code");
    const std::uint8_t* bytes = codes.data();
    const std::int64_t* wanted = ids ? ids->data() : nullptr;
    const Unlocked release;
    index.append(bytes, n, wanted);
}

py::tuple search(DeviceIndex& index, const py::object& codes, std::optional<std::size_t> count, std::size_t k,
                 const std::string& name, std::uintptr_t stream) {
    const Queries queries(index, codes, count);
    const Method method = method_named(index, name);
    k = std::min<std::uint64_t>(k, index.size());
    Ids ids({queries.n, k});
    Distances distances({queries.n, k});
    std::int64_t* id = ids.mutable_data();
    std::uint16_t* distance = distances.mutable_data();
    {
        const Unlocked release;
        index.search(queries.bytes, queries.on_device, queries.n, k, method, reinterpret_cast<void*>(stream), id,
                     distance);
    }
    return py::make_tuple(ids, distances);
}

template <class T>
py::array_t<T> array_of(const std::vector<T>& values) {
    return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::tuple range_search(DeviceIndex& index, const py::object& codes, std::optional<std::size_t> count,
                       std::uint32_t radius, std::optional<std::uint64_t> limit, const std::string& name,
                       std::uintptr_t stream) {
    const Queries queries(index, codes, count);
    const Method method = method_named(index, name);
    RangeResult found;
    {
        const Unlocked release;
        found = index.range(queries.bytes, queries.on_device, queries.n, radius, limit.value_or(~std::uint64_t{0}),
                            method, reinterpret_cast<void*>(stream));
    }
    return py::make_tuple(array_of(found.ids), array_of(found.distances), array_of(found.splits));
}

std::uint64_t scan_only(DeviceIndex& index, const Codes& codes, std::int32_t radius, const std::string& name,
                        std::uintptr_t stream) {
    const std::size_t n = rows_of(index, codes);
    const Method method = method_named(index, name);
    const void* bytes = codes.data();
    const Unlocked release;
    return index.scan_only(bytes, n, radius, method, reinterpret_cast<void*>(stream));
}

std::unique_ptr<DeviceIndex> take(const DeviceIndex& index, const Ids& rows) {
    const std::int64_t* first = rows.data();
    const auto n = static_cast<std::size_t>(rows.size());
    const Unlocked release;
    return index.take(first, n);
}

int device_count() {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

void translate(std::exception_ptr error) {
    const auto raise = [](const char* name, const char* what) {
        const py::object type = py::module_::import("vhash_sdk.errors").attr(name);
        PyErr_SetObject(type.ptr(), py::str(what).ptr());
    };
    try {
        if (error) std::rethrow_exception(error);
    } catch (const CudaError& e) {
        raise("BackendError", e.what());
    } catch (const std::invalid_argument& e) {
        raise("OptionError", e.what());
    }
}

}  // namespace

PYBIND11_MODULE(_cuda, module) {
    module.doc() = "The CUDA kernels of vhash: Hamming search and frames in device memory.";
    py::register_local_exception_translator(translate);
    module.def("device_count", device_count, "CUDA devices; 0 where there is no driver.");
    py::class_<DeviceIndex>(module, "DeviceIndex", py::module_local(), "Codes in device memory, searched there.")
        .def(py::init<unsigned, std::uint64_t, int, bool, std::int64_t>(), py::arg("bits"), py::arg("capacity"),
             py::kw_only(), py::arg("device"), py::arg("with_ids"), py::arg("id_base"))
        .def_property_readonly("bits", &DeviceIndex::bits)
        .def_property_readonly("device", &DeviceIndex::device)
        .def_property_readonly("nbytes", &DeviceIndex::bytes)
        .def("__len__", &DeviceIndex::size)
        .def("append", append, py::arg("codes"), py::arg("ids"))
        .def("take", take, py::arg("rows"))
        .def("search", search, py::arg("queries"), py::arg("count").none(true), py::arg("k"), py::kw_only(),
             py::arg("method") = "auto", py::arg("stream") = 0)
        .def("range_search", range_search, py::arg("queries"), py::arg("count").none(true), py::arg("radius"),
             py::arg("limit").none(true), py::kw_only(), py::arg("method") = "auto", py::arg("stream") = 0)
        .def("scan_only", scan_only, py::arg("queries"), py::arg("radius"), py::kw_only(), py::arg("method"),
             py::arg("stream") = 0, "How many pairs are within the radius: one scan, for measurements.");
    bind_frames(module);
}

}  // namespace vhash::cuda
