// Products by AMX, which multiplies 16 rows with 16 outputs over a group of channels at a time: how Intel's Xeons since 2023
// read a prompt. The same bits as by other registers: sums within a group are exact, and groups are added in one order.
#pragma once

#include "panels.h"

namespace green_code {

constexpr int kLeastTileRows = 7;  // for fewer, reading the weight takes longer than to multiply

// AMX's registers on this thread, for as long as this lives; the system was asked for them by `green_code_supported`.
class Tiles {
 public:
  Tiles() {
    struct {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {kPanel * 4, kGroup, kPanel * 4};
      uint8_t rows[16] = {kTileRows, kTileRows, kGroup / 4};
    } sums_rows_weights;
    _tile_loadconfig(&sums_rows_weights);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;

  // 16 outputs of all rows: `out` [T, stride] += or = rows x panel.
  template <int Bits>
  void product(const Panel<Bits>& at, const Rows& rows, int n_rows, float* out, int stride, bool accumulate,
               bool ahead) {
    const int n_inputs = at.weight.n_inputs, n_groups = n_inputs / kGroup;
    const uint8_t* values = Bits == 8 ? at.values : apart(at.values, n_inputs);
    for (int first = 0; first < n_rows; first += kTileRows) {
      const int8_t* x = rows.values + size_t(first) * n_inputs;
      Totals total[kTileRows] = {};
      multiply(x, values, n_inputs, 0);
      for (int group = 0; group < n_groups; ++group) {
        if (ahead && first == 0) at.fetch_ahead(group);
        if (group + 1 < n_groups) multiply(x, values, n_inputs, group + 1);  // while this one's sums are taken
        const int32_t* of_group = sums_[group % kAtOnce];
        const int32_t* corrections = rows.corrections.get() + size_t(group) * rows.room + first;
        const auto sums = [&](int m) {
          const Lanes whole = load<Lanes>(of_group + m * kPanel);
          return Bits == 8 ? whole + corrections[m] : whole;
        };
        at.template add<kTileRows>(group, 0, rows, first, sums, total);
      }
      for (int m = 0; m < kTileRows && first + m < n_rows; ++m) {
        at.finish(total[m], 0, out + size_t(first + m) * stride, accumulate);
      }
    }
  }

 private:
  static constexpr int kAtOnce = 4;  // a group's sums stay for a while: what was just stored is slow to load

  GREEN_CODE_INLINE void multiply(const int8_t* rows, const uint8_t* values, int n_inputs, int group) {
    _tile_zero(0);
    _tile_loadd(1, rows + group * kGroup, n_inputs);
    _tile_loadd(2, values + size_t(group) * kGroup * kPanel, kPanel * 4);
    _tile_dpbsud(0, 1, 2);
    _tile_stored(0, sums_[group % kAtOnce], kPanel * 4);
  }

  // Weights of 4 bits, each in a byte of its own.
  const uint8_t* apart(const uint8_t* values, int n_inputs) {
    constexpr int kLine = sizeof(Sums);
    if (n_inputs > room_) storage_.reset(new uint8_t[size_t(room_ = n_inputs) * kPanel + kAlignment]);
    uint8_t* out = aligned(storage_.get());
    for (int eight = 0; eight < n_inputs / 8; ++eight) {
      const Sums both = load<Sums>(values + size_t(eight) * kLine);
      store(out + size_t(eight) * 2 * kLine, both & splat_ints(0x0f0f0f0f));
      store(out + size_t(eight) * 2 * kLine + kLine, high_bits(both));
    }
    return out;
  }

  alignas(kAlignment) int32_t sums_[kAtOnce][kTileRows * kPanel];
  int room_ = 0;
  std::unique_ptr<uint8_t[]> storage_;
};

}  // namespace green_code
