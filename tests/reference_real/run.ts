/**
 * Replays the record of a real model: `deno task reference:real MODEL DIR [--filter TEXT] [--quick] [--quiet]`.
 *
 * DIR holds `tokenizer.json` (texts and chats), `reference.json` and `hidden.safetensors` (float32), and `folders.json`
 * (other variants of the weights). MODEL is one model, a folder or a GGUF file, or a folder of variants whose names end
 * in `-f32`, `-4bit`, ... A model with other weights than the record's, by its config, is held against its own lines of
 * `folders.json`. `--quick` takes short prompts and
 * few tokens. The last line is `N passed, N failed`.
 * @module
 */
import { type Library, loadLibrary } from "../reference/library.ts";
import { perturbCount } from "../reference/perturb.ts";
import { type Check, commandLine, Report, runChecks } from "../reference/report.ts";
import { hostArray, readTensors } from "../reference/safetensors_reader.ts";
import { jsonMismatch, numbersMismatch } from "../reference_lm/compare.ts";
import { RealModel } from "./model.ts";

const USAGE = "usage: deno task reference:real MODEL DIR [--filter TEXT] [--quick] [--quiet] [--perturb N]";
const ROOMS: Readonly<Record<string, string>> = { mx: "core", nn: "nn", optim: "optimizers", lm: "lm" };
const EXACT = { atol: 0, rtol: 0 };
const QUICK_PROMPT = 110, QUICK_TOKENS = 12;
/** By compute dtype: the margin below which greedy ids may part, and allowed distances. */
const LIMITS: Readonly<Record<string, { readonly tie: number; readonly logits: number; readonly logprob: number }>> = {
  float32: { tie: 0.01, logits: 0.005, logprob: 0.005 },
  float16: { tie: 0.1, logits: 0.1, logprob: 0.08 },
  bfloat16: { tie: 0.6, logits: 0.6, logprob: 0.5 },
};
const NLL = 0.005, MEAN_NLL = 0.0005, HIDDEN = 2e-4;

interface Expected {
  readonly tokens: readonly number[];
  readonly logprobs: readonly number[];
  readonly margins: readonly number[];
  readonly last: { readonly ids: readonly number[]; readonly logits: readonly number[]; readonly logsumexp: number };
  readonly nll: readonly number[];
  readonly mean_nll: number;
}
interface RealCase {
  readonly id: string;
  readonly kind: "greedy" | "hidden" | "perplexity";
  readonly prompt?: string;
  readonly prompt_ids?: readonly number[];
  readonly ids?: readonly number[];
  readonly max_tokens?: number;
  readonly array?: string;
  readonly expect: Expected;
}
interface FolderCase {
  readonly variant: string;
  readonly dtype: string;
  readonly prompt?: string;
  readonly perplexity_of?: string;
  readonly max_tokens?: number;
  readonly expect: Expected;
}
interface TokenizerRecord {
  readonly strings: readonly { readonly text: string; readonly ids: readonly number[]; readonly decoded: string }[];
  readonly chats: readonly {
    readonly messages: readonly unknown[];
    readonly add_generation_prompt: boolean;
    readonly text: string;
    readonly ids: readonly number[];
  }[];
}
const far = (got: readonly number[], want: readonly number[], limit: number, what: string): string | null => {
  const why = numbersMismatch(got, want, { atol: limit, rtol: 0 });
  return why === null ? null : `${what}: ${why}`;
};
const mean = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0) / x.length;

async function greedyMismatch(
  model: RealModel,
  ids: readonly number[],
  want: Expected,
  dtype: string,
  count: number,
): Promise<string | null> {
  const limits = LIMITS[dtype];
  if (limits === undefined) throw new Error(`no limits for ${dtype}`);
  const got = await model.greedy(ids, count),
    tie = want.margins.slice(0, count).findIndex((m) => m < limits.tie),
    n = tie < 0 ? count : tie;
  const why = jsonMismatch(got.tokens.slice(0, n), want.tokens.slice(0, n), EXACT, "ids");
  if (why !== null) return why;
  const values = new Map(got.last.ids.map((id, i) => [id, got.last.logits[i] ?? NaN]));
  const shared = want.last.ids.map((_, i) => i).filter((i) => values.has(want.last.ids[i] ?? -1));
  if (shared.length < 0.8 * want.last.ids.length) return "other best tokens";
  const mine = shared.map((i) => values.get(want.last.ids[i] ?? -1) ?? NaN),
    theirs = shared.map((i) => want.last.logits[i] ?? NaN);
  return far(mine, theirs, limits.logits, "logits") ??
    far([got.last.logsumexp], [want.last.logsumexp], limits.logits, "logsumexp") ??
    far(got.logprobs.slice(0, n), want.logprobs.slice(0, n), limits.logprob, "logprobs");
}

