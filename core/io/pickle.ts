/**
 * The part of Python's pickle that PyTorch writes for tensors. A pickle is a program for a small machine; this one has
 * no way to import or call anything: a call is looked up in a list of three names, and every other instruction or name
 * ends the reading.
 * @module
 */
import { CheckpointError, fail } from "../errors.ts";

/** A storage: bytes of a checkpoint by their key. */
export class Storage {
  constructor(
    /** Name of the class, as in `torch.FloatStorage`. */
    readonly type: string,
    /** Key of the file with the bytes. */
    readonly key: string,
    /** How many elements. */
    readonly length: number,
  ) {}
}
/** A tensor: a strided view of a storage. Offset and strides count elements. */
export class TensorView {
  constructor(
    /** What it views. */
    readonly storage: Storage,
    /** Its first element. */
    readonly offset: number,
    /** Lengths of the axes. */
    readonly shape: readonly number[],
    /** From one element of an axis to the next. */
    readonly strides: readonly number[],
  ) {}
}
/** A name that a pickle asks for; it stands for nothing but itself. */
class Global {
  constructor(readonly name: string) {}
}
/** Where a list that is being collected begins. */
class Mark {}
/** What a pickle builds: a tuple is a list, a dictionary a map. */
export type Pickled =
  | null
  | boolean
  | number
  | bigint
  | string
  | Pickled[]
  | Map<Pickled, Pickled>
  | Storage
  | TensorView
  | Global
  | Mark;

/** What refers to itself could have more items than there are bytes. */
const MOST_ITEMS = 1_000_000, MAX_DEPTH = 64;

const broken = (expected: string, got: string): never =>
  fail(CheckpointError, "load", {
    cannot: "read the checkpoint of PyTorch",
    expected,
    got,
    fix: "save the tensors alone, torch.save(model.state_dict(), path), or convert it to safetensors",
  });
const isSize = (x: Pickled | undefined): x is number => typeof x === "number" && Number.isSafeInteger(x) && x >= 0;
const isSizes = (x: Pickled | undefined): x is number[] => Array.isArray(x) && x.length <= 32 && x.every(isSize);

/** The calls that there are. */
const CALLS: Readonly<Record<string, (args: readonly Pickled[]) => Pickled>> = {
  "collections.OrderedDict": () => new Map(),
  "torch._utils._rebuild_tensor_v2": ([storage, offset, shape, strides]) => {
    if (storage instanceof Storage && isSize(offset) && isSizes(shape) && isSizes(strides)) {
      if (shape.length === strides.length) return new TensorView(storage, offset, shape, strides);
    }
    return broken("a storage, an offset, sizes and strides", "something else");
  },
  "torch._utils._rebuild_parameter": ([data]) =>
    data instanceof TensorView ? data : broken("a tensor in a parameter", "something else"),
};

