// The fingerprint of the model that codes come from. To the engine it is a text; empty: not known.
#pragma once

#include <string>

namespace vhash {

// Whether a text can be a model's fingerprint: at most 64 printable ASCII characters, or none.
bool is_model(const std::string& text);
// Throws std::invalid_argument where it cannot.
void check_model(const std::string& text);

}  // namespace vhash
