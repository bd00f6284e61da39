// The one parallel loop, on a pool of its own.
//
// libgomp's pool, which oneDNN uses, makes every thread enter every loop: when another process has one of the cores,
// each of a training step's twenty loops waits for the scheduler (measured on two cores with a compiler running beside:
// a step took 10 to 20 times as long). Here the caller never waits for a thread that hasn't begun: pieces of a loop are
// claimed one by one, each thread first its own neighbouring ones, then others' from the far end. A thread that comes
// late finds nothing to do. Which thread runs a piece doesn't change what it computes.
#define _GNU_SOURCE  // CPU_COUNT
#include "threads.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "ckernels.h"

// MARK: Numbers below the normal range

#if defined(__x86_64__)
#define FLUSHING 0x8040u  // results below the normal range become 0, and operands count as it
static inline unsigned flushing(void) { return __builtin_ia32_stmxcsr() & FLUSHING; }
static inline void set_flushing(unsigned mode) {
  if (flushing() != mode) __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & ~FLUSHING) | mode);
}
#else
#define FLUSHING 0u
static inline unsigned flushing(void) { return 0; }
static inline void set_flushing(unsigned mode) { (void)mode; }
#endif

void ck_run(const ck_call *calls, int64_t count) {
  const unsigned before = flushing();
  set_flushing(FLUSHING);
  for (int64_t i = 0; i < count; i++) calls[i].run(calls[i].context);
  set_flushing(before);
}

#define MAX_THREADS 64
/// A waiting thread looks for work this often before it sleeps: about 50 µs, longer than the gap between two loops of a
/// step, shorter than anybody would notice.
#define SPINS 1500

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

/// Pieces first ..< last of one thread's share, with the number of the loop they belong to: a late thread that still
/// has an older number in mind claims nothing.
typedef struct {
  _Alignas(64) _Atomic uint64_t claim;
} share;

#define PIECE_BITS 20
#define MAX_PIECES ((1 << PIECE_BITS) - 1)
#define NUMBER_MASK 0xffffff

static struct {
  pthread_mutex_t owner;  // who has the pool
  // Of the loop that runs now: written by the owner before its number is published, and not again before all pieces
  // that were claimed are done.
  void (*body)(void *context, int64_t begin, int64_t end);
  void *context;
  unsigned flushing;  // the owner's
  int64_t count, grain;
  share shares[MAX_THREADS];
  _Alignas(64) _Atomic uint64_t number;
  _Alignas(64) _Atomic int64_t done;
  // Sleeping.
  _Alignas(64) _Atomic int sleeping;
  pthread_mutex_t sleep_lock;
  pthread_cond_t wake;
  int started;  // threads of the pool, without the callers
} pool = {
  .owner = PTHREAD_MUTEX_INITIALIZER, .sleep_lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static _Thread_local int thread_limit;  // 0: not set
static _Thread_local bool is_inside;    // runs a piece of a loop: loops inside it run where they are

static int available_threads(void) {
  static _Atomic int known;
  int count = atomic_load_explicit(&known, memory_order_relaxed);
  if (count > 0) return count;
  const char *wanted = getenv("OMP_NUM_THREADS");
  count = wanted ? atoi(wanted) : 0;
#if defined(__linux__)
  if (count < 1) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
  }
#endif
  if (count < 1) count = (int)sysconf(_SC_NPROCESSORS_ONLN);
  if (count < 1) count = 1;
  if (count > MAX_THREADS) count = MAX_THREADS;
  atomic_store_explicit(&known, count, memory_order_relaxed);
  return count;
}

int ck_thread_count(void) {
  if (is_inside) return 1;
  return thread_limit > 0 ? thread_limit : available_threads();
}

void ck_set_thread_count(int count) { thread_limit = count < 1 ? 1 : count > MAX_THREADS ? MAX_THREADS : count; }

// MARK: Claiming

static inline uint64_t pack(uint64_t number, uint64_t first, uint64_t last) {
  return (number & NUMBER_MASK) << (2 * PIECE_BITS) | first << PIECE_BITS | last;
}

/// One piece of a share of loop `number`, from the front or from the end; -1 when none is left.
static int64_t claim(share *s, uint64_t number, bool from_end) {
  uint64_t seen = atomic_load_explicit(&s->claim, memory_order_acquire);
  for (;;) {
    const uint64_t first = seen >> PIECE_BITS & MAX_PIECES, last = seen & MAX_PIECES;
    if (seen >> (2 * PIECE_BITS) != (number & NUMBER_MASK) || first >= last) return -1;
    const uint64_t next = from_end ? pack(number, first, last - 1) : pack(number, first + 1, last);
    if (atomic_compare_exchange_weak_explicit(
          &s->claim, &seen, next, memory_order_acq_rel, memory_order_acquire)) {
      return (int64_t)(from_end ? last - 1 : first);
    }
  }
}

