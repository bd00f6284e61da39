// The one parallel loop. On Linux it runs on libgomp's pool, which is oneDNN's too; elsewhere on Dispatch, or serially.
#include "threads.h"

#include "ckernels.h"

void ck_run(const ck_call *calls, int64_t count) {
  for (int64_t i = 0; i < count; i++) calls[i].run(calls[i].context);
}

typedef struct {
  int64_t count, grain, pieces;
  void (*body)(void *context, int64_t begin, int64_t end);
  void *context;
  int workers;
  bool whole_shares;
} loop;

static void run_pieces(const loop *l, int64_t first, int64_t last) {
  for (int64_t piece = first; piece < last; piece++) {
    const int64_t begin = piece * l->grain;
    const int64_t end = begin + l->grain < l->count ? begin + l->grain : l->count;
    l->body(l->context, begin, end);
  }
}

/// Neighbouring pieces stay on one worker, so that it walks through memory in order.
static void run_share(const loop *l, int64_t worker, int64_t workers) {
  const int64_t first = l->pieces * worker / workers, last = l->pieces * (worker + 1) / workers;
  if (!l->whole_shares) {
    run_pieces(l, first, last);
  } else if (first < last) {
    l->body(l->context, first, last);
  }
}

#if defined(__linux__)

// libgomp's entry points; the Swift toolchain's clang brings no omp.h.
extern void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags);
extern int omp_get_max_threads(void);
extern void omp_set_num_threads(int);
extern int omp_get_thread_num(void);
extern int omp_get_num_threads(void);
extern int omp_in_parallel(void);

int ck_thread_count(void) { return omp_in_parallel() ? 1 : omp_get_max_threads(); }
void ck_set_thread_count(int count) { omp_set_num_threads(count < 1 ? 1 : count); }

static void enter(void *context) {
  const loop *l = context;
  run_share(l, omp_get_thread_num(), omp_get_num_threads());
}

static void fork_join(loop *l) { GOMP_parallel(enter, l, (unsigned)l->workers, 0); }

#elif defined(__APPLE__)

#include <dispatch/dispatch.h>
#include <unistd.h>

static _Thread_local int limit = 0;

int ck_thread_count(void) {
  if (limit == 0) limit = (int)sysconf(_SC_NPROCESSORS_ONLN);
  return limit < 1 ? 1 : limit;
}
void ck_set_thread_count(int count) { limit = count < 1 ? 1 : count; }

static void enter(void *context, size_t worker) {
  const loop *l = context;
  run_share(l, (int64_t)worker, l->workers);
}

static void fork_join(loop *l) {
  dispatch_apply_f((size_t)l->workers, DISPATCH_APPLY_AUTO, l, enter);
}

#else

int ck_thread_count(void) { return 1; }
void ck_set_thread_count(int count) { (void)count; }
static void fork_join(loop *l) { run_share(l, 0, 1); }

#endif

void ck_parallel_for(
  int64_t count, int64_t grain, void (*body)(void *context, int64_t begin, int64_t end), void *context) {
  if (count <= 0) return;
  if (grain < 1) grain = 1;
  loop l = {count, grain, (count + grain - 1) / grain, body, context, 1, false};
  if (l.pieces > 1) {
    const int threads = ck_thread_count();
    l.workers = l.pieces < threads ? (int)l.pieces : threads;
  }
  if (l.workers <= 1) {
    run_pieces(&l, 0, l.pieces);
  } else {
    fork_join(&l);
  }
}

void ck_parallel_shares(
  int64_t count, void (*body)(void *context, int64_t begin, int64_t end), void *context) {
  if (count <= 0) return;
  const int threads = count > 1 ? ck_thread_count() : 1;
  loop l = {count, 1, count, body, context, count < threads ? (int)count : threads, true};
  if (l.workers <= 1) {
    body(context, 0, count);
  } else {
    fork_join(&l);
  }
}
