// A rounded weight and rounded rows, as products take them.
//
// A weight [N, K] lies in panels of 16 outputs, one behind the other, each a multiple of 64 bytes:
//   values  [K / 4][16][4] bytes in 8 bits (stored + 128), or [K / 8][16][4] in 4 bits, where the low halves are the
//           first four channels of eight and the high halves the other four;
//   scales  [G][16] half floats, in units of `Weight::unit`;
//   zeros   [G][16] half floats, in 4 bits only: the zero point, as the product of it and the scale.
// Rows are rounded to 8 bits by groups of 64, with s = max|x| / 127, as ONNX Runtime's MatMulNBits does at accuracy level 4.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>

#include "vectors.h"

namespace green_code {

constexpr int kPanel = 16;
constexpr int kGroup = 64;
constexpr int kTileRows = 16;   // of a product by AMX
constexpr int kAlignment = 64;  // bytes: a line of the cache

constexpr int kAhead = 4096;    // bytes

// Whether to ask for weights ahead of their turn: Intel's own prefetching ends with a page, where the next is not known.
// AMD's Zen 4 is slower when asked.
bool fetches_ahead();

struct Weight {
  const uint8_t* panels;
  const float* bias;  // [N] or null
  int64_t panel_bytes;
  int32_t n_outputs;  // a multiple of 16
  int32_t n_inputs;   // K, a multiple of 64
  int32_t bits;       // 8 or 4
  float unit;
};

// The first line of the cache that begins in a storage, which has `kAlignment` bytes more than are wanted.
template <typename Byte>
inline Byte* aligned(Byte* storage) {
  return storage + (-reinterpret_cast<uintptr_t>(storage) & (kAlignment - 1));
}

// Rows of activations in 8 bits. What belongs to a group of channels lies together for all rows.
struct Rows {
  const int room;                          // T, filled up to whole tiles, which are read whole
  std::unique_ptr<int8_t[]> storage;
  int8_t* values;                          // [T, K], in it
  std::unique_ptr<float[]> scales;         // [G, room]
  std::unique_ptr<int32_t[]> corrections;  // [G, room], with which sums of products in 8 bits begin
  std::unique_ptr<float[]> totals;         // [G, room], the sums of the channels

  Rows(int n_rows, int most_inputs)
      : room((n_rows + kTileRows - 1) / kTileRows * kTileRows),
        storage(new int8_t[size_t(room) * most_inputs + kAlignment]),
        values(aligned(storage.get())),
        scales(new float[size_t(room) * (most_inputs / kGroup)]()),
        corrections(new int32_t[size_t(room) * (most_inputs / kGroup)]),
        totals(new float[size_t(room) * (most_inputs / kGroup)]()) {}

  void round(int row, const float* x, int width) {
    const int n_groups = width / kGroup;
    int8_t* out = values + size_t(row) * width;
    for (int group = 0; group < n_groups; ++group) {
      Floats part[4], largest{};
      for (int i = 0; i < 4; ++i) {
        part[i] = load(x + group * kGroup + i * kLane);
        largest = max(largest, max(part[i], -part[i]));
      }
      float scale = largest_of(largest) / 127.0f;
      if (scale < std::numeric_limits<float>::min()) scale = 0.0f;  // one over it would be infinite
      const Floats inverse = splat(scale == 0.0f ? 0.0f : 1.0f / scale);
      Ints sum{};
      for (int i = 0; i < 4; ++i) {
        const Ints rounded = to_ints(nearest(part[i] * inverse));
        sum += rounded;
        store(out + group * kGroup + i * kLane, __builtin_convertvector(rounded, Bytes));
      }
      const int whole = __builtin_reduce_add(sum);
      const size_t place = size_t(group) * room + row;
      scales[place] = scale;
      corrections[place] = correction(whole);
      totals[place] = scale * whole;
    }
  }
};

// A panel of a weight, and the arithmetic that is the same whatever multiplies in integers.
template <int Bits>
struct Panel {
  static constexpr int kGroupBytes = kGroup * kPanel * Bits / 8;

  const Weight& weight;
  const int first_output;
  const uint8_t *values, *scales, *zeros;

  Panel(const Weight& weight, int panel)
      : weight(weight),
        first_output(panel * kPanel),
        values(weight.panels + panel * weight.panel_bytes),
        scales(values + size_t(weight.n_inputs) * kPanel * Bits / 8),
        zeros(scales + size_t(weight.n_inputs) / kGroup * kPanel * 2) {}

  // Asks for what stands behind a group.
  GREEN_CODE_INLINE void fetch_ahead(int group) const {
    const uint8_t* from = values + size_t(group) * kGroupBytes + kAhead;
    for (int byte = 0; byte < kGroupBytes; byte += kAlignment) __builtin_prefetch(from + byte, 0, 2);
  }

  // What a group adds to `total` [M] of M rows from `first` on: its sums in integers, by the scales of weight and row, less
  // the zero point of as many channels. `sums(m)` gives a row's.
  template <int M, typename RowSums>
  GREEN_CODE_INLINE void add(int group, int part, const Rows& rows, int first, RowSums sums, Totals* total) const {
    const size_t place = size_t(group) * rows.room + first;
    const float* row_scales = rows.scales.get() + place;
    const float* row_totals = rows.totals.get() + place;
    const Totals scale = halves(scales, group, part);
    const Totals zero = Bits == 4 ? halves(zeros, group, part) : Totals{};
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      total[m] = fma(__builtin_convertvector(sums(m), Totals), scale * row_scales[m], total[m]);
      if constexpr (Bits == 4) total[m] = fma(-zero, splat<Totals>(row_totals[m]), total[m]);
    }
  }

  // Writes a row's outputs: `out`, where the row's begin, = or += `total`.
  GREEN_CODE_INLINE void finish(Totals total, int part, float* out, bool accumulate) const {
    const int output = first_output + part * kOutputs;
    const Totals bias = weight.bias ? load<Totals>(weight.bias + output) : Totals{};
    const Totals before = accumulate ? load<Totals>(out + output) + bias : bias;
    store(out + output, fma(total, splat<Totals>(weight.unit), before));
  }

 private:
  static GREEN_CODE_INLINE Totals halves(const uint8_t* from, int group, int part) {
    return __builtin_convertvector(load<Scales>(from + (size_t(group) * kPanel + part * kOutputs) * 2), Totals);
  }
};

}  // namespace green_code
