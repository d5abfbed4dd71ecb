// The frequencies of rotary positions, which the CPU and the GPU take from here so that their angles agree. Functions
// are static: files that are compiled once per instruction set include this.
#pragma once
#include <math.h>
#include <stdint.h>

namespace denim {

/// e^x in float32 for -88 < x <= 0 by the polynomial for 2^fraction that MLX uses: a result with another last bit,
/// multiplied by a position of 10^5, would be an angle that differs in the third digit. Double products rounded once
/// act as fused ones.
static inline float exp_like_mlx(float x) {
  constexpr float series[] = {1.339887440266574e-3f, 9.618437357674640e-3f, 5.550332471162809e-2f,
                              2.402264791363012e-1f, 6.931472028550421e-1f, 1.0f};
  float scaled = x * 1.442695f, whole = floorf(scaled + 0.5f), fraction = scaled - whole, y = 1.535336188319500e-4f;
  for (float term : series) y = static_cast<float>(static_cast<double>(y) * fraction + term);
  return ldexpf(y, static_cast<int>(whole));
}

/// base^(-i / half) in float32.
static inline float rope_inverse_frequency(double base, int64_t i, int64_t half) {
  const float x = static_cast<float>(-i) * (static_cast<float>(log(base)) / static_cast<float>(half));
  return x > -88 && x <= 0 ? exp_like_mlx(x) : expf(x);
}

}  // namespace denim
