// Rotary positions, the KV cache, and grouped-query attention over it, in fp32 over half floats.
//
// A layer's cache is two arrays of half floats, so that 16 positions are one vector where scores are summed over a
// head's channels, and 16 channels are one where values are summed over positions:
//   keys   [H_kv][capacity / 16][D_head][16 positions]
//   values [H_kv][capacity][D_head]
// A query's sums are taken in the same order whichever queries run beside it: what a window hides from it, but not from
// them, adds exact zeros.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "products.h"

namespace green_code {

constexpr int kLane = 16;
constexpr int kMostQueries = 6;

// Widths are multiples of 64, `head_dim` of 32; so is the capacity of a cache of 16.
struct Shape {
  int32_t width, n_heads, n_kv_heads, head_dim, mlp_width;
  int32_t gelu;  // the gate's activation, by its tanh formula; else SiLU
  float epsilon, attention_scale;
};

// What a layer's attention has of its own.
struct Heads {
  const float* query_norm;  // [D_head] or null
  const float* key_norm;    // [D_head] or null
  const float* cos;         // [positions, D_head / 2]
  const float* sin;
  int64_t window;  // positions that a row sees, its own included; 0 for all
};

struct LayerCache {
  uint16_t* keys;
  uint16_t* values;
};

// e^x by a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes expf), to about 1e-7; no infinities come out.
inline __m512 exponential(__m512 x) {
  x = _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-87.0f)), _mm512_set1_ps(88.0f));
  const __m512 whole = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(whole, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(whole, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) {
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
  }
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, whole);
}

inline void rms_norm(const float* x, const float* weight, int width, float epsilon, float* out) {
  __m512 squares = _mm512_setzero_ps();
  for (int i = 0; i < width; i += kLane) {
    const __m512 part = _mm512_loadu_ps(x + i);
    squares = _mm512_fmadd_ps(part, part, squares);
  }
  const __m512 inverse = _mm512_set1_ps(1.0f / std::sqrt(_mm512_reduce_add_ps(squares) / width + epsilon));
  for (int i = 0; i < width; i += kLane) {
    const __m512 part = _mm512_mul_ps(_mm512_loadu_ps(x + i), inverse);
    _mm512_storeu_ps(out + i, _mm512_mul_ps(part, _mm512_loadu_ps(weight + i)));
  }
}

// Norms one head, if there is a norm for it, and rotates it by its position's angles, in the half-split layout (RoPE,
// arXiv 2104.09864).
inline void rotate(const Shape& shape, const Heads& heads, const float* norm, int position, float* head) {
  if (norm) rms_norm(head, norm, shape.head_dim, shape.epsilon, head);
  const int half = shape.head_dim / 2;
  const float* cos = heads.cos + size_t(position) * half;
  const float* sin = heads.sin + size_t(position) * half;
  for (int i = 0; i < half; i += kLane) {
    const __m512 c = _mm512_loadu_ps(cos + i), s = _mm512_loadu_ps(sin + i);
    const __m512 first = _mm512_loadu_ps(head + i), second = _mm512_loadu_ps(head + half + i);
    _mm512_storeu_ps(head + i, _mm512_fmsub_ps(first, c, _mm512_mul_ps(second, s)));
    _mm512_storeu_ps(head + half + i, _mm512_fmadd_ps(second, c, _mm512_mul_ps(first, s)));
  }
}

// Norms and rotates a row's keys [H_kv, D_head] in place, and stores them and its values at a position.
inline void store(const Shape& shape, const Heads& heads, const LayerCache& cache, int capacity, int position,
                  float* keys, const float* values) {
  for (int head = 0; head < shape.n_kv_heads; ++head) {
    float* key = keys + head * shape.head_dim;
    rotate(shape, heads, heads.key_norm, position, key);
    uint16_t* block = cache.keys + size_t(head) * capacity * shape.head_dim +
                      size_t(position / kLane) * shape.head_dim * kLane + position % kLane;
    uint16_t* row = cache.values + (size_t(head) * capacity + position) * shape.head_dim;
    for (int i = 0; i < shape.head_dim; i += kLane) {
      alignas(32) uint16_t halves[kLane];
      _mm256_store_si256(reinterpret_cast<__m256i*>(halves), _mm512_cvtps_ph(_mm512_loadu_ps(key + i), 0));
      for (int j = 0; j < kLane; ++j) block[size_t(i + j) * kLane] = halves[j];
      const float* value = values + head * shape.head_dim + i;
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + i), _mm512_cvtps_ph(_mm512_loadu_ps(value), 0));
    }
  }
}

inline __m512 load_halves(const uint16_t* at) { return load_halves(reinterpret_cast<const uint8_t*>(at)); }

// Of the positions `at` to `at` + 15, those before `end`.
inline __mmask16 before(int end, int at) {
  return end - at >= kLane ? 0xffff : end <= at ? 0 : __mmask16((1 << (end - at)) - 1);
}

// Turns a query's scores from `first` to `limit` - 1 into weights, with zeros around them up to `width`, and gives one
// over their sum.
inline float softmax(float* scores, int first, int limit, int width) {
  __m512 largest = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  const auto present = [first, limit](int at) { return __mmask16(before(limit, at) & ~before(first, at)); };
  for (int at = 0; at < limit; at += kLane) {
    largest = _mm512_mask_max_ps(largest, present(at), largest, _mm512_loadu_ps(scores + at));
  }
  const __m512 most = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
  __m512 sum = _mm512_setzero_ps();
  for (int at = 0; at < width; at += kLane) {
    __m512 weights = _mm512_setzero_ps();
    if (at < limit && at + kLane > first) {
      weights = _mm512_maskz_mov_ps(present(at), exponential(_mm512_sub_ps(_mm512_loadu_ps(scores + at), most)));
    }
    _mm512_storeu_ps(scores + at, weights);
    sum = _mm512_add_ps(sum, weights);
  }
  return 1.0f / _mm512_reduce_add_ps(sum);
}

