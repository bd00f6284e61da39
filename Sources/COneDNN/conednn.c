// Everything lies in the header as static inline functions; SwiftPM wants a source file to build and link the target.
#include "conednn.h"
