// Everything at once on one store, for ThreadSanitizer (csrc/sanitize.sh): a writer that adds, replaces,
// removes and compacts while logs are sealed and merged behind it, searches of its index, and readers
// that refresh and search; then a store that several threads close while one compacts it.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <thread>
#include <vector>

#include "index/search.hpp"
#include "store/store.hpp"

namespace {

constexpr size_t kBatch = 50;

void search(const vhash::Index& index) {
    const auto now = index.snapshot();
    const uint64_t query = 0x0123456789abcdefu;
    const auto found = vhash::search_range(*now, &query, 1, 64, SIZE_MAX, 2);
    if (found.matches.size() != now->live) throw std::runtime_error("a search saw half of a change");
    if (now->live % kBatch) throw std::runtime_error("a reader saw half of a change");
}

// Nobody publishes anything once the next writer may have the directory, and nothing is lost.
void close_while_compacting(const std::string& directory) {
    vhash::StoreOptions options;
    options.bits = 64;
    options.seal_rows = 200;
    size_t expected = 0;
    std::vector<uint64_t> codes(kBatch);
    for (int turn = 0; turn < 20; ++turn) {
        const auto store = vhash::Store::open(directory, options);
        if (store->index().size() != expected) throw std::runtime_error("a close lost something");
        for (int i = 0; i < 10; ++i) store->index().add(reinterpret_cast<const uint8_t*>(codes.data()), kBatch, nullptr);
        std::thread compacting([&] {
            try {
                for (;;) {
                    const int64_t next = store->index().next_id() - 1;
                    store->compact();
                    store->index().remove(&next, 1);
                }
            } catch (const vhash::StoreError&) {
            }
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(turn % 5));
        std::vector<std::thread> closing;
        for (int i = 0; i < 4; ++i) closing.emplace_back([&] { store->close(); });
        for (std::thread& thread : closing) thread.join();
        {
            const auto next = vhash::Store::open(directory, options);
            next->index().add(reinterpret_cast<const uint8_t*>(codes.data()), kBatch, nullptr);
            compacting.join();
            expected = next->index().size();
        }
        if (store->index().size() + kBatch != expected) throw std::runtime_error("the next writer found something else");
    }
    std::filesystem::remove_all(directory);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string directory = argc > 1 ? argv[1] : "race.store";
    std::filesystem::remove_all(directory);
    vhash::StoreOptions options;
    options.bits = 64;
    options.seal_rows = 200;
    auto store = vhash::Store::open(directory, options);
    std::atomic<bool> done{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            vhash::StoreOptions reading;
            reading.writable = false;
            const auto reader = vhash::Store::open(directory, reading);
            std::thread beside([&] {
                while (!done) search(reader->index());
            });
            while (!done) {
                reader->refresh();
                search(reader->index());
                reader->info();
            }
            beside.join();
            reader->refresh();
            if (reader->index().size() != store->index().size()) throw std::runtime_error("a reader missed something");
        });
    threads.emplace_back([&] {
        while (!done) {
            search(store->index());
            store->info();
            std::this_thread::yield();
        }
    });
    std::vector<uint64_t> codes(kBatch);
    std::vector<int64_t> ids(kBatch);
    for (uint64_t turn = 0; turn < 200; ++turn) {
        for (size_t i = 0; i < kBatch; ++i) codes[i] = (turn * kBatch + i) * 0x9e3779b97f4a7c15u;
        const auto* bytes = reinterpret_cast<const uint8_t*>(codes.data());
        const int64_t first = store->index().add(bytes, kBatch, nullptr);
        for (size_t i = 0; i < kBatch; ++i) ids[i] = first + static_cast<int64_t>(i) - static_cast<int64_t>(4 * kBatch);
        if (turn % 3 == 2 && first >= static_cast<int64_t>(4 * kBatch)) store->index().remove(ids.data(), kBatch);
        else if (turn % 5 == 4 && first >= static_cast<int64_t>(4 * kBatch) && store->index().contains(ids[0])) store->index().upsert(bytes, kBatch, ids.data());
        if (turn % 40 == 39) store->compact();
    }
    done = true;
    for (std::thread& thread : threads) thread.join();
    const size_t size = store->index().size();
    store->close();
    store.reset();  // with what it has mapped, which Windows does not remove
    options.writable = false;
    if (vhash::Store::open(directory, options)->index().size() != size) throw std::runtime_error("something was lost");
    std::filesystem::remove_all(directory);
    close_while_compacting(directory);
    std::printf("%zu codes, no race\n", size);
}
