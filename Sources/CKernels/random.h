// Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Element i is
// word i mod 4 of block `counter + i / 4`; the counter's third word tells further draws of one element apart.

#define CK_PHILOX_BLOCKS 64

typedef struct {
  uint32_t words[4][CK_PHILOX_BLOCKS];
} philox_batch;

CK_INLINE void philox_rounds(philox_batch *batch, uint64_t key, int blocks) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < blocks; i++) {
      const uint64_t p0 = (uint64_t)0xD2511F53u * batch->words[0][i];
      const uint64_t p1 = (uint64_t)0xCD9E8D57u * batch->words[2][i];
      const uint32_t w0 = (uint32_t)(p1 >> 32) ^ batch->words[1][i] ^ k0;
      const uint32_t w2 = (uint32_t)(p0 >> 32) ^ batch->words[3][i] ^ k1;
      batch->words[0][i] = w0;
      batch->words[1][i] = (uint32_t)p1;
      batch->words[2][i] = w2;
      batch->words[3][i] = (uint32_t)p0;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

CK_KEEP void philox_blocks(philox_batch *batch, uint64_t key, uint64_t first, uint32_t draw, int blocks) {
  for (int i = 0; i < blocks; i++) {
    const uint64_t counter = first + (uint64_t)i;
    batch->words[0][i] = (uint32_t)counter;
    batch->words[1][i] = (uint32_t)(counter >> 32);
    batch->words[2][i] = draw;
    batch->words[3][i] = 0;
  }
  philox_rounds(batch, key, blocks);
}

/// In [0, 1): 24 bits.
CK_INLINE float unit_float(uint32_t bits) { return (float)(bits >> 8) * 0x1p-24f; }

/// Sine and cosine of `part` 2^24ths of a turn. The quarter is in the top bits, so nothing is lost in reducing.
CK_INLINE void turn(vu part, vf *sine, vf *cosine) {
  const vi quarter = (vi)((part + (1u << 21)) >> 22);
  const vf r = __builtin_convertvector((vi)part - (quarter << 22), vf) * (0x1p-24f * 6.283185307f);
  const vf z = r * r;
  const vf s = sine_polynomial(r, z), c = cosine_polynomial(z);
  const vi swap = (quarter & 1) == 1;
  const vf first = swap ? c : s, second = swap ? s : c;
  *sine = (quarter & 2) == 2 ? -first : first;
  *cosine = ((quarter + 1) & 2) == 2 ? -second : second;
}

/// Box-Muller: words 0 and 1 make two normal numbers, words 2 and 3 two more. `a` is in (0, 1], so the logarithm is
/// finite; the largest result is √(2 · 33 · ln 2) = 6.8.
CK_KEEP void normals(float values[4][CK_PHILOX_BLOCKS], const philox_batch *batch) {
  for (int pair = 0; pair < 4; pair += 2) {
    for (int i = 0; i < CK_PHILOX_BLOCKS; i += CK_LANES) {
      vu first, second;
      memcpy(&first, batch->words[pair] + i, sizeof first);
      memcpy(&second, batch->words[pair + 1] + i, sizeof second);
      const vf a = __builtin_convertvector(first, vf) * 0x1p-32f + 0x1p-33f;
      const vf radius = __builtin_elementwise_sqrt(log_of_positive(a) * -2.0f);
      vf sine, cosine;
      turn(second >> 8, &sine, &cosine);
      vstore(values[pair] + i, radius * cosine);
      vstore(values[pair + 1] + i, radius * sine);
    }
  }
}

/// The further draws of an element whose first lay outside: about one in twenty needs them.
CK_KEEP float truncated_again(uint64_t key, uint64_t counter, int word) {
  philox_batch batch;
  float values[4][CK_PHILOX_BLOCKS];
  memset(&batch, 0, sizeof batch);
  for (uint32_t draw = 1;; draw++) {
    philox_blocks(&batch, key, counter, draw, 1);
    normals(values, &batch);
    if (fabsf(values[word][0]) < 2) return values[word][0];
  }
}

/// Blocks begin ..< end.
static void random_blocks(void *context, int64_t begin, int64_t end) {
  const ck_random *r = context;
  const uint64_t key = (uint64_t)r->state[0], counter = (uint64_t)r->state[1];
  const int64_t size = size_of(r->dst_dtype);
  philox_batch batch;
  float values[4][CK_PHILOX_BLOCKS], run[4 * CK_PHILOX_BLOCKS];
  uint32_t bits[4 * CK_PHILOX_BLOCKS] = {0};
  memset(&batch, 0, sizeof batch);
  for (int64_t first = begin; first < end; first += CK_PHILOX_BLOCKS) {
    const int blocks = (int)least(CK_PHILOX_BLOCKS, end - first);
    const int64_t count = least(4 * blocks, r->count - 4 * first);
    char *dst = (char *)r->dst + 4 * first * size;
    philox_blocks(&batch, key, counter + (uint64_t)first, 0, blocks);
    if (r->distribution == CK_NORMAL || r->distribution == CK_TRUNCATED_NORMAL) {
      normals(values, &batch);
      for (int i = 0; i < blocks; i++) {
        for (int word = 0; word < 4; word++) run[4 * i + word] = values[word][i];
      }
      for (int64_t i = 0; i < count && r->distribution == CK_TRUNCATED_NORMAL; i++) {
        if (!(fabsf(run[i]) < 2)) run[i] = truncated_again(key, counter + (uint64_t)(first + i / 4), (int)(i % 4));
      }
    } else {
      for (int i = 0; i < blocks; i++) {
        for (int word = 0; word < 4; word++) bits[4 * i + word] = batch.words[word][i];
      }
      if (r->distribution == CK_BITS) {
        memcpy(dst, bits, (size_t)(count * size));
        continue;
      }
      const float a = r->a;
      for (int64_t i = 0; i < 4 * CK_PHILOX_BLOCKS; i++) run[i] = unit_float(bits[i]);
      if (r->distribution == CK_BERNOULLI) {
        for (int64_t i = 0; i < 4 * CK_PHILOX_BLOCKS; i++) run[i] = run[i] < a ? 1.0f : 0.0f;
      }
    }
    store_run(dst, r->dst_dtype, 1, run, count);
  }
}

CK_KERNEL(ck_random_run) {
  const ck_random *r = context;
  ck_parallel_for(ceil_div(r->count, 4), 4096, random_blocks, context);
}
