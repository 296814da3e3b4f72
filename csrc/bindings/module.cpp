#include "bindings/module.hpp"

PYBIND11_MODULE(_core, module) {
    module.doc() = "The C++ engine of vhash: Hamming search, the frame kernel and the second look.";
    vhash::bind_hamming(module);
    vhash::bind_frames(module);
    vhash::bind_matching(module);
    vhash::bind_store(module);
}
