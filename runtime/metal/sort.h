// Sorting keys that lie in scratch, for families that bring their work into an order first (scatter).
#pragma once
#include "metal/kernel.h"

namespace denim::metal {

/// Bytes that `sort_keys` needs for n keys, the sorted entries among them.
int64_t sort_keys_bytes(int64_t n, bool wide);
/// Sorts n unsigned keys (uint32, or uint64 if `wide`), stable; returns where the entries lie, inside `room`:
/// (key << 32 | index) for uint32, else {uint64 key, uint32 index, uint32 0}.
const uint8_t* sort_keys(const uint8_t* keys, int64_t n, bool wide, uint8_t* room, Encoder& e);

}  // namespace denim::metal
