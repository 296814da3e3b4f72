#include "bindings.hpp"

namespace vhash {

void bind_frames(pybind11::module_&) {}

}  // namespace vhash
