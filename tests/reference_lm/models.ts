/**
 * Cases that run a model: logits, generation of every kind, perplexity, evaluation and training.
 * @module
 */
import { Caller } from "../reference/calls.ts";
import { camel, isList, type Library } from "../reference/library.ts";
import { type HostArray, hostArray, readTensors } from "../reference/safetensors_reader.ts";
import { flatten, unflatten } from "../reference/values.ts";
import { type LmCase, type LmResult, type Options, read32 } from "./cases.ts";
import { processorOptions } from "./groups.ts";

const OPTIMIZERS: Readonly<Record<string, string>> = {
  sgd: "SGD",
  adam: "Adam",
  adamw: "AdamW",
  adafactor: "Adafactor",
};

/** Options of Python's call under their names here. */
const camelKeys = (o: Options = {}): Record<string, unknown> =>
  Object.fromEntries(Object.entries(o).map(([k, v]) => [camel(k), v]));
const numbersOf = (x: unknown): number[] => isList(x) ? x.map(Number) : [];
const tokensOf = (c: LmCase): readonly number[] => typeof c.prompt === "string" ? [] : c.prompt ?? [];

/** A model and its tokenizer, as `lm.load` gives them. */
interface Loaded {
  readonly model: unknown;
  readonly tokenizer: unknown;
}

/** Runs the cases of one model's folder; models stay loaded until the folder is done. */
export class Models {
  private readonly loaded = new Map<string, Loaded>();
  private readonly caller: Caller;
  constructor(private readonly lib: Library, private readonly folder: string) {
    this.caller = new Caller(lib);
  }

  private async load(folder: string, adapter?: string, fresh = false): Promise<Loaded> {
    const key = `${folder} ${adapter}`, known = this.loaded.get(key);
    if (known !== undefined && !fresh) return known;
    const options = adapter === undefined ? [] : [{ adapterPath: `${folder}/${adapter}` }];
    const pair = await this.lib.call("lm.load", folder, ...options);
    const loaded = { model: this.lib.property(pair, "model"), tokenizer: this.lib.property(pair, "tokenizer") };
    if (!fresh) this.loaded.set(key, loaded);
    return loaded;
  }
  private async model(c: LmCase): Promise<unknown> {
    return (await this.load(this.folder, c.adapter)).model;
  }
  private ints(data: readonly number[], shape: readonly number[] = [data.length]): unknown {
    return this.lib.method(this.lib.call("mx.array", Int32Array.from(data)), "reshape", shape);
  }

  /** One forward without a cache, or pieces of the prompt with one. */
  async logits(c: LmCase): Promise<LmResult> {
    const model = c.fuse === undefined ? await this.model(c) : await this.fused(c), prompt = tokensOf(c);
    const cache = c.chunk === undefined ? [] : [{ cache: await this.lib.call("lm.makePromptCache", model) }];
    const size = c.chunk ?? prompt.length, pieces: HostArray[] = [];
    for (let i = 0; i < prompt.length; i += size) {
      const piece = prompt.slice(i, i + size);
      pieces.push(
        await read32(this.lib, this.lib.method(model, "forward", this.ints(piece, [1, piece.length]), ...cache)),
      );
    }
    const vocabulary = pieces[0]?.shape.at(-1) ?? 0, all = pieces.flatMap((p) => Array.from(p.data, Number));
    const kept = c.positions === "last" ? all.slice(-vocabulary) : all;
    return {
      json: {},
      arrays: {
        logits: { dtype: "float32", shape: [kept.length / vocabulary, vocabulary], data: Float32Array.from(kept) },
      },
    };
  }
  /** The model with its adapter fused in memory. */
  private async fused(c: LmCase): Promise<unknown> {
    const dequantize = c.fuse === "dequantize", { model } = await this.load(this.folder, c.adapter, true);
    const layers = this.lib.method(model, "namedModules"), fused: [string, unknown][] = [];
    for (const entry of isList(layers) ? layers : []) {
      const [name, layer] = isList(entry) ? entry : [];
      if (layer === null || typeof layer !== "object" || !("fuse" in layer)) continue;
      fused.push([String(name), this.lib.method(layer, "fuse", { dequantize })]);
    }
    this.lib.method(model, "updateModules", unflatten(fused));
    return dequantize ? await this.lib.call("lm.dequantizeModel", model) ?? model : model;
  }

