// Products of rounded activations with rounded weights, exact in integers within a group of 64 input channels.
//
// A weight [N, K] lies in panels of 16 outputs, one behind the other, each a multiple of 64 bytes:
//   values  [K / 4][16][4] bytes in 8 bits (stored + 128), or [K / 8][16][4] in 4 bits, where the low halves are the
//           first four channels of eight and the high halves the other four;
//   scales  [G][16] half floats, in units of `Weight::unit`;
//   zeros   [G][16] half floats, in 4 bits only: the zero point, as the product of it and the scale.
// Rows are rounded to 8 bits by groups, with s = max|x| / 127, as ONNX Runtime's MatMulNBits does at accuracy level 4.
// Each row's sums are taken in the same order however many rows there are, so a row never depends on its neighbours.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>

#include "vectors.h"

namespace green_code {

constexpr int kPanel = 16;
constexpr int kGroup = 64;
constexpr int kMostRows = 6;  // of 12, compilers no longer keep all sums in registers
constexpr int kAhead = 4096;  // bytes

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

// Rows of activations in 8 bits.
struct Rows {
  std::unique_ptr<int8_t[]> values;   // [T, K]
  std::unique_ptr<float[]> scales;    // [T, G]
  std::unique_ptr<int32_t[]> sums;    // [T, G], of the values

  Rows(int n_rows, int most_inputs)
      : values(new int8_t[size_t(n_rows) * most_inputs]),
        scales(new float[size_t(n_rows) * (most_inputs / kGroup)]),
        sums(new int32_t[size_t(n_rows) * (most_inputs / kGroup)]) {}

  void round(int row, const float* x, int width) {
    const int n_groups = width / kGroup;
    int8_t* out = values.get() + size_t(row) * width;
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
      scales[size_t(row) * n_groups + group] = scale;
      sums[size_t(row) * n_groups + group] = __builtin_reduce_add(sum);
    }
  }
};

inline Sums four_channels(const int8_t* at) { return splat_ints(load<int32_t>(at)); }

