#include "bindings.hpp"

namespace vhash {

void bind_hamming(pybind11::module_&) {}

}  // namespace vhash
