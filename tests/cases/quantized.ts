/**
 * Cases of the products with quantized matrices: numbers are taken out of the words bit by bit, scaled, and multiplied
 * by plain loops.
 * @module
 */
import { bfloat16, type DType, float16, float32, int32, uint32, uint8 } from "../../core/dtype.ts";
import type { ParamsOf } from "../../core/primitives/mod.ts";
import type { quantizedPrimitives } from "../../core/primitives/quantized.ts";
import type { Shape } from "../../core/primitive.ts";
import { type Cases, type Input, networkFloats, valuesFrom, type Variant } from "./case.ts";
import { between, type Domain, integers } from "./generate.ts";
import { count, type Tensor } from "./tensor.ts";

/** How a matrix is packed; mode 0 affine, 1 mxfp4, 2 mxfp8, 3 nvfp4. */
interface Packing {
  readonly groupSize: number;
  readonly bits: number;
  readonly mode: number;
}
const AFFINE: readonly Packing[] = [2, 3, 4, 5, 6, 8].map((bits) => ({ groupSize: 32, bits, mode: 0 }));
const FLOATS: readonly Packing[] = [{ groupSize: 32, bits: 4, mode: 1 }, { groupSize: 32, bits: 8, mode: 2 }, {
  groupSize: 16,
  bits: 4,
  mode: 3,
}];
const PACKINGS = [...AFFINE, ...FLOATS];

/** Sign, `exponent` and `fraction` bits; an exponent of 0 is subnormal. */
function smallFloat(code: number, exponent: number, fraction: number, bias: number): number {
  const sign = (code >> (exponent + fraction)) & 1 ? -1 : 1,
    e = (code >> fraction) & (2 ** exponent - 1),
    f = code & (2 ** fraction - 1);
  return sign * (e === 0 ? f * 2 ** (1 - bias - fraction) : (1 + f * 2 ** -fraction) * 2 ** (e - bias));
}
/** What a code, a scale and a bias stand for. */
function valueOf(code: number, scale: number, bias: number, { mode }: Packing): number {
  if (mode === 0) return code * scale + bias;
  const size = mode === 3 ? smallFloat(scale, 4, 3, 7) : 2 ** (scale - 127);
  return size * (mode === 2 ? smallFloat(code, 4, 3, 7) : smallFloat(code, 2, 1, 1));
}
/** The numbers of all rows; a row is a string of bits, lowest first, that runs over its words. */
function unpacked(w: Tensor, scales: Tensor, biases: Tensor | undefined, p: Packing): Float64Array {
  const words = w.shape.at(-1)!, n = words * 32 / p.bits, groups = n / p.groupSize;
  return valuesFrom(count(w.shape) * 32 / p.bits, (at) => {
    const row = Math.floor(at / n), i = at % n, first = i * p.bits, place = row * words + Math.floor(first / 32);
    const both = BigInt(w.re[place]!) | (BigInt(first % 32 + p.bits > 32 ? w.re[place + 1]! : 0) << 32n);
    const code = Number((both >> BigInt(first % 32)) & BigInt(2 ** p.bits - 1)),
      group = row * groups + Math.floor(i / p.groupSize);
    return valueOf(code, scales.re[group]!, biases?.re[group] ?? 0, p);
  });
}
/** Words without the code for NaN in 8-bit floats. */
const words: Domain = (r, n) =>
  Array.from({ length: n }, () => {
    const byte = () => r.pick([0, 128]) + r.below(127);
    return byte() + 256 * byte() + 65536 * byte() + 16777216 * byte();
  });
