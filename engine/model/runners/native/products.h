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

#include <immintrin.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>

namespace green_code {

constexpr int kPanel = 16;
constexpr int kGroup = 64;
constexpr int kMostRows = 6;  // of 12, compilers no longer keep all sums in registers

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
      __m512 part[4];
      __m512 largest = _mm512_setzero_ps();
      for (int i = 0; i < 4; ++i) {
        part[i] = _mm512_loadu_ps(x + group * kGroup + i * 16);
        largest = _mm512_max_ps(largest, _mm512_abs_ps(part[i]));
      }
      float scale = _mm512_reduce_max_ps(largest) / 127.0f;
      if (scale < std::numeric_limits<float>::min()) scale = 0.0f;  // one over it would be infinite
      const __m512 inverse = _mm512_set1_ps(scale == 0.0f ? 0.0f : 1.0f / scale);
      __m512i sum = _mm512_setzero_si512();
      for (int i = 0; i < 4; ++i) {
        const __m512i rounded = _mm512_cvtps_epi32(_mm512_mul_ps(part[i], inverse));
        sum = _mm512_add_epi32(sum, rounded);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + group * kGroup + i * 16), _mm512_cvtsepi32_epi8(rounded));
      }
      scales[size_t(row) * n_groups + group] = scale;
      sums[size_t(row) * n_groups + group] = _mm512_reduce_add_epi32(sum);
    }
  }
};

inline __m512 load_halves(const uint8_t* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
}

inline __m512i four_channels(const int8_t* at) {
  int32_t channels;
  std::memcpy(&channels, at, sizeof channels);
  return _mm512_set1_epi32(channels);
}

// 16 outputs of M rows from `first` on: `out` [M, stride] += or = rows x panel.
template <int M, int Bits>
inline void panel_product(const Weight& weight, int panel, const Rows& rows, int first, float* out, int stride,
                          bool accumulate) {
  constexpr int kChains = M == 1 ? 4 : (M <= 3 ? 2 : 1);  // a sum of its own every 1, 2 or 4 steps hides their latency
  const int n_inputs = weight.n_inputs, n_groups = n_inputs / kGroup;
  const uint8_t* values = weight.panels + panel * weight.panel_bytes;
  const uint8_t* scales = values + size_t(n_inputs) * kPanel * Bits / 8;
  const uint8_t* zeros = scales + size_t(n_groups) * kPanel * 2;
  const int8_t* x = rows.values.get() + size_t(first) * n_inputs;
  const float* row_scales = rows.scales.get() + size_t(first) * n_groups;
  const int32_t* row_sums = rows.sums.get() + size_t(first) * n_groups;
  __m512 total[M];
  for (int m = 0; m < M; ++m) total[m] = _mm512_setzero_ps();
  for (int group = 0; group < n_groups; ++group) {
    __m512i sum[M][kChains];
    for (int m = 0; m < M; ++m) {
      for (int chain = 1; chain < kChains; ++chain) sum[m][chain] = _mm512_setzero_si512();
      sum[m][0] = Bits == 8 ? _mm512_set1_epi32(-128 * row_sums[size_t(m) * n_groups + group]) : _mm512_setzero_si512();
    }
    if constexpr (Bits == 8) {
#pragma GCC unroll 16
      for (int step = 0; step < 16; ++step, values += 64) {
        const __m512i w = _mm512_loadu_si512(values);
        for (int m = 0; m < M; ++m) {
          auto& into = sum[m][step % kChains];
          into = _mm512_dpbusd_epi32(into, w, four_channels(x + size_t(m) * n_inputs + group * kGroup + step * 4));
        }
      }
    } else {
      const __m512i low_bits = _mm512_set1_epi8(15);
#pragma GCC unroll 8
      for (int step = 0; step < 8; ++step, values += 64) {
        const __m512i both = _mm512_loadu_si512(values);
        const __m512i low = _mm512_and_si512(both, low_bits);
        const __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), low_bits);
        for (int m = 0; m < M; ++m) {
          const int8_t* at = x + size_t(m) * n_inputs + group * kGroup + step * 8;
          auto& even = sum[m][(2 * step) % kChains];
          even = _mm512_dpbusd_epi32(even, low, four_channels(at));
          auto& odd = sum[m][(2 * step + 1) % kChains];
          odd = _mm512_dpbusd_epi32(odd, high, four_channels(at + 4));
        }
      }
    }
    const __m512 scale = load_halves(scales + group * kPanel * 2);
    for (int m = 0; m < M; ++m) {
      __m512i whole = sum[m][0];
      for (int chain = 1; chain < kChains; ++chain) whole = _mm512_add_epi32(whole, sum[m][chain]);
      const __m512 row_scale = _mm512_set1_ps(row_scales[size_t(m) * n_groups + group]);
      total[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), _mm512_mul_ps(scale, row_scale), total[m]);
      if constexpr (Bits == 4) {
        const __m512 zero = load_halves(zeros + group * kPanel * 2);
        const float row_total = row_scales[size_t(m) * n_groups + group] * row_sums[size_t(m) * n_groups + group];
        total[m] = _mm512_fnmadd_ps(zero, _mm512_set1_ps(row_total), total[m]);
      }
    }
  }
  const __m512 unit = _mm512_set1_ps(weight.unit);
  const __m512 bias = weight.bias ? _mm512_loadu_ps(weight.bias + panel * kPanel) : _mm512_setzero_ps();
  for (int m = 0; m < M; ++m) {
    float* at = out + size_t(m) * stride + panel * kPanel;
    const __m512 before = accumulate ? _mm512_add_ps(_mm512_loadu_ps(at), bias) : bias;
    _mm512_storeu_ps(at, _mm512_fmadd_ps(total[m], unit, before));
  }
}

template <int Bits>
inline void panel_rows(const Weight& weight, int panel, const Rows& rows, int first, int n, float* out, int stride,
                       bool accumulate) {
  switch (n) {
#define GREEN_CODE_ROWS(M) \
  case M:                  \
    return panel_product<M, Bits>(weight, panel, rows, first, out, stride, accumulate);
    GREEN_CODE_ROWS(1) GREEN_CODE_ROWS(2) GREEN_CODE_ROWS(3) GREEN_CODE_ROWS(4) GREEN_CODE_ROWS(5) GREEN_CODE_ROWS(6)
#undef GREEN_CODE_ROWS
  }
}

// Outputs of panels `begin` to `end` - 1 for all rows: out [T, stride] = rows x weight, or += where it accumulates.
inline void product(const Weight& weight, int begin, int end, const Rows& rows, int n_rows, float* out, int stride,
                    bool accumulate) {
  const int n_blocks = (n_rows + kMostRows - 1) / kMostRows;
  for (int panel = begin; panel < end; ++panel) {
    for (int block = 0; block < n_blocks; ++block) {
      const int first = n_rows * block / n_blocks, n = n_rows * (block + 1) / n_blocks - first;
      float* at = out + size_t(first) * stride;
      if (weight.bits == 8) {
        panel_rows<8>(weight, panel, rows, first, n, at, stride, accumulate);
      } else {
        panel_rows<4>(weight, panel, rows, first, n, at, stride, accumulate);
      }
    }
  }
}

}  // namespace green_code
