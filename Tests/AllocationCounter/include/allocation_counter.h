#pragma once
#include <stdint.h>

/// How many blocks of memory this thread has taken since it began: by malloc, calloc, realloc and their aligned forms.
/// Linking this file puts counting ones in glibc's place.
int64_t allocation_count(void);