  /** `generateStep`: tokens, their log-probabilities, and the margin to the next best. */
  async generate(c: LmCase): Promise<LmResult> {
    const model = await this.model(c),
      options: Record<string, unknown> = { ...camelKeys(c.kwargs), maxTokens: c.max_tokens };
    if (c.seed !== undefined) this.caller.call("random.seed", [c.seed]);
    if (c.sampler !== undefined) options.sampler = await this.lib.call("lm.makeSampler", camelKeys(c.sampler));
    if (c.processors !== undefined) {
      options.logitsProcessors = await this.lib.call("lm.makeLogitsProcessors", processorOptions(c.processors));
    }
    const cache = await this.promptCache(c, model);
    if (cache !== null) options.promptCache = cache;
    const tokens: number[] = [], logprobs: number[] = [], margins: number[] = [];
    for await (
      const [token, logs] of this.steps(this.lib.call("lm.generateStep", this.ints(tokensOf(c)), model, options))
    ) {
      const { data } = await read32(this.lib, logs), sorted = Array.from(data, Number).sort((a, b) => b - a);
      tokens.push(await this.token(token));
      logprobs.push(Number(data[tokens.at(-1) ?? 0]));
      margins.push((sorted[0] ?? 0) - (sorted[1] ?? 0));
    }
    return { json: { tokens, logprobs, margins }, arrays: {} };
  }
  private async promptCache(c: LmCase, model: unknown): Promise<unknown> {
    if (c.prompt_cache_file !== undefined) {
      return await this.lib.call("lm.loadPromptCache", `${this.folder}/${c.prompt_cache_file}`);
    }
    if (c.cache === undefined || c.cache === "default") return null;
    const { max_size: size, keep } = c.cache.rotating, layers = this.lib.property(model, "layers");
    return (isList(layers) ? layers : []).map(() => this.lib.construct("lm.RotatingKVCache", size, { keep }));
  }
  /** What a generator yields, whether it is asynchronous or not. */
  private async *steps(generator: unknown): AsyncGenerator<readonly unknown[]> {
    for (;;) {
      const next = await this.lib.method(generator, "next");
      if (next === null || typeof next !== "object" || !("done" in next) || next.done === true) return;
      const value = this.lib.property(next, "value");
      yield isList(value) ? value : [value];
    }
  }
  /** A token, which may be an array still. */
  private async token(x: unknown): Promise<number> {
    return typeof x === "number" ? x : Number((await read32(this.lib, x)).data[0]);
  }

  /** `batchGenerate` with these tokens as the only ends. */
  async batch(c: LmCase): Promise<LmResult> {
    const { model, tokenizer } = await this.load(this.folder);
    const result = await this.withEnds(
      tokenizer,
      c.stop_token_ids ?? [],
      false,
      () =>
        this.lib.call("lm.batchGenerate", model, tokenizer, c.prompts, {
          maxTokens: c.max_tokens,
          returnTokenIds: true,
          returnLogprobs: true,
          ...camelKeys(c.kwargs),
        }),
    );
    const logprobs = this.lib.property(result, "logprobs");
    return {
      json: {
        tokens: this.lib.property(result, "tokenIds"),
        logprobs: isList(logprobs) ? logprobs.map(numbersOf) : logprobs,
      },
      arrays: {},
    };
  }
  /** Runs with other end tokens, and restores them. */
  private async withEnds(
    tokenizer: unknown,
    ids: readonly number[],
    add: boolean,
    run: () => unknown,
  ): Promise<unknown> {
    const ends = this.lib.property(tokenizer, "eosTokenIds");
    if (!(ends instanceof Set)) throw new Error("eosTokenIds is no set");
    const before = [...ends];
    if (!add) ends.clear();
    for (const id of ids) ends.add(id);
    try {
      return await run();
    } finally {
      ends.clear();
      for (const id of before) ends.add(id);
    }
  }

  /** Tokens, and which of them the draft model proposed. */
  async speculative(c: LmCase): Promise<LmResult> {
    const model = await this.model(c), { model: draft } = await this.load(`${this.folder}/../${c.draft}`);
    const generator = this.lib.call("lm.speculativeGenerateStep", this.ints(tokensOf(c)), model, draft, {
      numDraftTokens: c.num_draft_tokens,
      maxTokens: c.max_tokens,
    });
    const tokens: number[] = [], fromDraft: boolean[] = [];
    for await (const [token, , drafted] of this.steps(generator)) {
      tokens.push(await this.token(token));
      fromDraft.push(Boolean(drafted));
    }
    return { json: { tokens, from_draft: fromDraft }, arrays: {} };
  }

  /** The pieces of text of `streamGenerate`. */
  async stream(c: LmCase): Promise<LmResult> {
    const { model, tokenizer } = await this.load(this.folder), segments: [string, number, string | null][] = [];
    await this.withEnds(tokenizer, c.extra_eos ?? [], true, async () => {
      const generator = this.lib.call("lm.streamGenerate", model, tokenizer, c.prompt, {
        maxTokens: c.max_tokens,
        ...camelKeys(c.kwargs),
      });
      for await (const [piece] of this.steps(generator)) {
        const reason = piece !== null && typeof piece === "object" && "finishReason" in piece
          ? piece.finishReason
          : null;
        segments.push([
          String(this.lib.property(piece, "text")),
          Number(this.lib.property(piece, "token")),
          typeof reason === "string" ? reason : null,
        ]);
      }
    });
    return { json: { segments, text: segments.map(([text]) => text).join("") }, arrays: {} };
  }

