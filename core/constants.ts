/**
 * Numbers that `mlx.core` names.
 * @module
 */

/** Euler's number. */
export const e: number = Math.E;
/** The Euler-Mascheroni constant. */
export const eulerGamma: number = 0.5772156649015329;
/** Infinity. */
export const inf: number = Infinity;
/** Not a number. */
export const nan: number = NaN;
/** Half a turn in radians. */
export const pi: number = Math.PI;
/** In an index: a new axis of length 1. */
export const newaxis: null = null;
