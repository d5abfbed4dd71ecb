/**
 * config.json read with checks: every field that a model needs is there and of the right kind, or the error names the
 * field, what it should hold and what it holds. A null counts as absent, as most exporters mean it.
 * @module
 */
import { CheckpointError, fail } from "../core/errors.ts";
import { isRecord, type Json, type JsonRecord, shown } from "../core/io/json.ts";

/** What a field may hold. */
interface Kind<T extends Json> {
  readonly expected: string;
  readonly is: (x: Json) => x is T;
}
const isNumber = (x: Json): x is number => typeof x === "number" && Number.isFinite(x);
const POSITIVE: Kind<number> = {
  expected: "a positive integer",
  is: (x): x is number => isNumber(x) && Number.isSafeInteger(x) && x > 0,
};
const NUMBER: Kind<number> = { expected: "a number", is: isNumber };
const FLAG: Kind<boolean> = { expected: "true or false", is: (x) => typeof x === "boolean" };
const TEXT: Kind<string> = { expected: "a text", is: (x) => typeof x === "string" };
const TEXTS: Kind<readonly string[]> = {
  expected: "a list of texts",
  is: (x): x is readonly string[] => Array.isArray(x) && x.every((item) => typeof item === "string"),
};
const NUMBERS: Kind<readonly number[]> = {
  expected: "a list of numbers",
  is: (x): x is readonly number[] => Array.isArray(x) && x.every(isNumber),
};

/**
 * A JSON object with typed fields. A method's second argument is what an absent field means; without it the field must
 * be there.
 *
 * @example
 * ```ts
 * import { Config } from "@denim/ml/lm";
 * const config = new Config({ hidden_size: 64, rope_scaling: { factor: 2 } });
 * config.size("hidden_size"); // 64
 * config.size("num_key_value_heads", 4); // 4
 * config.object("rope_scaling").number("factor"); // 2
 * // config.text("model_type") throws: cannot use model_type of config.json: expected a text, got nothing
 * ```
 */
export class Config {
  /** Reads `json`; `where` is what errors call it. */
  constructor(
    /** The object as it is in the file. */
    readonly json: JsonRecord,
    /** Name of the object in errors. */
    readonly where: string = "config.json",
  ) {}

  /** The same with other values for some fields. */
  with(fields: JsonRecord): Config {
    return new Config({ ...this.json, ...fields }, this.where);
  }
  /** The same with values for fields that are absent. */
  withDefaults(fields: JsonRecord): Config {
    return this.with(Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, this.json[k] ?? v])));
  }
  /** Throws: the field holds something else. */
  refuse(name: string, expected: string, got: string = shown(this.json[name])): never {
    return fail(CheckpointError, "load", {
      cannot: `use ${name} of ${this.where}`,
      expected,
      got,
      fix: "correct the field, or fetch the model again",
    });
  }
  #read<T extends Json, D>(name: string, { expected, is }: Kind<T>, otherwise: readonly D[]): T | D {
    const x = this.json[name] ?? null;
    if (x !== null) return is(x) ? x : this.refuse(name, expected);
    const [absent] = otherwise;
    return absent === undefined ? this.refuse(name, expected, "nothing") : absent;
  }
  /** An integer above 0: a size, a count. */
  size<D = never>(name: string, ...otherwise: [] | [D]): number | D {
    return this.#read(name, POSITIVE, otherwise);
  }
  /** Any finite number. */
  number<D = never>(name: string, ...otherwise: [] | [D]): number | D {
    return this.#read(name, NUMBER, otherwise);
  }
  /** True or false. */
  flag<D = never>(name: string, ...otherwise: [] | [D]): boolean | D {
    return this.#read(name, FLAG, otherwise);
  }
  /** A text. */
  text<D = never>(name: string, ...otherwise: [] | [D]): string | D {
    return this.#read(name, TEXT, otherwise);
  }
  /** A list of texts. */
  texts<D = never>(name: string, ...otherwise: [] | [D]): readonly string[] | D {
    return this.#read(name, TEXTS, otherwise);
  }
  /** A list of numbers. */
  numbers<D = never>(name: string, ...otherwise: [] | [D]): readonly number[] | D {
    return this.#read(name, NUMBERS, otherwise);
  }
  /** An object, with checks like this one. */
  object<D = never>(name: string, ...otherwise: [] | [D]): Config | D {
    const x = this.json[name] ?? null, [absent] = otherwise;
    if (isRecord(x)) return new Config(x, `${name} of ${this.where}`);
    if (x === null && absent !== undefined) return absent;
    return this.refuse(name, "an object", x === null ? "nothing" : shown(x));
  }
}
