#include "system/threads.hpp"

#if !defined(_WIN32)
#include <pthread.h>
#endif

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

namespace vhash {
namespace {

constexpr unsigned kMaxWorkers = kMaxThreads - 1;
constexpr std::chrono::milliseconds kPollEvery{100};

// A piece of a call that has failed on another thread: its error is the one that counts.
struct Cancelled : std::exception {};

// The calls that this thread works for, from the innermost outwards.
struct Cancel {
    const std::atomic<bool>& failed;
    const Cancel* outer;
};

struct Watch {
    Interrupt interrupt = nullptr;
    const Cancel* cancel = nullptr;
    std::chrono::steady_clock::time_point next;
};
thread_local Watch watch;

struct Job {
    const std::function<void(size_t)>& body;
    const size_t tasks;
    unsigned seats;     // workers that may still join; guarded by the pool's mutex
    unsigned busy = 0;  // workers inside; guarded by the pool's mutex
    std::atomic<size_t> next{0};
    std::atomic<bool> failed{false};
    std::exception_ptr error;  // guarded by the pool's mutex

    Job(const std::function<void(size_t)>& b, size_t n, unsigned s) : body(b), tasks(n), seats(s) {}
};

// Lives as long as the process: workers sleep in it at exit, and after fork() the child leaves the
// parent's pool, whose threads it does not have, behind.
class Pool {
  public:
    void run(size_t tasks, unsigned helpers, const std::function<void(size_t)>& body) {
        Job job(body, tasks, helpers);
        {
            std::lock_guard<std::mutex> lock(mutex_);
            grow(helpers);
            jobs_.push_back(&job);
        }
        if (helpers == 1) work_.notify_one();
        else work_.notify_all();
        work_on(job);
        std::unique_lock<std::mutex> lock(mutex_);
        jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), &job), jobs_.end());
        while (job.busy) {
            if (!watch.interrupt || job.failed) {
                done_.wait(lock);
                continue;
            }
            done_.wait_for(lock, kPollEvery);
            lock.unlock();
            attempt(job, poll);
            lock.lock();
        }
        if (job.error) std::rethrow_exception(job.error);
    }

  private:
    void grow(unsigned helpers) {
        while (workers_ < std::min(helpers, kMaxWorkers)) {
            try {
                std::thread([this] { serve(); }).detach();
            } catch (const std::system_error&) {
                return;  // fewer threads, the same answer
            }
            ++workers_;
        }
    }

    void serve() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            work_.wait(lock, [this] { return !jobs_.empty(); });
            Job* job = jobs_.front();
            ++job->busy;
            if (--job->seats == 0) jobs_.pop_front();
            lock.unlock();
            work_on(*job);
            lock.lock();
            jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), job), jobs_.end());  // no task is left
            if (--job->busy == 0) done_.notify_all();
        }
    }

    void work_on(Job& job) {
        const Cancel mine{job.failed, watch.cancel};
        watch.cancel = &mine;
        for (size_t task; (task = job.next.fetch_add(1)) < job.tasks;)
            attempt(job, [&] {
                poll();
                job.body(task);
            });
        watch.cancel = mine.outer;
    }

    template <class Body>
    void attempt(Job& job, const Body& body) {
        try {
            body();
        } catch (...) {
            std::lock_guard<std::mutex> lock(mutex_);
            if (!job.error) job.error = std::current_exception();
            job.failed = true;
            job.next.store(job.tasks);
        }
    }

    std::mutex mutex_;
    std::condition_variable work_, done_;
    std::deque<Job*> jobs_;
    unsigned workers_ = 0;
};

std::atomic<Pool*> current{nullptr};

Pool& pool() {
    Pool* instance = current.load(std::memory_order_acquire);
    if (instance) return *instance;
#if !defined(_WIN32)
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current.store(nullptr); });
    (void)registered;
#endif
    Pool* fresh = new Pool;
    if (current.compare_exchange_strong(instance, fresh)) return *fresh;
    delete fresh;  // no worker in it yet
    return *instance;
}

}  // namespace

Interruptible::Interruptible(Interrupt interrupt) : interrupt_(watch.interrupt), cancel_(watch.cancel) {
    watch.interrupt = interrupt;
    watch.cancel = nullptr;
    watch.next = std::chrono::steady_clock::now() + kPollEvery;
}

Interruptible::~Interruptible() {
    watch.interrupt = interrupt_;
    watch.cancel = static_cast<const Cancel*>(cancel_);
}

void poll() {
    for (const Cancel* call = watch.cancel; call; call = call->outer)
        if (call->failed.load(std::memory_order_relaxed)) throw Cancelled();
    if (!watch.interrupt || std::chrono::steady_clock::now() < watch.next) return;
    watch.interrupt();
    watch.next = std::chrono::steady_clock::now() + kPollEvery;
}

void parallel_for(size_t tasks, unsigned threads, const std::function<void(size_t)>& body) {
    const size_t wanted = std::min<size_t>({threads ? threads : 1, tasks, kMaxWorkers + 1});
    if (wanted <= 1) {
        for (size_t task = 0; task < tasks; ++task) {
            poll();
            body(task);
        }
        return;
    }
    pool().run(tasks, static_cast<unsigned>(wanted - 1), body);
}

}  // namespace vhash
