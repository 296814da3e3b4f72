// Python's view of a store: converts, releases the GIL, raises.
#include <cerrno>

#include <pybind11/stl.h>

#include "bindings/module.hpp"
#include "store/store.hpp"

namespace py = pybind11;

namespace vhash {
namespace {

void translate(std::exception_ptr error) {
    const auto type = [](const char* name) { return py::module_::import("vhash_sdk.errors").attr(name); };
    try {
        if (error) std::rethrow_exception(error);
    } catch (const StoreError& e) {
        if (e.code) PyErr_SetObject(type("StoreError").ptr(), py::make_tuple(e.code, text(e.what())).ptr());
        else PyErr_SetObject(type("StoreError").ptr(), text(e.what()).ptr());
    } catch (const ModelMismatch& e) {
        PyErr_SetObject(type("ModelMismatchError").ptr(), text(e.what()).ptr());
    }
}

std::unique_ptr<Store> open(const std::string& directory, unsigned bits, const std::string& model, bool writable,
                            uint64_t seal_rows, bool background) {
    StoreOptions options;
    options.bits = bits;
    options.model = model;
    options.writable = writable;
    options.seal_rows = seal_rows;
    options.background = background;
    const Released release;
    return Store::open(directory, options);
}

py::list repair(const std::string& directory) {
    std::vector<std::string> lost;
    {
        const Released release;
        lost = repair_store(directory);
    }
    py::list lines;
    for (const std::string& line : lost) lines.append(text(line));
    return lines;
}

py::dict info(Store& store) {
    StoreInfo now;
    {
        const Released release;
        now = store.info();
    }
    py::dict out;
    out["generation"] = now.generation;
    out["segments"] = now.segments;
    out["logs"] = now.logs;
    out["sealed_rows"] = now.sealed_rows;
    out["dead_rows"] = now.dead_rows;
    out["log_bytes"] = now.log_bytes;
    out["sequence"] = now.sequence;
    out["trouble"] = text(now.trouble);
    return out;
}

}  // namespace

void bind_store(py::module_& module) {
    py::register_local_exception_translator(translate);
    using Release = py::call_guard<Released>;
    module.def("repair_store", &repair, py::arg("directory"), "Keeps what is intact; returns what is lost.");
    py::class_<Store>(module, "Store", "The engine behind vhash_sdk.Index.open().")
        .def(py::init(&open), py::arg("directory"), py::arg("bits"), py::arg("model"), py::arg("writable"),
             py::arg("seal_rows") = 0, py::arg("background") = true)
        .def_property_readonly("index", &Store::index, py::return_value_policy::reference_internal)
        .def("refresh", &Store::refresh, Release())
        .def("compact", &Store::compact, Release())
        .def("close", &Store::close, Release())
        .def("info", info);
}

}  // namespace vhash
