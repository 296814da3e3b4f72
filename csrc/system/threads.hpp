// A persistent thread pool of our own: OpenMP runtimes clash with those of torch and faiss, and a
// thread made per call costs 40 microseconds.
#pragma once

#include <cstddef>
#include <functional>

namespace vhash {

constexpr unsigned kMaxThreads = 256;  // that one call may use

// What a long call asks about ten times a second, on the thread that made it; it ends the call by throwing.
using Interrupt = void (*)();

// While it lives, poll() on this thread asks. One within another (a search by a signal handler that runs
// inside a search) knows nothing of the outer call.
class Interruptible {
  public:
    explicit Interruptible(Interrupt interrupt);
    ~Interruptible();
    Interruptible(const Interruptible&) = delete;
    Interruptible& operator=(const Interruptible&) = delete;

  private:
    const Interrupt interrupt_;
    const void* const cancel_;
};

// Between two pieces of a long call, on any of its threads, with no lock held that the one who interrupts
// may want: throws where the call is to end.
void poll();

// Runs body(0) … body(tasks - 1) on at most `threads` threads, the caller among them, and returns
// when all have finished; the first exception of a body is thrown again here. Tasks are handed out
// one by one in ascending order. May be called from many threads at once, from a body, and in a child
// after fork(), where the pool starts anew.
void parallel_for(size_t tasks, unsigned threads, const std::function<void(size_t)>& body);

}  // namespace vhash
