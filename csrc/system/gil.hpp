// The GIL, given back without bringing the process down when the interpreter has ended meanwhile.
#pragma once

#include <Python.h>

namespace vhash {

// Takes the GIL again, or never returns.
//
// Once the interpreter ends, a daemon thread that asks for the GIL is ended by pthread_exit (Python up to
// 3.13), which unwinds its stack: through destructors, where that is std::terminate, or a crash where C++ was
// linked with an unwinder of its own, and through Python objects, which must not be touched any more. Such a
// thread sleeps in a cleanup handler instead until the process is gone, as Python 3.14 has it.
void take_gil(PyThreadState* state);

// Releases the GIL while it lives.
class Unlocked {
  public:
    Unlocked() { unlock(); }
    ~Unlocked() { lock(); }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

    void unlock() { state_ = PyEval_SaveThread(); }
    void lock() { take_gil(state_); }

  private:
    PyThreadState* state_ = nullptr;
};

}  // namespace vhash
