// Products of rounded activations with rounded weights, exact in integers within a group of 64 input channels.
//
// Each row's sums are taken in the same order however many rows there are, so a row never depends on its neighbours.
#pragma once

#include "panels.h"
#ifdef GREEN_CODE_AMX
#include "tiles.h"
#endif

namespace green_code {

constexpr int kMostRows = 6;  // of 12, compilers no longer keep all sums in registers

inline Sums four_channels(const int8_t* at) { return splat_ints(load<int32_t>(at)); }

// 16 outputs of M rows from `first` on: `out` [M, stride] += or = rows x panel.
template <int M, int Bits>
inline void panel_product(const Weight& weight, int panel, const Rows& rows, int first, float* out, int stride,
                          bool accumulate, bool ahead) {
  // A sum of its own every 1, 2 or 4 steps hides their latency; AVX2 alone has no registers for as many.
  constexpr int kChains = M == 1 ? 4 : (M <= 3 || kIsVnni ? 2 : 1);
  constexpr int kParts = kPanel / kOutputs, kStep = kPanel * 4;
  const Panel<Bits> at(weight, panel);
  const int n_inputs = weight.n_inputs, n_groups = n_inputs / kGroup;
  const int8_t* x = rows.values + size_t(first) * n_inputs;
  Totals total[kParts][M] = {};
  for (int group = 0; group < n_groups; ++group) {
    const uint8_t* values = at.values + size_t(group) * at.kGroupBytes;
    if (ahead && first == 0) at.fetch_ahead(group);  // further rows find the panel in the cache
    const int8_t* channels = x + group * kGroup;
    const int32_t* corrections = rows.corrections.get() + size_t(group) * rows.room + first;
    for (int part = 0; part < kParts; ++part) {
      const uint8_t* of_part = values + part * sizeof(Sums);
      Sums sum[M][kChains];
      for (int m = 0; m < M; ++m) {
        for (int chain = 1; chain < kChains; ++chain) sum[m][chain] = splat_ints(0);
        sum[m][0] = splat_ints(Bits == 8 && kIsVnni ? corrections[m] : 0);
      }
      if constexpr (Bits == 8) {
#pragma GCC unroll 16
        for (int step = 0; step < 16; ++step) {
          const Weights8 w = load<Sums>(of_part + step * kStep);
          for (int m = 0; m < M; ++m) {
            auto& into = sum[m][step % kChains];
            into = dot_8(into, w, four_channels(channels + size_t(m) * n_inputs + step * 4));
          }
        }
      } else {
#pragma GCC unroll 8
        for (int step = 0; step < 8; ++step) {
          const Sums both = load<Sums>(of_part + step * kStep);
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
      const auto sums = [&](int m) {
        Lanes whole = Lanes(sum[m][0]);
        for (int chain = 1; chain < kChains; ++chain) whole += Lanes(sum[m][chain]);
        return whole;
      };
      at.template add<M>(group, part, rows, first, sums, total[part]);
    }
  }
  for (int part = 0; part < kParts; ++part) {
    for (int m = 0; m < M; ++m) at.finish(total[part][m], part, out + size_t(m) * stride, accumulate);
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

template <int Bits>
inline void panels_product(const Weight& weight, int begin, int end, const Rows& rows, int n_rows, float* out,
                           int stride, bool accumulate) {
  const bool ahead = fetches_ahead();
#ifdef GREEN_CODE_AMX
  if (n_rows >= kLeastTileRows) {
    Tiles tiles;
    for (int panel = begin; panel < end; ++panel) {
      tiles.product(Panel<Bits>(weight, panel), rows, n_rows, out, stride, accumulate, ahead);
    }
    return;
  }
#endif
  const int n_blocks = (n_rows + kMostRows - 1) / kMostRows;
  for (int panel = begin; panel < end; ++panel) {
    for (int block = 0; block < n_blocks; ++block) {
      const int first = n_rows * block / n_blocks, n = n_rows * (block + 1) / n_blocks - first;
      panel_rows<Bits>(weight, panel, rows, first, n, out + size_t(first) * stride, stride, accumulate, ahead);
    }
  }
}

// Outputs of panels `begin` to `end` - 1 for all rows: out [T, stride] = rows x weight, or += where it accumulates.
inline void product(const Weight& weight, int begin, int end, const Rows& rows, int n_rows, float* out, int stride,
                    bool accumulate) {
  const auto run = weight.bits == 8 ? panels_product<8> : panels_product<4>;
  run(weight, begin, end, rows, n_rows, out, stride, accumulate);
}

}  // namespace green_code
