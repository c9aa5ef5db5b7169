// Llama's, Gemma 3's and StarCoder2's blocks over rounded weights: what `engine/model/prepared/native/runner.py` calls, by ctypes.
//
// RMS norms, grouped-query attention with rotary positions, an MLP with a gate or without. Nothing here knows of exits, files or text,
// and nothing is kept between calls but a team's threads.
#include <algorithm>
#include <memory>

#include "attention.h"
#include "products.h"
#include "team.h"

#define GREEN_CODE_API extern "C" __attribute__((visibility("default")))

namespace green_code {

struct Layer {
  const float* attention_norm;      // [D]
  const float* mlp_norm;            // [D]
  const float* attention_out_norm;  // [D] or null: of what is added to the residual stream
  const float* mlp_out_norm;        // [D] or null
  Heads heads;
  Weight qkv, output, gate_up, down;
};

// As `runner.py` declares them.
static_assert(sizeof(Weight) == 40 && sizeof(Heads) == 40 && sizeof(Layer) == 232 && sizeof(Shape) == 36 &&
              sizeof(LayerCache) == 16);

namespace {

std::unique_ptr<float[]> floats(size_t n) { return std::unique_ptr<float[]>(new float[n]); }

// gate / (1 + e^-s), into `gate`, times `up` where there is one. SiLU's s is gate itself; GELU's is
// 2 sqrt(2 / pi) (gate + 0.044715 gate^3), since (1 + tanh(s / 2)) / 2 = 1 / (1 + e^-s).
template <bool Gelu, bool Gated>
void activate(float* gate, const float* up, int width) {
  constexpr float kLinear = 1.5957691216f, kCubic = 1.5957691216f * 0.044715f;
  for (int i = 0; i < width; i += kLane) {
    const Floats x = load(gate + i);
    Floats s = x;
    if constexpr (Gelu) s = x * fma(x * x, splat(kCubic), splat(kLinear));
    const Floats active = x / (1.0f + exponential(0.0f - s));
    if constexpr (Gated) {
      store(gate + i, active * load(up + i));
    } else {
      store(gate + i, active);
    }
  }
}

void add(const float* x, int width, float* into) {
  for (int i = 0; i < width; i += kLane) store(into + i, load(into + i) + load(x + i));
}

// A segment of layers for T rows, taken part by part by all ranks of a team.
class Segment {
 public:
  Segment(Team& team, const Shape& shape, const Layer* layers, int n_layers, const LayerCache* caches, int capacity,
          int position, float* hidden, int n_rows)
      : team_(team),
        shape_(shape),
        layers_(layers),
        n_layers_(n_layers),
        caches_(caches),
        capacity_(capacity),
        position_(position),
        hidden_(hidden),
        n_rows_(n_rows),
        qkv_width_((shape.n_heads + 2 * shape.n_kv_heads) * shape.head_dim),
        mixed_width_(shape.n_heads * shape.head_dim),
        rounded_(n_rows, std::max({shape.width, mixed_width_, shape.mlp_width})),
        normed_(floats(size_t(team.size()) * shape.width)),
        update_(floats(size_t(n_rows) * shape.width)),
        qkv_(floats(size_t(n_rows) * qkv_width_)),
        mixed_(floats(size_t(n_rows) * mixed_width_)),
        gate_up_width_((shape.gated ? 2 : 1) * shape.mlp_width),
        gate_up_(floats(size_t(n_rows) * gate_up_width_)),
        n_scores_(size_t(kMostQueries) * (position + n_rows + kLane)),
        scores_(floats(team.size() * n_scores_)) {}

  void operator()(int rank) {
    for (int i = 0; i < n_layers_; ++i) {
      attention_block(rank, layers_[i], caches_[i]);
      mlp_block(rank, layers_[i]);
    }
  }

 private:
  void attention_block(int rank, const Layer& layer, const LayerCache& cache) {
    const Heads& heads = layer.heads;
    round_normed(rank, layer.attention_norm);
    multiply(rank, layer.qkv, qkv_.get(), qkv_width_, false);
    rows(rank, [&](int row) {
      float* queries = qkv_.get() + size_t(row) * qkv_width_;
      float* keys = queries + mixed_width_;
      for (int head = 0; head < shape_.n_heads; ++head) {
        rotate(shape_, heads, heads.query_norm, position_ + row, queries + head * shape_.head_dim);
      }
      store(shape_, heads, cache, capacity_, position_ + row, keys, keys + shape_.n_kv_heads * shape_.head_dim);
    });
    const int n_queries = n_rows_ * shape_.n_heads;
    attention(shape_, heads, cache, capacity_, position_, qkv_.get(), qkv_width_, n_rows_,
              n_queries * rank / team_.size(), n_queries * (rank + 1) / team_.size(), scores_.get() + rank * n_scores_,
              mixed_.get());
    team_.barrier();
    round_rows(rank, mixed_.get(), mixed_width_, mixed_width_);
    add_product(rank, layer.output, layer.attention_out_norm);
  }

