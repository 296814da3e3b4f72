// The pieces of the Python module `vhash_sdk._core`. Each room binds itself; bindings.cpp only
// collects them. Bindings convert, release the GIL and raise: no algorithm lives there.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

namespace vhash {

void bind_hamming(pybind11::module_& module);  // bindings_hamming.cpp
void bind_frames(pybind11::module_& module);   // bindings_frames.cpp
void bind_store(pybind11::module_& module);    // bindings_store.cpp

}  // namespace vhash
