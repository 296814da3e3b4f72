// Readers beside a writer: every search sees whole changes. What the thread sanitizer runs.
#include <vhash.h>

#include <atomic>
#include <cstdio>
#include <random>
#include <thread>
#include <vector>

int main() {
    constexpr std::size_t kBatch = 500, kTurns = 60;
    vhash_index* index = nullptr;
    if (vhash_index_create(128, nullptr, &index) != VHASH_OK) return 1;
    vhash_index_set_threads(index, 3);
    std::mt19937_64 random(7);
    std::vector<std::uint8_t> codes(kBatch * 16);
    for (auto& byte : codes) byte = static_cast<std::uint8_t>(random());

    std::atomic<bool> done{false};
    std::atomic<int> wrong{0}, searches{0};
    const auto read = [&] {
        std::vector<std::int64_t> ids(40 * 10);
        std::vector<std::uint16_t> distances(40 * 10);
        while (!done) {
            vhash_ranges all{};
            std::size_t found = 0;
            if (vhash_index_range(index, codes.data(), 1, 128, 0, &all) != VHASH_OK || all.splits[1] % kBatch) ++wrong;
            vhash_ranges_free(&all);
            if (vhash_index_search(index, codes.data(), 40, 10, ids.data(), distances.data(), &found) != VHASH_OK)
                ++wrong;
            if (found && distances[0] != 0) ++wrong;  // the first batch is never removed
            const std::int64_t some[] = {0, 1, 600};
            if (vhash_index_search_among(index, codes.data(), 1, 3, some, 3, ids.data(), distances.data(), &found) !=
                VHASH_OK)
                ++wrong;
            vhash_index_contains(index, 5);
            ++searches;
        }
    };
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) readers.emplace_back(read);
    std::vector<std::int64_t> ids(kBatch);
    for (std::size_t turn = 0; turn < kTurns; ++turn) {
        for (std::size_t i = 0; i < kBatch; ++i)  // now and then ids against the order of rows
            ids[i] = static_cast<std::int64_t>(turn * kBatch + (turn % 4 == 3 ? kBatch - 1 - i : i));
        if (vhash_index_add(index, codes.data(), kBatch, ids.data(), nullptr) != VHASH_OK) ++wrong;
        if (turn % 3 == 2 && vhash_index_remove(index, ids.data(), kBatch, nullptr) != VHASH_OK) ++wrong;
        if (turn % 10 == 9 && vhash_index_upsert(index, codes.data(), kBatch, ids.data()) != VHASH_OK) ++wrong;
        if (turn == 30 && vhash_index_build_multi_index(index) != VHASH_OK) ++wrong;
    }
    done = true;
    for (auto& reader : readers) reader.join();
    std::printf("%d searches beside the writer, %d wrong\n", searches.load(), wrong.load());
    vhash_index_free(index);
    return wrong || !searches;
}
