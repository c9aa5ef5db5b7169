// Vectors in clang's own arithmetic, so that one source serves every x86-64 CPU since AVX2, and says the same numbers on
// each: 16 lanes are one register of AVX-512 or two of AVX2, and sums over lanes are taken in one order.
//
// Only the integer products at the end are written for each set of instructions.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace green_code {

constexpr int kLane = 16;

using Floats = float __attribute__((vector_size(4 * kLane)));
using Ints = int32_t __attribute__((vector_size(4 * kLane)));
using Halves = _Float16 __attribute__((vector_size(2 * kLane)));
using Bytes = int8_t __attribute__((vector_size(kLane)));

#define GREEN_CODE_INLINE inline __attribute__((always_inline))

template <typename Vector>
GREEN_CODE_INLINE Vector load(const void* at) {
  Vector vector;
  std::memcpy(&vector, at, sizeof vector);
  return vector;
}

template <typename Vector>
GREEN_CODE_INLINE void store(void* at, const Vector& vector) {
  std::memcpy(at, &vector, sizeof vector);
}

GREEN_CODE_INLINE Floats load(const float* at) { return load<Floats>(at); }

template <typename Vector>
GREEN_CODE_INLINE Vector fma(Vector a, Vector b, Vector c) {
  return __builtin_elementwise_fma(a, b, c);
}

template <typename Vector = Floats>
GREEN_CODE_INLINE Vector splat(float x) {
  return x - Vector{};  // + would lose the sign of -0
}

GREEN_CODE_INLINE Floats max(Floats a, Floats b) { return a > b ? a : b; }
GREEN_CODE_INLINE Floats min(Floats a, Floats b) { return a < b ? a : b; }
GREEN_CODE_INLINE Floats nearest(Floats x) { return __builtin_elementwise_roundeven(x); }
GREEN_CODE_INLINE Ints to_ints(Floats x) { return __builtin_convertvector(x, Ints); }

// What `join`, which takes vectors of any length, makes of all lanes.
template <typename Join>
GREEN_CODE_INLINE float folded(Floats x, Join join) {
  const auto eight = join(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7),
                          __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15));
  const auto four =
      join(__builtin_shufflevector(eight, eight, 0, 1, 2, 3), __builtin_shufflevector(eight, eight, 4, 5, 6, 7));
  const auto two = join(__builtin_shufflevector(four, four, 0, 1), __builtin_shufflevector(four, four, 2, 3));
  return join(two, __builtin_shufflevector(two, two, 1, 0))[0];
}

GREEN_CODE_INLINE float sum_of(Floats x) {
  return folded(x, [](auto a, auto b) { return a + b; });
}

GREEN_CODE_INLINE float largest_of(Floats x) {
  return folded(x, [](auto a, auto b) { return a > b ? a : b; });
}

// Sums of `kOutputs` outputs, a register of 32-bit integers, to which four channels of each are added at a time.
//
// `dot_8` takes weights that are stored + 128, for which a group's sums begin with `correction` of the row's own sum over
// the group; `dot_4` takes weights from 0 to 15. The channels of a row are bytes from -127 to 127.
#if defined(GREEN_CODE_AVX512) != defined(__AVX512VNNI__) || defined(GREEN_CODE_AVX_VNNI) != defined(__AVXVNNI__)
#error "cpu.cpp would look for other instructions than these are compiled to"
#elif defined(GREEN_CODE_AVX512)
using Sums = __m512i;

GREEN_CODE_INLINE Sums splat_ints(int32_t x) { return _mm512_set1_epi32(x); }
GREEN_CODE_INLINE Sums high_bits(Sums x) { return _mm512_srli_epi16(x, 4) & splat_ints(0x0f0f0f0f); }
GREEN_CODE_INLINE Sums dot(Sums sums, Sums weights, Sums channels) {
  return _mm512_dpbusd_epi32(sums, weights, channels);
}
#else
using Sums = __m256i;

GREEN_CODE_INLINE Sums splat_ints(int32_t x) { return _mm256_set1_epi32(x); }
GREEN_CODE_INLINE Sums high_bits(Sums x) { return _mm256_srli_epi16(x, 4) & splat_ints(0x0f0f0f0f); }
#if defined(GREEN_CODE_AVX_VNNI)
GREEN_CODE_INLINE Sums dot(Sums sums, Sums weights, Sums channels) {
  return _mm256_dpbusd_avx_epi32(sums, weights, channels);
}
#else
// Bytes from 0 to 127 times bytes from -127 to 127: two products are added in 16 bits, which hold them.
GREEN_CODE_INLINE Sums dot(Sums sums, Sums weights, Sums channels) {
  const Sums pairs = _mm256_maddubs_epi16(weights, channels);
  return _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#endif
#endif
constexpr int kOutputs = sizeof(Sums) / sizeof(int32_t);

GREEN_CODE_INLINE Sums dot_4(Sums sums, Sums weights, Sums channels) { return dot(sums, weights, channels); }

#if defined(GREEN_CODE_AVX512) || defined(GREEN_CODE_AVX_VNNI)
constexpr bool kIsVnni = true;
using Weights8 = Sums;

GREEN_CODE_INLINE int32_t correction(int32_t row_sum) { return -128 * row_sum; }

GREEN_CODE_INLINE Sums dot_8(Sums sums, Weights8 stored, Sums channels) { return dot(sums, stored, channels); }
#else
constexpr bool kIsVnni = false;
struct Weights8 {
  Sums values, sizes;

  Weights8(Sums stored) : values(stored ^ _mm256_set1_epi8(-128)), sizes(_mm256_abs_epi8(values)) {}
};

GREEN_CODE_INLINE int32_t correction(int32_t) { return 0; }

GREEN_CODE_INLINE Sums dot_8(Sums sums, const Weights8& weights, Sums channels) {
  return dot(sums, weights.sizes, _mm256_sign_epi8(channels, weights.values));
}
#endif

// What becomes of the sums of a register.
using Lanes = int32_t __attribute__((vector_size(4 * kOutputs)));
using Totals = float __attribute__((vector_size(4 * kOutputs)));
using Scales = _Float16 __attribute__((vector_size(2 * kOutputs)));

}  // namespace green_code
