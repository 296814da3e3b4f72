#include "index/model.hpp"

#include <algorithm>
#include <stdexcept>

namespace vhash {

bool is_model(const std::string& text) {
    return text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void check_model(const std::string& text) {
    if (!is_model(text))
        throw std::invalid_argument(
            "a model's fingerprint has at most 64 characters, printable ASCII; see ModelSpec.fingerprint");
}

}  // namespace vhash
