// Rotations and writes into caches of [B, heads, T, D] in one dispatch, for join.cc.
#pragma once
#include "metal/family.h"

namespace denim::metal {

/// A rope, a dynamicSliceUpdate along the third axis, or both in turn. All of a dispatch agree on dtype, batch,
/// positions and angles.
struct RopeMove {
  const Call *rotation, *write;  // or null
  int32_t instruction;           // of the write, counted from the first one: whose start may be out of range
};
void encode_rope_moves(const RopeMove* moves, int32_t n, Encoder& e);

}  // namespace denim::metal
