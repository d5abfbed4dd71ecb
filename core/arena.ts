/**
 * Places of temporaries in one block of memory. While a program is lowered, each temporary takes the best free gap
 * (`take`, `free`); where that wastes memory, all of them are placed again with their lifetimes known (`pack`).
 * @module
 */

/** Every place starts at a multiple of this. */
const ALIGN = 64;
/** Placing again is tried where the memory is more than so many times what is in use at one time. */
const WASTE = 1.02;

/** Which arenas are placed again: that takes time quadratic in their blocks. */
export interface Packing {
  readonly leastBytes: number;
  readonly mostBlocks: number;
}
/** For a program that runs once, and for one that is kept. */
export const ONCE: Packing = { leastBytes: 2 ** 20, mostBlocks: 256 },
  KEPT: Packing = { leastBytes: 0, mostBlocks: 8192 };

/** Memory of one temporary, or of several that follow one another in place. */
export interface Block {
  /** Bytes, a multiple of the alignment. */
  readonly size: number;
  offset: number;
  /** The first instruction that uses it, and the last one. */
  readonly start: number;
  end: number;
}

/** Offsets in one block of memory: best fit, neighbours joined. */
export class Arena {
  /** Bytes in all. */
  size = 0;
  /** Most bytes that were in use at one time: no placing can do with less. */
  peak = 0;
  /** All that was ever placed. */
  readonly blocks: Block[] = [];
  #used = 0;
  readonly #free: { offset: number; size: number }[] = [];

  /** A place for `nbytes` from the instruction `start` on. */
  take(nbytes: number, start: number): Block {
    const size = Math.ceil(nbytes / ALIGN) * ALIGN, block = { size, offset: this.#place(size), start, end: Infinity };
    this.blocks.push(block);
    this.#used += size;
    if (this.#used > this.peak) this.peak = this.#used;
    return block;
  }
  /** The instruction `end` was the last one that used the block. */
  free(block: Block, end: number): void {
    let { offset: at, size } = block;
    block.end = end;
    this.#used -= size;
    const before = this.#free.findIndex((f) => f.offset + f.size === at);
    if (before >= 0) {
      const f = this.#free.splice(before, 1)[0]!;
      [at, size] = [f.offset, f.size + size];
    }
    const after = this.#free.findIndex((f) => f.offset === at + size);
    if (after >= 0) size += this.#free.splice(after, 1)[0]!.size;
    this.#free.push({ offset: at, size });
  }
  /** Places all blocks again where that saves memory. */
  pack({ leastBytes, mostBlocks }: Packing): void {
    if (this.size < leastBytes || this.size <= WASTE * this.peak || this.blocks.length > mostBlocks) return;
    for (const order of ORDERS) {
      const { offsets, size } = placed(this.blocks, order);
      if (size >= this.size) continue;
      this.size = size;
      this.blocks.forEach((b, i) => b.offset = offsets[i]!);
      if (size <= WASTE * this.peak) return;
    }
  }
  #place(size: number): number {
    let best = -1;
    for (let i = 0; i < this.#free.length; i++) {
      const f = this.#free[i]!;
      if (f.size >= size && (best < 0 || f.size < this.#free[best]!.size)) best = i;
    }
    if (best >= 0) {
      const f = this.#free[best]!, offset = f.offset;
      if (f.size === size) this.#free.splice(best, 1);
      else this.#free[best] = { offset: offset + size, size: f.size - size };
      return offset;
    }
    const end = this.#free.findIndex((f) => f.offset + f.size === this.size);
    const offset = end >= 0 ? this.#free.splice(end, 1)[0]!.offset : this.size;
    this.size = offset + size;
    return offset;
  }
}

type Order = (a: Block, b: Block) => number;
const life = (b: Block): number => b.end - b.start + 1;
/** In which order blocks choose their places: large ones first, those that block most for longest, or long-lived ones. */
const ORDERS: readonly Order[] = [
  (a, b) => b.size - a.size || life(b) - life(a),
  (a, b) => b.size * life(b) - a.size * life(a),
  (a, b) => life(b) - life(a) || b.size - a.size,
];
/** Each block in turn takes the smallest gap between those that were placed before and live at the same time. */
function placed(blocks: readonly Block[], order: Order): { offsets: number[]; size: number } {
  const turn = blocks.map((_, i) => i).sort((i, j) => order(blocks[i]!, blocks[j]!));
  const offsets = new Array<number>(blocks.length).fill(0), byOffset: number[] = [];
  let total = 0;
  for (const i of turn) {
    const b = blocks[i]!;
    let end = 0, offset = -1, least = Infinity;
    for (const j of byOffset) {
      const other = blocks[j]!;
      if (other.start > b.end || other.end < b.start) continue;
      const gap = offsets[j]! - end;
      if (gap >= b.size && gap < least) [offset, least] = [end, gap];
      end = Math.max(end, offsets[j]! + other.size);
    }
    offsets[i] = offset < 0 ? end : offset;
    total = Math.max(total, offsets[i] + b.size);
    byOffset.splice(upperBound(byOffset, offsets, offsets[i]), 0, i);
  }
  return { offsets, size: total };
}
/** Where an offset belongs in a list of indices that is sorted by offsets. */
function upperBound(sorted: readonly number[], offsets: readonly number[], offset: number): number {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (offsets[sorted[middle]!]! <= offset) low = middle + 1;
    else high = middle;
  }
  return low;
}