/** The machine. */
class Reader {
  #at = 0;
  readonly #view: DataView;
  readonly #stack: Pickled[] = [];
  readonly #memo = new Map<number, Pickled>();
  constructor(private readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }
  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.bytes.length) broken("a whole pickle", `its end at byte ${this.bytes.length}`);
    this.#at += length;
    return start;
  }
  #u8 = (): number => this.#view.getUint8(this.#take(1));
  #u16 = (): number => this.#view.getUint16(this.#take(2), true);
  #u32 = (): number => this.#view.getUint32(this.#take(4), true);
  #text(length: number): string {
    const start = this.#take(length);
    return new TextDecoder().decode(this.bytes.subarray(start, start + length));
  }
  #line(): string {
    const end = this.bytes.indexOf(0x0a, this.#at);
    if (end < 0) broken("a line that ends", "none");
    return this.#text(end + 1 - this.#at).slice(0, -1);
  }
  /** A little-endian integer in two's complement. */
  #long(length: number): number | bigint {
    const start = this.#take(length);
    if (length > 16) broken("integers of at most 16 bytes", String(length));
    let n = 0n;
    for (let i = length - 1; i >= 0; i--) n = n << 8n | BigInt(this.bytes[start + i]!);
    n = BigInt.asIntN(8 * length, n);
    return Number.isSafeInteger(Number(n)) ? Number(n) : n;
  }
  #push(x: Pickled): void {
    if (this.#stack.length > MOST_ITEMS) broken(`at most ${MOST_ITEMS} items`, "more");
    this.#stack.push(x);
  }
  #pop(): Pickled {
    const x = this.#stack.pop();
    return x === undefined ? broken("an item on the stack", "none") : x;
  }
  /** What was pushed since the last mark. */
  #marked(): Pickled[] {
    const at = this.#stack.findLastIndex((x) => x instanceof Mark);
    return at < 0 ? broken("a mark on the stack", "none") : this.#stack.splice(at).slice(1);
  }
  #several(n: number): Pickled[] {
    const items = Array.from({ length: n }, () => this.#pop());
    return items.reverse();
  }
  #remember(place: number): void {
    const top = this.#stack.at(-1);
    this.#memo.set(place, top === undefined ? broken("an item to remember", "none") : top);
  }
  #recall(place: number): void {
    const x = this.#memo.get(place);
    this.#push(x === undefined ? broken("an item remembered before", String(place)) : x);
  }
  #extend(items: readonly Pickled[]): void {
    const list = this.#stack.at(-1);
    if (!Array.isArray(list)) return broken("a list to append to", "something else");
    for (const item of items) list.push(item);
  }
  #setItems(items: readonly Pickled[]): void {
    const map = this.#stack.at(-1);
    if (!(map instanceof Map) || items.length % 2) return broken("a dictionary and pairs", "something else");
    for (let i = 0; i < items.length; i += 2) map.set(items[i]!, items[i + 1]!);
  }
  #call(): void {
    const args = this.#pop(), name = this.#pop();
    const f = name instanceof Global && Object.hasOwn(CALLS, name.name) ? CALLS[name.name] : undefined;
    if (!f || !Array.isArray(args)) {
      return broken("tensors in dictionaries", name instanceof Global ? name.name.slice(0, 80) : "a call of no name");
    }
    this.#push(f(args));
  }
  #storage(): void {
    const id = this.#pop(), [kind, type, key, , length] = Array.isArray(id) ? id : [];
    if (kind !== "storage" || !(type instanceof Global) || typeof key !== "string" || !isSize(length)) {
      return broken("a storage", "another object kept outside");
    }
    this.#push(new Storage(type.name, key, length));
  }
  /** State that an object is given: that of an ordered dictionary (its metadata) changes nothing of what is read. */
  #build(): void {
    this.#pop();
    if (!(this.#stack.at(-1) instanceof Map)) broken("tensors in dictionaries", "an object with a state");
  }
  /** The instructions by their codes. */
  readonly #instructions: Readonly<Record<number, () => void>> = {
    0x80: () => this.#u8(), // PROTO
    0x95: () => this.#take(8), // FRAME
    0x28: () => this.#push(new Mark()),
    0x4e: () => this.#push(null),
    0x88: () => this.#push(true),
    0x89: () => this.#push(false),
    0x4b: () => this.#push(this.#u8()), // BININT1
    0x4d: () => this.#push(this.#u16()), // BININT2
    0x4a: () => this.#push(this.#u32() | 0), // BININT
    0x8a: () => this.#push(this.#long(this.#u8())), // LONG1
    0x47: () => this.#push(this.#view.getFloat64(this.#take(8))), // BINFLOAT
    0x58: () => this.#push(this.#text(this.#u32())), // BINUNICODE
    0x8c: () => this.#push(this.#text(this.#u8())), // SHORT_BINUNICODE
    0x55: () => this.#push(this.#text(this.#u8())), // SHORT_BINSTRING
    0x7d: () => this.#push(new Map()),
    0x5d: () => this.#push([]),
    0x29: () => this.#push([]), // EMPTY_TUPLE
    0x74: () => this.#push(this.#marked()), // TUPLE
    0x85: () => this.#push(this.#several(1)),
    0x86: () => this.#push(this.#several(2)),
    0x87: () => this.#push(this.#several(3)),
    0x61: () => this.#extend([this.#pop()]), // APPEND
    0x65: () => this.#extend(this.#marked()), // APPENDS
    0x73: () => this.#setItems(this.#several(2)), // SETITEM
    0x75: () => this.#setItems(this.#marked()), // SETITEMS
    0x71: () => this.#remember(this.#u8()), // BINPUT
    0x72: () => this.#remember(this.#u32()), // LONG_BINPUT
    0x94: () => this.#remember(this.#memo.size), // MEMOIZE
    0x68: () => this.#recall(this.#u8()), // BINGET
    0x6a: () => this.#recall(this.#u32()), // LONG_BINGET
    0x63: () => this.#push(new Global(`${this.#line()}.${this.#line()}`)), // GLOBAL
    0x93: () => { // STACK_GLOBAL
      const [module, name] = this.#several(2);
      if (typeof module !== "string" || typeof name !== "string") return broken("a name", "something else");
      this.#push(new Global(`${module}.${name}`));
    },
    0x52: () => this.#call(), // REDUCE
    0x51: () => this.#storage(), // BINPERSID
    0x62: () => this.#build(), // BUILD
  };
  run(): Pickled {
    for (;;) {
      const code = this.#u8();
      if (code === 0x2e) return this.#pop();
      const instruction = this.#instructions[code];
      if (!instruction) return broken("the instructions that tensors need", `0x${code.toString(16)}`);
      instruction();
    }
  }
}
/**
 * What a pickle builds.
 * @throws CheckpointError for everything but dictionaries, lists, scalars and tensors.
 */
export function readPickle(bytes: Uint8Array): Pickled {
  return new Reader(bytes).run();
}
/** The tensors in dictionaries and lists, by their path: keys and indices joined by dots. */
export function tensorsOf(root: Pickled): Map<string, TensorView> {
  const found = new Map<string, TensorView>();
  let items = 0;
  const walk = (x: Pickled, path: string, depth: number): void => {
    if (depth > MAX_DEPTH || ++items > MOST_ITEMS) {
      broken(`${MAX_DEPTH} levels and ${MOST_ITEMS} items at most`, "more");
    }
    if (x instanceof TensorView) {
      if (found.has(path)) broken("each name once", `${path.slice(0, 80)} twice`);
      found.set(path, x);
    }
    const inner = (key: Pickled) => path === "" ? String(key) : `${path}.${String(key)}`;
    if (x instanceof Map) {
      for (const [key, value] of x) {
        if (typeof key === "string" || typeof key === "number") walk(value, inner(key), depth + 1);
      }
    } else if (Array.isArray(x)) x.forEach((value, i) => walk(value, inner(i), depth + 1));
  };
  walk(root, "", 0);
  return found;
}