struct Query {
  const float* state;  // [D_head], rotated
  float* mixed;        // [D_head]
  int first, limit;    // it sees the positions `first` to `limit` - 1
};

// What Q queries of one key-value head read from the cache; `scores` has room for Q times the longest limit.
template <int Q>
inline void attend(const Shape& shape, const uint16_t* keys, const uint16_t* values, const Query* queries,
                   float* scores) {
  int begin = queries[0].first, longest = 0;
  for (int q = 0; q < Q; ++q) {
    begin = std::min(begin, queries[q].first);
    longest = std::max(longest, queries[q].limit);
  }
  begin = begin / kLane * kLane;  // a position keeps its lane, and so its place in the sums, wherever they begin
  longest -= begin;
  const int width = (longest + kLane - 1) / kLane * kLane, head_dim = shape.head_dim;
  keys += size_t(begin) * head_dim;
  values += size_t(begin) * head_dim;
  const __m512 scale = _mm512_set1_ps(shape.attention_scale);
  for (int at = 0; at < width; at += kLane) {
    __m512 score[Q];
    for (int q = 0; q < Q; ++q) score[q] = _mm512_setzero_ps();
    for (int i = 0; i < head_dim; ++i, keys += kLane) {
      const __m512 key = load_halves(keys);
      for (int q = 0; q < Q; ++q) score[q] = _mm512_fmadd_ps(_mm512_set1_ps(queries[q].state[i]), key, score[q]);
    }
    for (int q = 0; q < Q; ++q) _mm512_storeu_ps(scores + size_t(q) * width + at, _mm512_mul_ps(score[q], scale));
  }
  __m512 inverse[Q];
  for (int q = 0; q < Q; ++q) {
    const int first = queries[q].first - begin, limit = queries[q].limit - begin;
    inverse[q] = _mm512_set1_ps(softmax(scores + size_t(q) * width, first, limit, width));
  }
  for (int i = 0; i < head_dim; i += 2 * kLane) {
    __m512 mixed[Q][2];
    for (int q = 0; q < Q; ++q) mixed[q][0] = mixed[q][1] = _mm512_setzero_ps();
    const uint16_t* value = values + i;
    for (int at = 0; at < longest; ++at, value += head_dim) {
      const __m512 first = load_halves(value), second = load_halves(value + kLane);
      for (int q = 0; q < Q; ++q) {
        const __m512 weight = _mm512_set1_ps(scores[size_t(q) * width + at]);
        mixed[q][0] = _mm512_fmadd_ps(weight, first, mixed[q][0]);
        mixed[q][1] = _mm512_fmadd_ps(weight, second, mixed[q][1]);
      }
    }
    for (int q = 0; q < Q; ++q) {
      _mm512_storeu_ps(queries[q].mixed + i, _mm512_mul_ps(mixed[q][0], inverse[q]));
      _mm512_storeu_ps(queries[q].mixed + i + kLane, _mm512_mul_ps(mixed[q][1], inverse[q]));
    }
  }
}

inline void attend_some(const Shape& shape, const uint16_t* keys, const uint16_t* values, const Query* queries, int n,
                        float* scores) {
  switch (n) {
#define GREEN_CODE_QUERIES(Q) \
  case Q:                     \
    return attend<Q>(shape, keys, values, queries, scores);
    GREEN_CODE_QUERIES(1) GREEN_CODE_QUERIES(2) GREEN_CODE_QUERIES(3) GREEN_CODE_QUERIES(4) GREEN_CODE_QUERIES(5)
    GREEN_CODE_QUERIES(6)
#undef GREEN_CODE_QUERIES
  }
}

// Queries `begin` to `end` - 1 of all T * H, those of one key-value head together: states in `qkv` [T, stride], what
// they read into `mixed` [T, H * D_head]. Row t sees positions up to `position` + t, as far back as the window goes.
inline void attention(const Shape& shape, const Heads& heads, const LayerCache& cache, int capacity, int position,
                      const float* qkv, int stride, int n_rows, int begin, int end, float* scores, float* mixed) {
  const int window = heads.window ? int(heads.window) : std::numeric_limits<int>::max();
  const int group = shape.n_heads / shape.n_kv_heads, per_head = n_rows * group, head_dim = shape.head_dim;
  while (begin < end) {
    const int kv_head = begin / per_head, first = begin % per_head;
    const int n = std::min({kMostQueries, per_head - first, end - begin});
    Query queries[kMostQueries];
    for (int q = 0; q < n; ++q) {
      const int row = (first + q) / group, head = kv_head * group + (first + q) % group, limit = position + row + 1;
      queries[q] = {qkv + size_t(row) * stride + head * head_dim,
                    mixed + (size_t(row) * shape.n_heads + head) * head_dim, std::max(limit - window, 0), limit};
    }
    const size_t offset = size_t(kv_head) * capacity * head_dim;
    attend_some(shape, cache.keys + offset, cache.values + offset, queries, n, scores);
    begin += n;
  }
}

}  // namespace green_code
