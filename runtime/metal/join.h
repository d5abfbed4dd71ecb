// Neighbouring instructions of a program that one dispatch computes: products of a few rows with several quantized
// matrices, with what follows them element by element, and rotations with the writes into caches.
#pragma once
#include "metal/kernel.h"
#include "program.h"

namespace denim::metal {

enum class Joint : uint8_t {
  none,
  products,  // up to three products of the same rows
  added,     // a product and the sum with another array
  gated,     // two products a, b and silu(a) * b
  moves,     // up to three rotations and writes into caches
};
struct Join {
  Joint joint;
  int32_t count;  // of instructions
};

/// What begins with instruction `first`: `none` and 1 if it is alone. Decided once per program, without addresses.
Join join_at(const Program& p, int32_t first);

/// Encodes it; the addresses of all its instructions are set.
void encode_join(const Program& p, int32_t first, Join join, Encoder& e);

}  // namespace denim::metal