/** Words, scales and biases of a matrix of this shape before packing. */
function matrix(shape: Shape, p: Packing, scaleType?: DType): Input[] {
  const n = shape.at(-1)!,
    lead = shape.slice(0, -1),
    groups = [...lead, n / p.groupSize],
    own = scaleType ? { dtype: scaleType } : {};
  const packed = { shape: [...lead, n * p.bits / 32], domain: words, dtype: uint32 };
  if (p.mode > 0) {
    return [packed, { shape: groups, domain: p.mode === 3 ? integers(40, 64) : integers(122, 129), dtype: uint8 }];
  }
  return [packed, { shape: groups, domain: between(0.1, 0.5), ...own }, {
    shape: groups,
    domain: between(-1, 1),
    ...own,
  }];
}
type Product = ParamsOf<"quantizedMatmul">;
const numbers = (shape: Shape): Input => ({ shape, domain: between(-2, 2) });
const indices = (shape: Shape, n: number): Input => ({ shape, domain: integers(0, n - 1), dtype: int32 });
/** x [..., M, K] with w of N columns, packed along K if transposed, else along N. */
function product(
  x: Shape,
  n: number,
  lead: Shape,
  transpose: boolean,
  p: Packing,
  scaleType?: DType,
): Variant<Product> {
  const shape = transpose ? [...lead, n, x.at(-1)!] : [...lead, x.at(-1)!, n];
  return { params: { transpose, ...p }, inputs: [numbers(x), ...matrix(shape, p, scaleType)] };
}
/** Row i of x's matrix p times column j of w's matrix q. */
function dot(
  x: Tensor,
  w: Float64Array,
  at: { p: number; q: number; i: number; j: number; n: number },
  transpose: boolean,
): number {
  const [m, k] = [x.shape.at(-2)!, x.shape.at(-1)!], { p, q, i, j, n } = at;
  let sum = 0;
  for (let l = 0; l < k; l++) sum += x.re[(p * m + i) * k + l]! * w[q * n * k + (transpose ? j * k + l : l * n + j)]!;
  return sum;
}
function gathered(transpose: boolean, p: Packing): Variant<Product> {
  const shape = transpose ? [2, 3, 32] : [2, 32, 32];
  return {
    params: { transpose, ...p },
    inputs: [numbers([3, 2, 32]), ...matrix(shape, p), indices([4], 3), indices([4], 2)],
  };
}
const tolerance = { ulps: 64, half: 2 };
const four: Packing = { groupSize: 64, bits: 4, mode: 0 };

/** The cases of the family `quantized`. */
export const quantizedCases: Cases<keyof typeof quantizedPrimitives> = {
  quantizedMatmul: {
    dtypes: networkFloats,
    variants: [
      ...PACKINGS.flatMap((p) => [product([2, 32], 3, [], true, p), product([2, 4], 32, [], false, p)]),
      product([2, 2, 64], 2, [2], true, four),
      product([2, 1, 3], 64, [2], false, four),
      product([1, 256], 40, [], true, four, float16),
      product([37, 128], 40, [], true, four, bfloat16),
      product([0, 64], 3, [], true, four),
    ],
    tolerance,
    reference: ([x, w, scales, biases], p, out) => {
      const dense = unpacked(w!, scales!, biases, p), [m, n] = [out.shape.at(-2)!, out.shape.at(-1)!];
      return valuesFrom(count(out.shape), (at) => {
        const stack = Math.floor(at / (m * n)), q = w!.shape.length > 2 ? stack : 0;
        return dot(x!, dense, { p: stack, q, i: Math.floor(at / n) % m, j: at % n, n }, p.transpose);
      });
    },
    perf: [
      { label: "vector, 4 bits", dtype: float32, ...product([1, 4096], 4096, [], true, four), flops: 2 * 4096 ** 2 },
      {
        label: "512 rows, 4 bits",
        dtype: float32,
        ...product([512, 1024], 1024, [], true, four),
        flops: 2 * 512 * 1024 ** 2,
      },
    ],
  },
  gatherQmm: {
    dtypes: networkFloats,
    variants: [...PACKINGS.map((p) => gathered(true, p)), gathered(false, AFFINE[2]!), gathered(false, FLOATS[0]!)],
    tolerance,
    reference: ([x, ...rest], p, out) => {
      const [left, right] = rest.slice(-2) as [Tensor, Tensor], [w, scales, biases] = rest.slice(0, -2);
      const dense = unpacked(w!, scales!, biases, p), [m, n] = [out.shape.at(-2)!, out.shape.at(-1)!];
      return valuesFrom(count(out.shape), (at) => {
        const t = Math.floor(at / (m * n));
        return dot(
          x!,
          dense,
          { p: left.re[t]!, q: right.re[t]!, i: Math.floor(at / n) % m, j: at % n, n },
          p.transpose,
        );
      });
    },
    perf: [{
      label: "8 of 16 experts",
      dtype: float32,
      params: { transpose: true, ...four },
      inputs: [numbers([8, 1, 1024]), ...matrix([16, 1024, 1024], four), indices([8], 8), indices([8], 16)],
      flops: 16 * 1024 ** 2,
    }],
  },
  dequantize: {
    dtypes: networkFloats,
    variants: [
      ...PACKINGS.map((p) => ({ params: { ...p, dtype: float32 }, inputs: matrix([3, 64], p) })),
      ...[float16, bfloat16].map((dtype) => ({
        params: { ...four, dtype },
        inputs: matrix([2, 2, 64], four, dtype),
        dtypes: [dtype],
      })),
    ],
    tolerance,
    reference: ([w, scales, biases], p) => unpacked(w!, scales!, biases, p),
    perf: [{
      label: "4M",
      dtype: float32,
      params: { ...four, dtype: float32 },
      inputs: matrix([1024, 4096], four),
      flops: 0,
    }],
  },
};
