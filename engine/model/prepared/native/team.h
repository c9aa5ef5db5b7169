// Threads that compute one segment together, meeting at a barrier after every part.
//
// Between parts they spin, which lasts less than a microsecond; between segments a helper spins for some microseconds
// and then sleeps, so that an idle team costs nothing. By pthreads, since std::thread would need a C++ library to be
// compiled, or to be there.
#pragma once

#include <immintrin.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <memory>

namespace green_code {

class Team {
 public:
  // As many threads as the system gives, the caller's included, and at most `size`.
  explicit Team(int size) : helpers_(new Helper[size]) {
    for (; size_ < size; ++size_) {
      Helper& helper = helpers_[size_];
      helper.team = this;
      helper.rank = size_;
      if (pthread_create(&helper.thread, nullptr, &Team::serve_as, &helper) != 0) return;
    }
  }

  ~Team() {
    job_ = nullptr;
    call();
    for (int rank = 1; rank < size_; ++rank) pthread_join(helpers_[rank].thread, nullptr);
    pthread_cond_destroy(&wake_);
    pthread_mutex_destroy(&mutex_);
    pthread_mutex_destroy(&turn_);
  }

  int size() const { return size_; }

  // Runs `job` as every rank at once, and returns when all have left it.
  template <typename Job>
  void run(Job& job) {
    if (size_ == 1) return job(0);  // by any number of callers at once
    pthread_mutex_lock(&turn_);     // the others take turns
    data_ = &job;
    job_ = [](void* data, int rank) { (*static_cast<Job*>(data))(rank); };
    call();
    job(0);
    barrier();
    pthread_mutex_unlock(&turn_);
  }

  void barrier() {
    if (size_ == 1) return;
    const unsigned round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    for (int turn = 0; round_.load(std::memory_order_acquire) == round; ++turn) {
      if (turn < kTurnsBetweenParts) {
        _mm_pause();
      } else {
        sched_yield();  // somebody else has the other's core
      }
    }
  }

 private:
  static constexpr int kTurnsBetweenParts = 100;  // a microsecond or two on Zen 4; a part takes some tens
  static constexpr int kTurnsBetweenJobs = 2000;  // some 30 microseconds there; who decodes takes as long between segments

  struct Helper {
    Team* team;
    int rank;
    pthread_t thread;
  };

  static void* serve_as(void* data) {
    const Helper& helper = *static_cast<Helper*>(data);
    helper.team->serve(helper.rank);
    return nullptr;
  }

  void call() {
    pthread_mutex_lock(&mutex_);
    called_.fetch_add(1, std::memory_order_release);
    pthread_mutex_unlock(&mutex_);
    pthread_cond_broadcast(&wake_);
  }

  void serve(int rank) {
    for (unsigned seen = 0;; ++seen) {
      for (int turn = 0; turn < kTurnsBetweenJobs && called_.load(std::memory_order_acquire) == seen; ++turn) _mm_pause();
      if (called_.load(std::memory_order_acquire) == seen) {
        pthread_mutex_lock(&mutex_);
        while (called_.load(std::memory_order_acquire) == seen) pthread_cond_wait(&wake_, &mutex_);
        pthread_mutex_unlock(&mutex_);
      }
      if (job_ == nullptr) return;
      job_(data_, rank);
      barrier();
    }
  }

  int size_ = 1;
  void (*job_)(void*, int) = nullptr;
  void* data_ = nullptr;
  std::atomic<unsigned> called_{0}, round_{0};
  std::atomic<int> arrived_{0};
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER, turn_ = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t wake_ = PTHREAD_COND_INITIALIZER;
  std::unique_ptr<Helper[]> helpers_;
};

}  // namespace green_code
