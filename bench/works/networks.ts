/**
 * Parts of neural networks: attention over a prompt and for one token, rotary embeddings, convolutions.
 * @module
 */
import * as mx from "../../mod.ts";
import type { Work } from "../work.ts";
import { normal, size } from "./inputs.ts";

interface Heads {
  readonly heads: number;
  readonly keyHeads: number;
  readonly width: number;
  readonly dtype?: "float32" | "bfloat16" | "float16";
}
/** Causal attention of `queries` over `keys` positions. Of a square only the lower half is work. */
function attention(
  name: string,
  queries: number,
  keys: number,
  { heads, keyHeads, width, dtype = "float32" }: Heads,
): Work {
  return {
    name,
    group: queries === 1 ? "attention decode" : "attention prefill",
    prepare(tiny) {
      const [l, s] = [size(queries, tiny), size(keys, tiny)], type = mx.dtypeOf(dtype);
      const q = normal([1, heads, l, width], 0, type);
      const k = normal([1, keyHeads, s, width], 1, type), v = normal([1, keyHeads, s, width], 2, type);
      const options = { scale: width ** -0.5, mask: l > 1 ? "causal" : null } as const;
      const pairs = l * s - l * (l - 1) / 2;
      const cost = { flops: 4 * heads * pairs * width, read: q.nbytes + k.nbytes + v.nbytes, written: q.nbytes, dtype };
      return { run: () => mx.eval(mx.fast.scaledDotProductAttention(q, k, v, options)), cost };
    },
  };
}
function rope(name: string, heads: number, length: number, width: number): Work {
  return {
    name,
    group: "rope",
    prepare(tiny) {
      const x = normal([1, heads, size(length, tiny), width], 0);
      const options = { traditional: false, base: 1e4, scale: 1, offset: 0 };
      const cost = { flops: 0, read: x.nbytes, written: x.nbytes };
      return { run: () => mx.eval(mx.fast.rope(x, width, options)), cost };
    },
  };
}
/** n images of h x h pixels and c channels, o filters of k x k. */
function conv(name: string, n: number, h: number, c: number, o: number, k: number, groups = 1): Work {
  return {
    name,
    group: "convolution",
    prepare(tiny) {
      const [images, edge] = [tiny ? 1 : n, tiny ? 8 : h];
      const x = normal([images, edge, edge, c], 0), w = normal([o, k, k, c / groups], 1);
      const written = 4 * images * edge * edge * o;
      const cost = { flops: written / 2 * k * k * c / groups, read: x.nbytes + w.nbytes, written };
      return { run: () => mx.eval(mx.conv2d(x, w, { padding: k >> 1, groups })), cost };
    },
  };
}

/** The works of this file. */
export const networkWorks: readonly Work[] = [
  attention("sdpa_causal_16h_512", 512, 512, { heads: 16, keyHeads: 16, width: 64 }),
  attention("sdpa_causal_gqa_2048", 2048, 2048, { heads: 16, keyHeads: 4, width: 128 }),
  attention("sdpa_decode_16h_2048", 1, 2048, { heads: 16, keyHeads: 16, width: 64 }),
  attention("sdpa_decode_gqa_4096", 1, 4096, { heads: 32, keyHeads: 8, width: 128 }),
  attention("sdpa_decode_gqa_bf16_4096", 1, 4096, { heads: 32, keyHeads: 8, width: 128, dtype: "bfloat16" }),
  rope("rope_32h_512", 32, 512, 128),
  conv("conv2d_3x3_8x32x32x64", 8, 32, 64, 64, 3),
  conv("conv2d_1x1_8x32x32x256", 8, 32, 256, 256, 1),
  conv("conv2d_dw3x3_8x56x56x128", 8, 56, 128, 128, 3, 128),
  conv("conv2d_7x7_4x112x112x3", 4, 112, 3, 64, 7),
];
