// Random bits: threefry against a plain loop over words, for every width, odd sizes and batches of keys.
#include "kernel_case.h"

namespace denim::testing {
namespace {

uint32_t rotate(uint32_t x, int r) { return (x << r) | (x >> (32 - r)); }
void hash(uint32_t k0, uint32_t k1, uint32_t* x, uint32_t* y) {
  const uint32_t keys[3] = {k0, k1, k0 ^ k1 ^ 0x1BD11BDAu};
  const int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  *x += keys[0];
  *y += keys[1];
  for (int i = 0; i < 5; i++) {
    for (int r : rotations[i % 2]) {
      *x += *y;
      *y = rotate(*y, r) ^ *x;
    }
    *x += keys[(i + 1) % 3];
    *y += keys[(i + 2) % 3] + static_cast<uint32_t>(i) + 1;
  }
}
/// Word i of n.
uint32_t word(uint32_t k0, uint32_t k1, int64_t i, int64_t n) {
  int64_t half = n / 2, upper = n - half;
  uint32_t x = static_cast<uint32_t>(i < upper ? i : i - upper), y = static_cast<uint32_t>(x + upper);
  if (n % 2 && i == half) y = 0;
  hash(k0, k1, &x, &y);
  return i < upper ? x : y;
}

void check_bits(int64_t n_keys, int64_t n, int64_t width) {
  DType dtype = width == 1 ? DType::uint8 : width == 2 ? DType::uint16 : DType::uint32;
  Tensor keys(DType::uint32, {n_keys, 2}, {1, 0}), out(dtype, {n_keys, n});
  for (int64_t k = 0; k < n_keys; k++) {
    keys.set({k, 0}, 12345.0 + static_cast<double>(k));
    keys.set({k, 1}, 987654321.0 * static_cast<double>(k + 1));
  }
  List shape{n};
  RandomBitsParams params{shape.ints(), width};
  CHECK(run_kernel(Op::randomBits, {keys}, out, &params) == nullptr);
  int64_t bytes = n * width, bad = 0;
  for (int64_t k = 0; k < n_keys; k++) {
    for (int64_t i = 0; i < bytes; i++) {
      uint32_t w = word(static_cast<uint32_t>(keys.get({k, 0})), static_cast<uint32_t>(keys.get({k, 1})), i / 4,
                        (bytes + 3) / 4);
      bad += out.data[k * bytes + i] != static_cast<uint8_t>(w >> 8 * (i % 4));
    }
  }
  CHECK(bad == 0);
}

}  // namespace

TEST(random_bits_are_threefry) {
  const int64_t widths[] = {1, 2, 4}, sizes[] = {1, 2, 3, 5, 31, 64, 67, 1001, 40000};
  for (int64_t width : widths) {
    for (int64_t n : sizes) check_bits(1, n, width);
    check_bits(3, 37, width);
    check_bits(2, 0, width);
  }
}
TEST(random_bits_of_key_0) {
  Tensor key(DType::uint32, {2}), out(DType::uint32, {3});
  List shape{3};
  RandomBitsParams params{shape.ints(), 4};
  CHECK(run_kernel(Op::randomBits, {key}, out, &params) == nullptr);
  const double uniform[] = {.96532, .31468, .63303};  // MLX: uniform(3) of key(0)
  for (int i = 0; i < 3; i++) CHECK_NEAR(out.at(i) / 4294967295.0, uniform[i], 1e-5);
}
TEST(random_bits_refuse_other_widths) {
  Tensor key(DType::uint32, {2}), out(DType::uint64, {3});
  List shape{3};
  RandomBitsParams params{shape.ints(), 8};
  CHECK(run_kernel(Op::randomBits, {key}, out, &params) != nullptr);
}

}  // namespace denim::testing
