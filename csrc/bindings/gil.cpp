// pthread.h has two kinds of cleanup handlers: in C++ with exceptions they are destructors, which an unwinder
// runs, and which unwinder that is differs between compilers. What is needed here is the other kind, that of C.
#undef __EXCEPTIONS
#include "system/gil.hpp"  // Python.h wants to be the first

#if !defined(_WIN32)
#include <pthread.h>
#include <unistd.h>
#endif

namespace vhash {
#if defined(_WIN32)

void take_gil(PyThreadState* state) { PyEval_RestoreThread(state); }  // ends a thread without unwinding

#else
namespace {

void sleep_until_the_process_is_gone(void*) {
    for (;;) ::pause();
}

}  // namespace

void take_gil(PyThreadState* state) {
    pthread_cleanup_push(sleep_until_the_process_is_gone, nullptr);
    PyEval_RestoreThread(state);
    pthread_cleanup_pop(0);
}

#endif

}  // namespace vhash
