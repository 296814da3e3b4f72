#include "system/fork.hpp"

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include <mutex>
#include <set>

namespace vhash {
namespace {

constexpr size_t kOrders = static_cast<size_t>(ForkOrder::lock_files) + 1;

struct Registry {
    std::mutex mutex;
    std::set<ForkLock*> locks[kOrders];
};

Registry& registry();

#if defined(_WIN32)  // where no process forks
void watch_forks() {}
#else
void hold_all() {
    registry().mutex.lock();
    for (const auto& locks : registry().locks)
        for (ForkLock* lock : locks) lock->hold();
}

void let_go(bool child) {
    Registry& all = registry();
    for (size_t order = kOrders; order-- > 0;)
        for (ForkLock* lock : all.locks[order]) lock->let_go(child);
    if (child) new (&all.mutex) std::mutex;
    else all.mutex.unlock();
}

void watch_forks() {
    ::pthread_atfork(hold_all, [] { let_go(false); }, [] { let_go(true); });
}
#endif

Registry& registry() {
    static Registry* const instance = [] {
        watch_forks();
        return new Registry;  // never freed: a child may be forked while the process ends
    }();
    return *instance;
}

}  // namespace

ForkLock::ForkLock(ForkOrder order) : order_(order) {}

ForkLock::~ForkLock() = default;

void ForkLock::adopt() {
    std::lock_guard<std::mutex> lock(registry().mutex);
    registry().locks[static_cast<size_t>(order_)].insert(this);
}

void ForkLock::forget() {
    std::lock_guard<std::mutex> lock(registry().mutex);
    registry().locks[static_cast<size_t>(order_)].erase(this);
}

}  // namespace vhash
