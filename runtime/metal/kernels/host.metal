// What the host itself asks of the GPU: copies of whole buffers, where an input may not be overwritten.

kernel void copy_bytes(device const uint4* from [[buffer(0)]], device uint4* to [[buffer(1)]],
                       device const uchar* from_bytes [[buffer(2)]], device uchar* to_bytes [[buffer(3)]],
                       constant const ulong& n [[buffer(4)]], uint i [[thread_position_in_grid]]) {
  const ulong at = ulong(i) * 16;
  if (at + 16 <= n) to[i] = from[i];
  else
    for (ulong k = at; k < n; k++) to_bytes[k] = from_bytes[k];
}
