// Mutexes across fork(). A thread that holds one does not exist in the child, where nobody would ever let
// it go; so whoever forks takes them all first, and what they guard is whole on both sides.
#pragma once

#include <cstddef>
#include <new>

namespace vhash {

// In the order in which a thread takes them, outermost first.
enum class ForkOrder : size_t { writer, store, map, current, lock_files };

// Something that is held while the process forks, for as long as the object lives.
class ForkLock {
  public:
    explicit ForkLock(ForkOrder order);  // adopt() makes it known
    virtual ~ForkLock();                 // after forget()
    ForkLock(const ForkLock&) = delete;
    ForkLock& operator=(const ForkLock&) = delete;
    virtual void hold() = 0;
    virtual void let_go(bool child) = 0;

  protected:
    void adopt();
    void forget();

  private:
    const ForkOrder order_;
};

template <class Mutex>
class ForkMutex final : public ForkLock {
  public:
    ForkMutex(Mutex& mutex, ForkOrder order) : ForkLock(order), mutex_(mutex) { adopt(); }
    ~ForkMutex() override { forget(); }
    void hold() override { mutex_.lock(); }
    void let_go(bool child) override {
        // made anew: some remember which thread of which process took them
        if (child) new (&mutex_) Mutex;
        else mutex_.unlock();
    }

  private:
    Mutex& mutex_;
};

}  // namespace vhash