  void mlp_block(int rank, const Layer& layer) {
    const int width = shape_.mlp_width;
    round_normed(rank, layer.mlp_norm);
    multiply(rank, layer.gate_up, gate_up_.get(), gate_up_width_, false);
    rows(rank, [&](int row) {
      float* gate = gate_up_.get() + size_t(row) * gate_up_width_;
      if (shape_.gated) {
        shape_.gelu ? activate<true, true>(gate, gate + width, width) : activate<false, true>(gate, gate + width, width);
      } else {
        shape_.gelu ? activate<true, false>(gate, nullptr, width) : activate<false, false>(gate, nullptr, width);
      }
    });
    round_rows(rank, gate_up_.get(), width, gate_up_width_);
    add_product(rank, layer.down, layer.mlp_out_norm);
  }

  // hidden += rows x weight, or the norm of it where there is one.
  void add_product(int rank, const Weight& weight, const float* norm) {
    const int width = shape_.width;
    if (norm == nullptr) return multiply(rank, weight, hidden_, width, true);
    multiply(rank, weight, update_.get(), width, false);
    rows(rank, [&](int row) {
      float* update = update_.get() + size_t(row) * width;
      rms_norm(update, norm, width, shape_.epsilon, update);
      add(update, width, hidden_ + size_t(row) * width);
    });
  }

  template <typename Work>
  void rows(int rank, Work work) {
    for (int row = rank; row < n_rows_; row += team_.size()) work(row);
    team_.barrier();
  }

  void round_normed(int rank, const float* weight) {
    float* normed = normed_.get() + size_t(rank) * shape_.width;
    rows(rank, [&](int row) {
      rms_norm(hidden_ + size_t(row) * shape_.width, weight, shape_.width, shape_.epsilon, normed);
      rounded_.round(row, normed, shape_.width);
    });
  }

  void round_rows(int rank, const float* from, int width, int stride) {
    rows(rank, [&](int row) { rounded_.round(row, from + size_t(row) * stride, width); });
  }

  void multiply(int rank, const Weight& weight, float* out, int stride, bool accumulate) {
    const int n_panels = weight.n_outputs / kPanel;
    product(weight, n_panels * rank / team_.size(), n_panels * (rank + 1) / team_.size(), rounded_, n_rows_, out,
            stride, accumulate);
    team_.barrier();
  }

  Team& team_;
  const Shape& shape_;
  const Layer* layers_;
  const int n_layers_;
  const LayerCache* caches_;
  const int capacity_, position_;
  float* hidden_;
  const int n_rows_, qkv_width_, mixed_width_;
  Rows rounded_;
  std::unique_ptr<float[]> normed_, update_, qkv_, mixed_;
  const int gate_up_width_;
  std::unique_ptr<float[]> gate_up_;
  const size_t n_scores_;
  std::unique_ptr<float[]> scores_;
};

}  // namespace
}  // namespace green_code

using green_code::Heads;
using green_code::Layer;
using green_code::LayerCache;
using green_code::Shape;
using green_code::Team;
using green_code::Weight;

// `size` threads, the caller's included.
GREEN_CODE_API Team* green_code_team(int size) { return new Team(size); }

GREEN_CODE_API void green_code_disband(Team* team) { delete team; }

// Runs layers for `hidden` [T, D], in place; its rows follow the `position` positions that are in the caches.
GREEN_CODE_API void green_code_layers(Team* team, const Shape* shape, const Layer* layers, int n_layers,
                                      const LayerCache* caches, int capacity, int position, float* hidden, int n_rows) {
  green_code::Segment segment(*team, *shape, layers, n_layers, caches, capacity, position, hidden, n_rows);
  team->run(segment);
}

// out [T, N] = rows [T, K] x weight.
GREEN_CODE_API void green_code_product(Team* team, const Weight* weight, const float* rows, int n_rows, float* out) {
  green_code::Rows rounded(n_rows, weight->n_inputs);
  for (int row = 0; row < n_rows; ++row) {
    rounded.round(row, rows + size_t(row) * weight->n_inputs, weight->n_inputs);
  }
  auto part = [&](int rank) {
    const int n_panels = weight->n_outputs / green_code::kPanel, size = team->size();
    green_code::product(*weight, n_panels * rank / size, n_panels * (rank + 1) / size, rounded, n_rows, out,
                        weight->n_outputs, false);
  };
  team->run(part);
}

// Puts keys [H_kv, D_head], not yet normed or rotated, and values behind them, one row of `stride` floats a position,
// into a cache.
GREEN_CODE_API void green_code_store(const Shape* shape, const Heads* heads, const LayerCache* cache, int capacity,
                                     int position, float* rows, int stride, int n_rows) {
  for (int row = 0; row < n_rows; ++row) {
    float* keys = rows + size_t(row) * stride;
    float* values = keys + shape->n_kv_heads * shape->head_dim;
    green_code::store(*shape, *heads, *cache, capacity, position + row, keys, values);
  }
}