/** Rows relative to the largest value of each. */
async function hiddenMismatch(model: RealModel, folder: string, c: RealCase): Promise<string | null> {
  const raw = readTensors(`${folder}/hidden.safetensors`).get(c.array ?? "");
  if (raw === undefined) throw new Error(`hidden.safetensors has no ${c.array}`);
  const { data, shape: [rows = 0, width = 0] } = hostArray(raw), got = await model.hidden(c.prompt_ids ?? []);
  if (got.length !== rows) return `${got.length} rows instead of ${rows}`;
  for (let r = 0; r < rows; r++) {
    const want = Array.from({ length: width }, (_, i) => Number(data[r * width + i]));
    const largest = want.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    const why = far(got[r] ?? [], want, HIDDEN * largest, `row ${r}`);
    if (why !== null) return why;
  }
  return null;
}

/** What `quantization` of a config may be here: one setting for all, or one per path. */
interface Weights {
  readonly torch_dtype?: string;
  readonly quantization?: { readonly bits?: number } & Readonly<Record<string, unknown>>;
}
/** Which weights a model has. A GGUF file, and a folder with a setting per path, hold the record's weights exactly. */
function variantOf(path: string): string {
  if (!Deno.statSync(path).isDirectory) return "f32";
  const { torch_dtype, quantization }: Weights = JSON.parse(Deno.readTextFileSync(`${path}/config.json`));
  if (quantization) {
    return Object.values(quantization).some((v) => typeof v === "object") ? "f32" : `${quantization.bits}bit`;
  }
  return torch_dtype === "bfloat16" ? "bf16" : torch_dtype === "float16" ? "f16" : "f32";
}

/** Replays one directory of records on one model, or on a folder of variants. */
class Replay {
  private loaded: { readonly key: string; readonly model: Promise<RealModel> } | undefined;
  private readonly cases: readonly RealCase[];
  /** Which weights MODEL has, if it is one model; `f32` stands for all that are exactly those of the record. */
  private readonly variant: string;
  constructor(
    private readonly lib: Library,
    private readonly models: string,
    private readonly folder: string,
    private readonly quick: boolean,
  ) {
    const reference: { readonly cases: readonly RealCase[] } = this.json("reference.json");
    this.cases = reference.cases;
    this.variant = this.isModel() ? variantOf(models) : "f32";
  }
  private json<T>(name: string): T {
    return JSON.parse(Deno.readTextFileSync(`${this.folder}/${name}`));
  }
  /** The model of a variant: MODEL itself if it is one. */
  private pathOf(variant: string): string | undefined {
    if (this.isModel()) return variant === this.variant ? this.models : undefined;
    const found = [...Deno.readDirSync(this.models)].find((e) => e.isDirectory && e.name.endsWith(`-${variant}`));
    return found && `${this.models}/${found.name}`;
  }
  private isModel(): boolean {
    return !Deno.statSync(this.models).isDirectory ||
      [...Deno.readDirSync(this.models)].some((e) => e.name === "config.json");
  }
  /** One model at a time. */
  private model(variant: string, dtype: string): Promise<RealModel> {
    const key = `${variant} ${dtype}`;
    if (this.loaded?.key !== key) {
      const path = this.pathOf(variant);
      if (path === undefined) throw new Error(`${this.models} has no variant ${variant}`);
      this.loaded = { key, model: RealModel.load(this.lib, path, dtype === "float32") };
    }
    return this.loaded.model;
  }

