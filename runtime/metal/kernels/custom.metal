// What sources of users' own kernels may name: MLX's names of types, and the place of an element.

typedef half float16_t;
typedef bfloat bfloat16_t;
typedef complex64 complex64_t;

/// Place of element `i` (row-major number) of an array, in elements.
inline int64_t elem_to_loc(uint i, constant const int* shape, constant const int64_t* strides, int ndim) {
  int64_t at = 0;
  for (int d = ndim - 1; d >= 0; --d) {
    at += (int64_t)(i % (uint)shape[d]) * strides[d];
    i /= (uint)shape[d];
  }
  return at;
}
