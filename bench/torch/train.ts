/**
 * Training with Denim on request; requests and answers are those of `train.py`.
 * @module
 */
import { cpuUsage } from "node:process";
import * as mx from "../../mod.ts";
import * as nn from "../../nn/mod.ts";
import { TextLineStream } from "../lines.ts";
import { type Data, type Subject, subjects } from "./models.ts";

/** A model in training. */
class Run {
  readonly #subject: Subject;
  readonly #step: (x: mx.NDArray, y: mx.NDArray) => mx.NDArray;
  #next = 0;
  /** Reads the data and the weights that PyTorch starts from. */
  constructor(work: string, folder: string) {
    const data: Data = mx.load(`${folder}/data.safetensors`);
    this.#subject = subjects[work]!(data);
    const { model, optimizer, loss } = this.#subject, lossAndGrad = nn.valueAndGrad(model, loss);
    model.loadWeights(`${folder}/initial.safetensors`);
    model.apply((x) => x.add(0)); // a mapped file cannot be written in place
    optimizer.init(model.trainableParameters());
    mx.eval(data, model.parameters(), optimizer.state);
    const state = [model, optimizer];
    this.#step = mx.compile((x: mx.NDArray, y: mx.NDArray) => {
      const [value, grads] = lossAndGrad(x, y);
      optimizer.update(model, grads);
      return value;
    }, { inputs: state, outputs: state });
  }
  steps(count: number): object {
    const start = performance.now(), before = cpuUsage(), losses: number[] = [];
    for (let i = 0; i < count; i++) losses.push(Number(this.#step(...this.#subject.batch(this.#next++)).item()));
    const seconds = (performance.now() - start) / 1000, { user, system } = cpuUsage(before);
    return { seconds, cpu: (user + system) / 1e6, losses, peak: peak() };
  }
  accuracy(): number {
    return this.#subject.accuracy?.() ?? NaN;
  }
}
/** The most memory that the process ever had resident. */
function peak(): number {
  const kib = /VmHWM:\s*(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))?.[1];
  return 1024 * Number(kib);
}

/** What may be asked. */
interface Request {
  readonly work?: string;
  readonly folder?: string;
  readonly steps?: number;
}
let run: Run | null = null;
const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream());
for await (const line of lines) {
  const { work, folder, steps }: Request = JSON.parse(line);
  if (work !== undefined && folder !== undefined) run = new Run(work, folder);
  const answer = work !== undefined ? { ready: true } : steps ? run!.steps(steps) : { accuracy: run!.accuracy() };
  console.log(JSON.stringify(answer));
}
