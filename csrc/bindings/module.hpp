// The pieces of the Python module `vhash_sdk._core`. Each room binds itself; module.cpp only
// collects them. Bindings convert, release the GIL and raise: no algorithm lives there.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "system/gil.hpp"
#include "system/threads.hpp"

namespace vhash {

// The GIL is released while it lives, and the engine's long calls look for signals meanwhile: what a
// handler raises (KeyboardInterrupt) ends the call.
class Released : public Unlocked {
  public:
    Released() : before_(current()), interruptible_(&check_signals) { current() = this; }
    ~Released() { current() = before_; }

  private:
    static Released*& current() {
        thread_local Released* innermost = nullptr;
        return innermost;
    }
    static void check_signals() {
        std::exception_ptr raised;
        Released* const mine = current();
        mine->lock();
        if (PyErr_CheckSignals() != 0) raised = std::make_exception_ptr(pybind11::error_already_set());
        mine->unlock();
        if (raised) std::rethrow_exception(raised);
    }

    Released* const before_;
    const Interruptible interruptible_;
};

// A message of the engine, whose paths may be any bytes.
inline pybind11::object text(const std::string& message) {
    return pybind11::reinterpret_steal<pybind11::object>(
        PyUnicode_DecodeFSDefaultAndSize(message.data(), static_cast<Py_ssize_t>(message.size())));
}

void bind_hamming(pybind11::module_& module);   // index.cpp
void bind_frames(pybind11::module_& module);    // frames.cpp
void bind_matching(pybind11::module_& module);  // matching.cpp
void bind_store(pybind11::module_& module);     // store.cpp

}  // namespace vhash