/// The pool's fields are read only with a piece in hand: the owner waits for it, so they stay what they are.
static void run_piece(int64_t piece) {
  const int64_t begin = piece * pool.grain;
  const int64_t end = begin + pool.grain < pool.count ? begin + pool.grain : pool.count;
  set_flushing(pool.flushing);
  pool.body(pool.context, begin, end);
  atomic_fetch_add_explicit(&pool.done, 1, memory_order_release);
}

static void work(uint64_t number, int self, int workers) {
  int64_t piece;
  while ((piece = claim(&pool.shares[self], number, false)) >= 0) run_piece(piece);
  for (int step = 1; step < workers; step++) {
    share *other = &pool.shares[(self + step) % workers];
    while ((piece = claim(other, number, true)) >= 0) run_piece(piece);
  }
}

// MARK: The pool's threads

static void *serve(void *argument) {
  const int self = (int)(intptr_t)argument;
  uint64_t seen = 0;
  is_inside = true;
  for (;;) {
    uint64_t number = atomic_load_explicit(&pool.number, memory_order_acquire);
    for (int spin = 0; number == seen && spin < SPINS; spin++) {
      PAUSE();
      number = atomic_load_explicit(&pool.number, memory_order_acquire);
    }
    if (number == seen) {
      pthread_mutex_lock(&pool.sleep_lock);
      atomic_fetch_add(&pool.sleeping, 1);
      while ((number = atomic_load(&pool.number)) == seen) pthread_cond_wait(&pool.wake, &pool.sleep_lock);
      atomic_fetch_sub(&pool.sleeping, 1);
      pthread_mutex_unlock(&pool.sleep_lock);
    }
    seen = number;
    // The number's low bits say how many threads the loop is for.
    const int workers = (int)(number & 0xff);
    if (self < workers) work(number >> 8, self, workers);
  }
  return NULL;
}

static bool start_threads(int workers) {
  while (pool.started < workers - 1) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 4 << 20);
    const int failed = pthread_create(&thread, &attributes, serve, (void *)(intptr_t)(pool.started + 1));
    pthread_attr_destroy(&attributes);
    if (failed) return false;
    pool.started++;
  }
  return true;
}

// MARK: Loops

static void run_here(
  int64_t count, int64_t grain, void (*body)(void *context, int64_t begin, int64_t end), void *context) {
  for (int64_t begin = 0; begin < count; begin += grain) {
    body(context, begin, begin + grain < count ? begin + grain : count);
  }
}

/// With the pool in hand.
static void run_on_pool(
  int64_t count, int64_t grain, void (*body)(void *context, int64_t begin, int64_t end), void *context, int workers) {
  static uint64_t loops;
  const uint64_t number = ++loops;
  const int64_t pieces = (count + grain - 1) / grain;
  pool.body = body;
  pool.context = context;
  pool.flushing = flushing();
  pool.count = count;
  pool.grain = grain;
  atomic_store_explicit(&pool.done, 0, memory_order_relaxed);
  for (int i = 0; i < workers; i++) {
    const uint64_t first = (uint64_t)(pieces * i / workers), last = (uint64_t)(pieces * (i + 1) / workers);
    atomic_store_explicit(&pool.shares[i].claim, pack(number, first, last), memory_order_release);
  }
  // Sequentially consistent, as is a thread's look at the number before it sleeps: one of the two sees the other.
  atomic_store(&pool.number, number << 8 | (uint64_t)workers);
  if (atomic_load(&pool.sleeping) > 0) {
    pthread_mutex_lock(&pool.sleep_lock);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.sleep_lock);
  }
  is_inside = true;
  work(number, 0, workers);
  is_inside = false;
  for (int spin = 0; atomic_load_explicit(&pool.done, memory_order_acquire) < pieces; spin++) {
    if (spin < SPINS) {
      PAUSE();
    } else {
      sched_yield();
    }
  }
}

void ck_parallel_for(
  int64_t count, int64_t grain, void (*body)(void *context, int64_t begin, int64_t end), void *context) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  const int64_t pieces = (count + grain - 1) / grain;
  const int limit = pieces < 2 ? 1 : ck_thread_count();
  const int workers = pieces < limit ? (int)pieces : limit;
  // Another caller has the pool: this one works alone instead of waiting.
  if (workers < 2 || pieces > MAX_PIECES || pthread_mutex_trylock(&pool.owner) != 0) {
    run_here(count, grain, body, context);
    return;
  }
  if (start_threads(workers)) {
    run_on_pool(count, grain, body, context, workers);
  } else {
    run_here(count, grain, body, context);
  }
  pthread_mutex_unlock(&pool.owner);
}

void ck_parallel_shares(
  int64_t count, void (*body)(void *context, int64_t begin, int64_t end), void *context) {
  // Four pieces for each thread: one that is held up leaves the others some of its share.
  const int64_t pieces = 4 * ck_thread_count();
  ck_parallel_for(count, (count + pieces - 1) / pieces, body, context);
}