// 16 outputs of M rows from `first` on: `out` [M, stride] += or = rows x panel.
template <int M, int Bits>
inline void panel_product(const Weight& weight, int panel, const Rows& rows, int first, float* out, int stride,
                          bool accumulate, bool ahead) {
  // A sum of its own every 1, 2 or 4 steps hides their latency; AVX2 alone has no registers for as many.
  constexpr int kChains = M == 1 ? 4 : (M <= 3 || kIsVnni ? 2 : 1);
  constexpr int kParts = kPanel / kOutputs, kStep = kPanel * 4;
  const int n_inputs = weight.n_inputs, n_groups = n_inputs / kGroup;
  const uint8_t* values = weight.panels + panel * weight.panel_bytes;
  const uint8_t* scales = values + size_t(n_inputs) * kPanel * Bits / 8;
  const uint8_t* zeros = scales + size_t(n_groups) * kPanel * 2;
  const int8_t* x = rows.values.get() + size_t(first) * n_inputs;
  const float* row_scales = rows.scales.get() + size_t(first) * n_groups;
  const int32_t* row_sums = rows.sums.get() + size_t(first) * n_groups;
  Totals total[M][kParts] = {};
  constexpr int kGroupBytes = kGroup * kPanel * Bits / 8, kLine = 64;
  for (int group = 0; group < n_groups; ++group, values += kGroupBytes) {
    if (ahead && first == 0) {  // further rows find the panel in the cache
      for (int line = 0; line < kGroupBytes; line += kLine) __builtin_prefetch(values + kAhead + line, 0, 2);
    }
    for (int part = 0; part < kParts; ++part) {
      const uint8_t* at = values + part * sizeof(Sums);
      const int8_t* channels = x + group * kGroup;
      Sums sum[M][kChains];
      for (int m = 0; m < M; ++m) {
        for (int chain = 1; chain < kChains; ++chain) sum[m][chain] = splat_ints(0);
        sum[m][0] = splat_ints(Bits == 8 ? correction(row_sums[size_t(m) * n_groups + group]) : 0);
      }
      if constexpr (Bits == 8) {
#pragma GCC unroll 16
        for (int step = 0; step < 16; ++step) {
          const Weights8 w = load<Sums>(at + step * kStep);
          for (int m = 0; m < M; ++m) {
            auto& into = sum[m][step % kChains];
            into = dot_8(into, w, four_channels(channels + size_t(m) * n_inputs + step * 4));
          }
        }
      } else {
#pragma GCC unroll 8
        for (int step = 0; step < 8; ++step) {
          const Sums both = load<Sums>(at + step * kStep);
          const Sums low = both & splat_ints(0x0f0f0f0f), high = high_bits(both);
          for (int m = 0; m < M; ++m) {
            const int8_t* eight = channels + size_t(m) * n_inputs + step * 8;
            auto& even = sum[m][(2 * step) % kChains];
            even = dot_4(even, low, four_channels(eight));
            auto& odd = sum[m][(2 * step + 1) % kChains];
            odd = dot_4(odd, high, four_channels(eight + 4));
          }
        }
      }
      const size_t place = size_t(group) * kPanel + part * kOutputs;
      const Totals scale = __builtin_convertvector(load<Scales>(scales + place * 2), Totals);
      for (int m = 0; m < M; ++m) {
        Lanes whole = Lanes(sum[m][0]);
        for (int chain = 1; chain < kChains; ++chain) whole += Lanes(sum[m][chain]);
        const float row_scale = row_scales[size_t(m) * n_groups + group];
        total[m][part] = fma(__builtin_convertvector(whole, Totals), scale * row_scale, total[m][part]);
        if constexpr (Bits == 4) {
          const Totals zero = __builtin_convertvector(load<Scales>(zeros + place * 2), Totals);
          const float row_total = row_scale * row_sums[size_t(m) * n_groups + group];
          total[m][part] = fma(-zero, splat<Totals>(row_total), total[m][part]);
        }
      }
    }
  }
  for (int m = 0; m < M; ++m) {
    for (int part = 0; part < kParts; ++part) {
      const int output = panel * kPanel + part * kOutputs;
      float* at = out + size_t(m) * stride + output;
      const Totals bias = weight.bias ? load<Totals>(weight.bias + output) : Totals{};
      const Totals before = accumulate ? load<Totals>(at) + bias : bias;
      store(at, fma(total[m][part], splat<Totals>(weight.unit), before));
    }
  }
}

template <int Bits>
inline void panel_rows(const Weight& weight, int panel, const Rows& rows, int first, int n, float* out, int stride,
                       bool accumulate, bool ahead) {
  switch (n) {
#define GREEN_CODE_ROWS(M) \
  case M:                  \
    return panel_product<M, Bits>(weight, panel, rows, first, out, stride, accumulate, ahead);
    GREEN_CODE_ROWS(1) GREEN_CODE_ROWS(2) GREEN_CODE_ROWS(3) GREEN_CODE_ROWS(4) GREEN_CODE_ROWS(5) GREEN_CODE_ROWS(6)
#undef GREEN_CODE_ROWS
  }
}

// Outputs of panels `begin` to `end` - 1 for all rows: out [T, stride] = rows x weight, or += where it accumulates.
inline void product(const Weight& weight, int begin, int end, const Rows& rows, int n_rows, float* out, int stride,
                    bool accumulate) {
  const int n_blocks = (n_rows + kMostRows - 1) / kMostRows;
  const bool ahead = fetches_ahead();
  for (int panel = begin; panel < end; ++panel) {
    for (int block = 0; block < n_blocks; ++block) {
      const int first = n_rows * block / n_blocks, n = n_rows * (block + 1) / n_blocks - first;
      float* at = out + size_t(first) * stride;
      if (weight.bits == 8) {
        panel_rows<8>(weight, panel, rows, first, n, at, stride, accumulate, ahead);
      } else {
        panel_rows<4>(weight, panel, rows, first, n, at, stride, accumulate, ahead);
      }
    }
  }
}

}  // namespace green_code
