// All near duplicates of a collection, in C++: an index in a directory, then every pair within 6 bits.
#include <vhash.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

namespace {

void check(vhash_status status) {
    if (status != VHASH_OK) throw std::runtime_error(vhash_error());
}

struct Free {
    void operator()(vhash_index* index) const { vhash_index_free(index); }
    void operator()(vhash_pairs* pairs) const { vhash_pairs_free(pairs); }
};

}  // namespace

int main(int argc, char** argv) try {
    const char* directory = argc > 1 ? argv[1] : "duplicates.index";
    vhash_index* opened = nullptr;
    check(vhash_index_open(directory, 256, nullptr, 1, &opened));
    const std::unique_ptr<vhash_index, Free> index(opened);

    std::mt19937_64 random(1);
    std::vector<std::uint8_t> codes(20000 * 32);
    for (auto& byte : codes) byte = static_cast<std::uint8_t>(random());
    for (int i = 0; i < 50; ++i) {  // codes 100 … 149 again, three bits off
        std::copy_n(codes.begin() + (100 + i) * 32, 32, codes.begin() + (1000 + i) * 32);
        for (int bit : {3, 77, 250}) codes[static_cast<std::size_t>((1000 + i) * 32 + bit / 8)] ^= 1u << bit % 8;
    }
    check(vhash_index_add(index.get(), codes.data(), 20000, nullptr, nullptr));

    vhash_pairs* stream = nullptr;
    check(vhash_index_pairs(index.get(), nullptr, 6, &stream));
    const std::unique_ptr<vhash_pairs, Free> pairs(stream);
    std::size_t count = 0;
    for (;;) {
        const vhash_pair* batch = nullptr;
        std::size_t n = 0;
        check(vhash_pairs_next(pairs.get(), 1000, &batch, &n));
        if (n == 0) break;
        for (std::size_t i = 0; i < n; ++i, ++count)
            if (batch[i].b != batch[i].a + 900 || batch[i].distance != 3)
                throw std::runtime_error("a pair that is none");
    }
    std::printf("%zu pairs of near duplicates among %zu codes\n", count, vhash_index_size(index.get()));
    return count == 50 ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
