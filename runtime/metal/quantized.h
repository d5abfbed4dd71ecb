// Products of a few rows with several quantized matrices in one dispatch, for join.cc.
#pragma once
#include "metal/family.h"

namespace denim::metal {

/// Is this quantizedMatmul one of few rows with transposed weights, which all its rows share?
bool joins_products(const Call& call);

/// Products of the same rows with matrices of one format. With a `result` it holds silu(first) * second, or, if there
/// is `added`, that array plus the only product; the products' own results are then not written.
struct ProductJoin {
  const Call* products[3];
  int32_t n;
  const Array *added, *result;
};
void encode_product_join(const ProductJoin& j, Encoder& e);

}  // namespace denim::metal
