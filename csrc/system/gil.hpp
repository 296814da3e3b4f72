// The GIL, given back without bringing the process down when the interpreter has ended meanwhile.
#pragma once

#include <Python.h>
#include <unistd.h>

#if defined(__GLIBCXX__) || __has_include(<cxxabi.h>)
#include <cxxabi.h>
#endif

namespace vhash {

// Releases the GIL while it lives.
//
// Once the interpreter ends, a daemon thread that asks for the GIL is ended by pthread_exit (Python up to
// 3.13), which unwinds its stack: through destructors, where that is std::terminate, and through Python
// objects, which must not be touched any more. Such a thread sleeps here instead until the process is gone,
// as Python 3.14 has it.
class Unlocked {
  public:
    Unlocked() { unlock(); }
    ~Unlocked() { lock(); }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

    void unlock() { state_ = PyEval_SaveThread(); }
    void lock() noexcept {
#if defined(__GLIBCXX__)
        try {
            PyEval_RestoreThread(state_);
        } catch (abi::__forced_unwind&) {
            for (;;) ::pause();
        }
#else
        PyEval_RestoreThread(state_);
#endif
    }

  private:
    PyThreadState* state_ = nullptr;
};

}  // namespace vhash
