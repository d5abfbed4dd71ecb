/**
 * Dropout: while training, parts of the input become zero and the rest grows so that the mean stays.
 * @module
 */
import { fail, float, type NDArray, random, ShapeError, ValueError } from "../core/mod.ts";
import { Module } from "./module.ts";

/** Options of the dropouts. */
export interface DropoutOptions {
  /** Probability of becoming zero, in [0, 1). Default 0.5. */
  readonly p?: number;
}

/**
 * What the three dropouts share. A `ValueError` unless 0 <= p < 1.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * // Whole channels of sequences [N, L, C]: the axis L shares one draw.
 * class Dropout1d extends nn.DropoutBase {
 *   forward(x: mx.NDArray): mx.NDArray {
 *     return this.drop(x, 1);
 *   }
 * }
 * mx.random.seed(0);
 * new Dropout1d("Dropout1d", 0.5).forward(mx.ones([1, 3, 4])).tolist(); // [[[0, 2, 2, 0], [0, 2, 2, 0], [0, 2, 2, 0]]]
 * ```
 */
export abstract class DropoutBase extends Module {
  /** Probability of becoming zero. */
  readonly p: number;
  /** Takes the probability. */
  constructor(op: string, options: number | DropoutOptions) {
    super();
    this.p = (typeof options === "number" ? options : options.p) ?? 0.5;
    if (!(this.p >= 0 && this.p < 1)) {
      fail(ValueError, op, {
        cannot: `drop with probability ${this.p}`,
        expected: "0 <= p < 1",
        got: String(this.p),
        fix: "change p",
      });
    }
  }
  /** `mask x / (1 - p)`; the last `spatial` axes before the channels share one draw. */
  protected drop(x: NDArray, spatial: number): NDArray {
    if (this.p === 0 || !this.training) return x;
    const ndim = x.shape.length, shape = x.shape.map((n, i) => i < ndim - 1 && i >= ndim - 1 - spatial ? 1 : n);
    const mask = random.bernoulli(1 - this.p, { shape: spatial ? shape : x.shape });
    return mask.mul(x).mul(float(1 / (1 - this.p)));
  }
}
/** Wants an input with `least` axes, or one more for a batch. */
function checkNdim(op: string, x: NDArray, least: number): void {
  if (x.ndim === least || x.ndim === least + 1) return;
  fail(ShapeError, op, {
    cannot: `drop channels of ${x.dtype}[${x.shape.join(",")}]`,
    expected: `${least} axes, or ${least + 1} with a batch`,
    got: `${x.ndim} axes`,
    fix: "reshape the input",
  });
}
/**
 * Each element is zero with probability `p` while training; the others are multiplied by 1 / (1 - p)
 * (`mlx.nn.Dropout`).
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * new nn.Dropout(0.1).eval().forward(mx.ones([2])).tolist(); // [1, 1]
 * ```
 */
export class Dropout extends DropoutBase {
  /** Takes the probability. */
  constructor(options: number | DropoutOptions = {}) {
    super("nn.Dropout", options);
  }
  /** x of any shape. */
  forward(x: NDArray): NDArray {
    return this.drop(x, 0);
  }
}
/**
 * Whole channels of images are zero with probability `p` while training (`mlx.nn.Dropout2d`). A `ShapeError` for an
 * input without 3 or 4 axes.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * const layer = new nn.Dropout2d({ p: 0.75 }), y = layer.forward(mx.ones([2, 5, 5, 8]));
 * mx.arrayEqual(y.max([1, 2]), y.min([1, 2])).item(); // true
 * layer.eval().forward(mx.ones([1, 1, 2])).tolist(); // [[[1, 1]]]
 * ```
 */
export class Dropout2d extends DropoutBase {
  /** Takes the probability. */
  constructor(options: number | DropoutOptions = {}) {
    super("nn.Dropout2d", options);
  }
  /** x [H, W, C] or [N, H, W, C]. */
  forward(x: NDArray): NDArray {
    checkNdim("nn.Dropout2d", x, 3);
    return this.drop(x, 2);
  }
}
/**
 * Whole channels of volumes are zero with probability `p` while training (`mlx.nn.Dropout3d`). A `ShapeError` for an
 * input without 4 or 5 axes.
 *
 * @example
 * ```ts
 * import * as mx from "@denim/ml";
 * import * as nn from "@denim/ml/nn";
 * mx.random.seed(1);
 * const y = new nn.Dropout3d(0.5).forward(mx.ones([2, 2, 2, 6])); // one volume, no batch
 * y.mean([0, 1, 2]).tolist(); // [0, 2, 0, 0, 0, 2]
 * ```
 */
export class Dropout3d extends DropoutBase {
  /** Takes the probability. */
  constructor(options: number | DropoutOptions = {}) {
    super("nn.Dropout3d", options);
  }
  /** x [D, H, W, C] or [N, D, H, W, C]. */
  forward(x: NDArray): NDArray {
    checkNdim("nn.Dropout3d", x, 4);
    return this.drop(x, 3);
  }
}
