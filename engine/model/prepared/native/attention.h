// Rotary positions, the KV cache, and grouped-query attention over it, in fp32 over half floats.
//
// A layer's cache is two arrays of half floats, so that 16 positions are one vector where scores are summed over a
// head's channels, and 16 channels are one where values are summed over positions:
//   keys   [H_kv][capacity / 16][D_head][16 positions]
//   values [H_kv][capacity][D_head]
// A query's sums are taken in the same order whichever queries run beside it: what a window hides from it, but not from
// them, adds exact zeros.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "products.h"

namespace green_code {

constexpr int kMostQueries = 6;

// Widths are multiples of 64, `head_dim` of 32; so is the capacity of a cache of 16.
struct Shape {
  int32_t width, n_heads, n_kv_heads, head_dim, mlp_width;
  int32_t gelu;   // the MLP's activation, by its tanh formula; else SiLU
  int32_t gated;  // it is that of a gate, which multiplies the up projection behind it
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
  _Float16* keys;
  _Float16* values;
};

// e^x by a polynomial on [-ln 2 / 2, ln 2 / 2] (Cephes expf), to about 1e-7; no infinities come out.
GREEN_CODE_INLINE Floats exponential(Floats x) {
  x = min(max(x, splat(-87.0f)), splat(88.0f));
  const Floats whole = nearest(x * 1.44269504f);
  Floats r = fma(-whole, splat(0.693359375f), x);
  r = fma(-whole, splat(-2.12194440e-4f), r);
  Floats p = splat(1.9875691500e-4f);
  for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) {
    p = fma(p, r, splat(c));
  }
  p = fma(p, r * r, r + 1.0f);
  return p * Floats((to_ints(whole) + 127) << 23);  // times 2^whole, by its bits
}

inline void rms_norm(const float* x, const float* weight, int width, float epsilon, float* out) {
  Floats squares{};
  for (int i = 0; i < width; i += kLane) {
    const Floats part = load(x + i);
    squares = fma(part, part, squares);
  }
  const float inverse = 1.0f / std::sqrt(sum_of(squares) / width + epsilon);
  for (int i = 0; i < width; i += kLane) store(out + i, load(x + i) * inverse * load(weight + i));
}

// Norms one head, if there is a norm for it, and rotates it by its position's angles, in the half-split layout (RoPE,
// arXiv 2104.09864).
inline void rotate(const Shape& shape, const Heads& heads, const float* norm, int position, float* head) {
  if (norm) rms_norm(head, norm, shape.head_dim, shape.epsilon, head);
  const int half = shape.head_dim / 2;
  const float* cos = heads.cos + size_t(position) * half;
  const float* sin = heads.sin + size_t(position) * half;
  for (int i = 0; i < half; i += kLane) {
    const Floats c = load(cos + i), s = load(sin + i), first = load(head + i), second = load(head + half + i);
    store(head + i, fma(first, c, -(second * s)));
    store(head + half + i, fma(second, c, first * s));
  }
}

// Norms and rotates a row's keys [H_kv, D_head] in place, and stores them and its values at a position.
inline void store(const Shape& shape, const Heads& heads, const LayerCache& cache, int capacity, int position,
                  float* keys, const float* values) {
  for (int head = 0; head < shape.n_kv_heads; ++head) {
    float* key = keys + head * shape.head_dim;
    rotate(shape, heads, heads.key_norm, position, key);
    _Float16* block = cache.keys + size_t(head) * capacity * shape.head_dim +
                      size_t(position / kLane) * shape.head_dim * kLane + position % kLane;
    _Float16* row = cache.values + (size_t(head) * capacity + position) * shape.head_dim;
    for (int i = 0; i < shape.head_dim; i += kLane) {
      const Halves halves = __builtin_convertvector(load(key + i), Halves);
      for (int j = 0; j < kLane; ++j) block[size_t(i + j) * kLane] = halves[j];
      store(row + i, __builtin_convertvector(load(values + head * shape.head_dim + i), Halves));
    }
  }
}

GREEN_CODE_INLINE Floats load_halves(const _Float16* at) { return __builtin_convertvector(load<Halves>(at), Floats); }

// Turns a query's scores from `first` to `limit` - 1 into weights, with zeros around them up to `width`, and gives one
// over their sum.
inline float softmax(float* scores, int first, int limit, int width) {
  const Ints lanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const auto present = [&](int at) __attribute__((always_inline)) {
    return (lanes + at >= first) & (lanes + at < limit);
  };
  const Floats nothing{}, least = splat(-std::numeric_limits<float>::infinity());
  Floats largest = least;
  for (int at = 0; at < limit; at += kLane) largest = max(largest, present(at) ? load(scores + at) : least);
  const float most = largest_of(largest);
  Floats sum{};
  for (int at = 0; at < width; at += kLane) {
    Floats weights = nothing;
    if (at < limit && at + kLane > first) weights = present(at) ? exponential(load(scores + at) - most) : nothing;
    store(scores + at, weights);
    sum += weights;
  }
  return 1.0f / sum_of(sum);
}

struct Query {
  const float* state;  // [D_head], rotated
  float* mixed;        // [D_head]
  int first, limit;    // it sees the positions `first` to `limit` - 1
};

// What Q queries of one key-value head read from the cache; `scores` has room for Q times the longest limit.
template <int Q>
inline void attend(const Shape& shape, const _Float16* keys, const _Float16* values, const Query* queries,
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
  for (int at = 0; at < width; at += kLane) {
    Floats score[Q] = {};
    for (int i = 0; i < head_dim; ++i, keys += kLane) {
      const Floats key = load_halves(keys);
      for (int q = 0; q < Q; ++q) score[q] = fma(splat(queries[q].state[i]), key, score[q]);
    }
    for (int q = 0; q < Q; ++q) store(scores + size_t(q) * width + at, score[q] * shape.attention_scale);
  }
  float inverse[Q];
  for (int q = 0; q < Q; ++q) {
    const int first = queries[q].first - begin, limit = queries[q].limit - begin;
    inverse[q] = softmax(scores + size_t(q) * width, first, limit, width);
  }
  for (int i = 0; i < head_dim; i += 2 * kLane) {
    Floats mixed[Q][2] = {};
    const _Float16* value = values + i;
    for (int at = 0; at < longest; ++at, value += head_dim) {
      const Floats first = load_halves(value), second = load_halves(value + kLane);
      for (int q = 0; q < Q; ++q) {
        const Floats weight = splat(scores[size_t(q) * width + at]);
        mixed[q][0] = fma(weight, first, mixed[q][0]);
        mixed[q][1] = fma(weight, second, mixed[q][1]);
      }
    }
    for (int q = 0; q < Q; ++q) {
      store(queries[q].mixed + i, mixed[q][0] * inverse[q]);
      store(queries[q].mixed + i + kLane, mixed[q][1] * inverse[q]);
    }
  }
}

inline void attend_some(const Shape& shape, const _Float16* keys, const _Float16* values, const Query* queries, int n,
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
