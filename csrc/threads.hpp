// A persistent thread pool of our own: OpenMP runtimes clash with those of torch and faiss, and a
// thread made per call costs 40 microseconds.
#pragma once

#include <cstddef>
#include <functional>

namespace vhash {

// CPUs that this process may use (its affinity mask), at least 1.
unsigned available_threads();

// Runs body(0) … body(tasks - 1) on at most `threads` threads, the caller among them, and returns
// when all have finished; the first exception of a body is thrown again here. Tasks are handed out
// one by one in ascending order. May be called from many threads at once, from a body, and in a child
// after fork(), where the pool starts anew.
void parallel_for(size_t tasks, unsigned threads, const std::function<void(size_t)>& body);

}  // namespace vhash
