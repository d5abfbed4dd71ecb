// Ordered keys: unsigned integers that compare as the elements do, so that sort, argsort, argmax and argmin know bits
// instead of dtypes. NaN has the largest key; complex numbers are ordered by (re, im).

/// Of the bits of a float whose infinity has the bits `infinity`: the sign bit turned, all others too if it was set.
inline ulong float_key(ulong u, ulong infinity, int bits, bool descending, bool merge_zeros) {
  ulong top = (ulong)1 << (bits - 1), all = top | (top - 1), absolute = u & (top - 1);
  if (absolute > infinity) return all;
  if (merge_zeros && absolute == 0) u = 0;
  ulong key = (u & top) != 0 ? ~u & all : u | top;
  return descending ? ~key & all : key;
}
inline ulong key_of(ulong u, int dtype, bool descending, bool merge_zeros) {
  switch (dtype) {
    case kFloat16: return float_key(u, 0x7c00, 16, descending, merge_zeros);
    case kBfloat16: return float_key(u, 0x7f80, 16, descending, merge_zeros);
    case kFloat32: return float_key(u, 0x7f800000, 32, descending, merge_zeros);
    case kComplex64: {
      ulong re = u & 0xffffffff, im = u >> 32;
      if ((re & 0x7fffffff) > 0x7f800000 || (im & 0x7fffffff) > 0x7f800000) return ~(ulong)0;
      ulong high = float_key(re, 0x7f800000, 32, descending, merge_zeros);
      return (high << 32) | float_key(im, 0x7f800000, 32, descending, merge_zeros);
    }
    default: break;
  }
  int bits = dtype == kBool || dtype == kUint8 || dtype == kInt8 ? 8
             : dtype == kUint16 || dtype == kInt16               ? 16
             : dtype == kUint32 || dtype == kInt32               ? 32
                                                                 : 64;
  ulong top = (ulong)1 << (bits - 1), all = top | (top - 1);
  ulong key = dtype >= kInt8 ? u ^ top : u;
  return descending ? ~key & all : key;
}