  /** All checks, the base model's first. */
  checks(): Check[] {
    return [...this.texts(), ...this.variant === "f32" ? this.base() : [], ...this.variants()];
  }
  private encode(model: RealModel, text: string): unknown {
    return this.lib.method(model.tokenizer, "encode", text, { addSpecialTokens: false });
  }
  private texts(): Check[] {
    const record: TokenizerRecord = this.json("tokenizer.json"),
      base = (): Promise<RealModel> => this.model(this.variant, this.variant === "bf16" ? "bfloat16" : "float32");
    const strings = record.strings.map((c, i): Check => ({
      id: `string[${i}]`,
      group: "tokenizer",
      run: async () => {
        const model = await base(),
          decoded = this.lib.method(model.tokenizer, "decode", c.ids, { skipSpecialTokens: false });
        return jsonMismatch({ ids: this.encode(model, c.text), decoded }, { ids: c.ids, decoded: c.decoded }, EXACT);
      },
    }));
    const chats = record.chats.map((c, i): Check => ({
      id: `chat[${i}]`,
      group: "tokenizer",
      run: async () => {
        const model = await base(), options = { addGenerationPrompt: c.add_generation_prompt };
        const text = this.lib.method(model.tokenizer, "renderChat", c.messages, options);
        return jsonMismatch({ text, ids: this.encode(model, String(text)) }, { text: c.text, ids: c.ids }, EXACT);
      },
    }));
    return [...strings, ...chats];
  }
  private isLong(ids: readonly number[]): boolean {
    return this.quick && ids.length > QUICK_PROMPT;
  }
  private count(c: RealCase | FolderCase): number {
    return this.quick ? QUICK_TOKENS : c.max_tokens ?? 0;
  }
  private base(): Check[] {
    return this.cases.filter((c) => !this.isLong(c.prompt_ids ?? c.ids ?? [])).map((c) => ({
      id: c.id,
      group: c.kind,
      run: async () => {
        const model = await this.model("f32", "float32");
        if (c.kind === "hidden") return await hiddenMismatch(model, this.folder, c);
        if (c.kind === "perplexity") {
          const nll = await model.surprisal(c.ids ?? []);
          return far(nll, c.expect.nll, NLL, "nll") ?? far([mean(nll)], [c.expect.mean_nll], MEAN_NLL, "mean nll");
        }
        const ids = c.prompt_ids ?? [];
        const why = c.prompt === undefined
          ? null
          : jsonMismatch(this.encode(model, c.prompt), ids, EXACT, "prompt ids");
        return why ?? await greedyMismatch(model, ids, c.expect, "float32", this.count(c));
      },
    }));
  }
  private variants(): Check[] {
    const record: { readonly cases: readonly FolderCase[] } = this.json("folders.json");
    const idsOf = (c: FolderCase): readonly number[] => {
      const base = this.cases.find((x) => x.id === (c.prompt ?? c.perplexity_of));
      return base?.prompt_ids ?? base?.ids ?? [];
    };
    return record.cases.filter((c) => this.pathOf(c.variant) !== undefined && !this.isLong(idsOf(c))).map((c) => ({
      id: `${c.variant}/${c.dtype}/${c.prompt ?? c.perplexity_of}`,
      group: c.variant,
      run: async () => {
        const model = await this.model(c.variant, c.dtype);
        if (c.prompt !== undefined) return await greedyMismatch(model, idsOf(c), c.expect, c.dtype, this.count(c));
        return far([mean(await model.surprisal(idsOf(c)))], [c.expect.mean_nll], MEAN_NLL, "mean nll");
      },
    }));
  }
}

/** Runs the command line; the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const line = commandLine(args, USAGE, { options: ["filter", "perturb"], flags: ["quick", "quiet"] }),
    [models, folder] = line.folders,
    perturb = perturbCount(line.options.get("perturb"));
  if (models === undefined || folder === undefined || line.folders.length > 2 || perturb === null) {
    console.error(USAGE);
    return 2;
  }
  const lib = await loadLibrary(ROOMS), filter = line.options.get("filter") ?? "";
  const checks = new Replay(lib, models.replace(/\/+$/, ""), folder, line.flags.has("quick")).checks().filter((x) =>
    x.id.includes(filter)
  );
  const report = new Report(checks.length, line.flags.has("quiet"));
  await runChecks(checks, report, { left: perturb });
  return report.finish();
}