  /** Perplexity and its standard error. */
  async perplexity(c: LmCase): Promise<LmResult> {
    const rows = typeof c.data === "string" ? [] : c.data ?? [],
      data = this.ints(rows.flat(), [rows.length, rows[0]?.length ?? 0]);
    const [ppl, stderr] = numbersOf(
      await this.lib.call("lm.evalPpl", await this.model(c), data, { batchSize: c.batch_size }),
    );
    return { json: { ppl, stderr }, arrays: {} };
  }

  /** The loss over a data set. */
  async evaluate(c: LmCase): Promise<LmResult> {
    const { model, tokenizer } = await this.load(this.folder, c.adapter);
    const sets = await this.lib.call("lm.loadLocalDataset", `${this.folder}/${c.data}`, tokenizer, {
      maskPrompt: false,
    });
    const raw = isList(sets) ? sets[["train", "valid", "test"].indexOf(c.split ?? "test")] : undefined;
    const data = this.lib.construct("lm.CacheDataset", raw), count = Number(this.lib.property(data, "length"));
    const loss = await this.lib.call("lm.evaluate", model, data, {
      batchSize: c.batch_size,
      numBatches: -1,
      maxSeqLength: c.max_seq_length,
    });
    const rows = Array.from({ length: count }, (_, i) => this.lib.method(data, "get", i));
    return {
      json: { loss: Number(loss), num_tokens: rows.map((r) => isList(r) ? numbersOf(r[0]).length : -1) },
      arrays: {},
    };
  }

  /** Some steps of training on one batch: losses before each step, norms of the gradients, and what was trained. */
  async train(c: LmCase): Promise<LmResult> {
    const { lib } = this, { model } = await this.load(this.folder, undefined, true);
    lib.method(model, "freeze");
    if (c.mode === "full") {
      const layers = lib.property(model, "layers");
      for (const layer of isList(layers) ? layers.slice(-(c.num_layers ?? 1)) : []) lib.method(layer, "unfreeze");
    } else {
      await lib.call("lm.linearToLoraLayers", model, c.num_layers, c.lora_parameters, { useDora: c.mode === "dora" });
      this.fill(model, `${this.folder}/${c.init}`);
    }
    lib.method(model, "train");
    const optimizer = lib.construct(`optim.${OPTIMIZERS[c.optimizer ?? ""]}`, ...this.optimizerArguments(c));
    const batch = this.matrix(c.batch ?? []), lengths = this.matrix(c.lengths ?? []);
    const step = this.caller.function(
      lib.call("nn.valueAndGrad", model, () => lib.call("lm.defaultLoss", model, batch, lengths)),
    );
    const losses: number[] = [], norms: number[] = [];
    let tokens = 0;
    for (let i = 0; i < (c.steps ?? 0); i++) {
      const [values, grads] = [...this.pair(step())], [loss, count] = this.pair(values);
      norms.push(await this.norm(grads));
      losses.push(Number((await read32(lib, loss)).data[0]));
      tokens = Number((await read32(lib, count)).data[0]);
      lib.method(optimizer, "update", model, grads);
      lib.call("mx.eval", lib.method(model, "parameters"));
    }
    const trained = flatten(lib.method(model, "trainableParameters")), arrays: Record<string, HostArray> = {};
    for (const [k, v] of trained) if (c.keep?.some((part) => k.includes(part))) arrays[k] = await read32(lib, v);
    return { json: { losses, grad_norms: norms, ntoks: tokens, trainable: trained.map(([k]) => k) }, arrays };
  }
  private optimizerArguments(c: LmCase): unknown[] {
    const { learning_rate: rate, ...options } = c.optimizer_args ?? {};
    if (c.optimizer === "adafactor") return [camelKeys(c.optimizer_args)];
    return Object.keys(options).length > 0 ? [rate, camelKeys(options)] : [rate];
  }
  private fill(model: unknown, path: string): void {
    const weights = [...readTensors(path)].map(([name, raw]) => [name, this.lib.array(hostArray(raw))]);
    this.lib.method(model, "loadWeights", weights, { strict: false });
  }
  private matrix(rows: readonly (readonly number[])[]): unknown {
    return this.ints(rows.flat(), [rows.length, rows[0]?.length ?? 0]);
  }
  private pair(x: unknown): readonly unknown[] {
    if (!isList(x)) throw new Error("a pair was expected");
    return x;
  }
  /** The length of all gradients as one vector. */
  private async norm(grads: unknown): Promise<number> {
    let squares = 0;
    for (const [, g] of flatten(grads)) {
      const sum = this.caller.call("sum", [this.caller.call("square", [g])]);
      squares += Number((await read32(this.lib, sum)).data[0]);
    }
    return Math.sqrt(squares);
  }

  /** Loading has to fail. */
  async loadError(c: LmCase): Promise<LmResult> {
    await this.load(`${this.folder}/${c.path}`, undefined, true);
    return { json: { error: null }, arrays: {} };
  }
}
