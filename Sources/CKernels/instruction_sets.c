// The public kernels: each jumps to the version for the processor's instruction set. (`target_clones` would do the
// same one function at a time; a table lets helpers be shared without being inlined, and lets tests run every version.)
// CK_BASELINE_ONLY leaves out all but the baseline's: for fuzzing the readers, where building the others takes longest.
#include <stdlib.h>
#include <string.h>

#include "kernel_list.h"

static const ck_kernel_table *const available[] = {
#if defined(__x86_64__) && !defined(CK_BASELINE_ONLY)
  &ck_kernels_v4, &ck_kernels_v3,
#endif
  &ck_kernels_default,
};

static bool processor_has(const ck_kernel_table *table) {
#if defined(__x86_64__) && !defined(CK_BASELINE_ONLY)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi")
                  && __builtin_cpu_supports("bmi2");
  if (table == &ck_kernels_v3) return v3;
  if (table == &ck_kernels_v4) {
    return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
           && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
           && __builtin_cpu_supports("avx512vl");
  }
#endif
  return table == &ck_kernels_default;
}

static const ck_kernel_table *best = &ck_kernels_default;
// A thread's own choice: tests of every version run beside code that counts on the best.
static _Thread_local const ck_kernel_table *chosen;

static inline const ck_kernel_table *current(void) { return chosen ? chosen : best; }

__attribute__((constructor)) static void choose(void) {
  for (size_t i = 0; i < sizeof available / sizeof *available; i++) {
    if (processor_has(available[i])) {
      best = available[i];
      return;
    }
  }
}

const char *ck_instruction_set(void) { return current()->name; }

bool ck_set_instruction_set(const char *name) {
  for (size_t i = 0; i < sizeof available / sizeof *available; i++) {
    if (strcmp(available[i]->name, name) == 0 && processor_has(available[i])) {
      chosen = available[i];
      return true;
    }
  }
  return false;
}

#define CK_FORWARD(kernel)                                                                                         \
  void kernel(void *context) { current()->kernel(context); }
CK_KERNELS(CK_FORWARD)

void ck_program_release(ck_program *program) {
  if (program->kept != CK_HAS_RUN) free(program->kept);
  program->kept = NULL;
}
