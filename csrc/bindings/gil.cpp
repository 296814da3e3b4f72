// pthread.h has two kinds of cleanup handlers: in C++ with exceptions they are destructors, which an unwinder
// runs, and which unwinder that is differs between compilers. What is needed here is the other kind, that of C.
#undef __EXCEPTIONS
#include "system/gil.hpp"  // Python.h wants to be the first

#include <pthread.h>

namespace vhash {
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

}  // namespace vhash
