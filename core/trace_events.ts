/**
 * A recording in the trace-event format, which Perfetto (ui.perfetto.dev) and `chrome://tracing` open: a track for the
 * thread of JavaScript, one for each stream with its programs and in them the kernels, and the bytes in use as a curve.
 * @module
 */
import { type Span, submission, wholeProgram } from "../ffi/runtime.ts";
import { type KernelInfo, programKey, type Recorded } from "./recording.ts";

/** One event; times are microseconds. */
export interface TraceEvent {
  /** What happened. */
  readonly name: string;
  /** `X` something that lasts, `C` a value that changes, `M` a name of a track. */
  readonly ph: "X" | "C" | "M";
  /** When it began. */
  readonly ts: number;
  /** How long it took. */
  readonly dur: number;
  /** Process: there is one. */
  readonly pid: number;
  /** Track: 0 the thread of JavaScript, from 1 on the streams. */
  readonly tid: number;
  /** `host`, `program` or `kernel`. */
  readonly cat?: string;
  /** Facts that the viewer shows. */
  readonly args?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}
/** What a file holds. */
export interface Trace {
  /** By their begin, outer ones first. */
  readonly traceEvents: readonly TraceEvent[];
  /** The viewer's unit. */
  readonly displayTimeUnit: "ms";
  /** Facts about the machine. */
  readonly otherData: Readonly<Record<string, string | number>>;
}

const PID = 1, JAVASCRIPT = 0;
const streamTrack = (stream: number): number => 1 + stream;

/** The recording as events, with facts about the machine. `deviceOf` names the device of a stream. */
export function traceOf(
  r: Recorded,
  deviceOf: (stream: number) => string,
  facts: Readonly<Record<string, string | number>>,
): Trace {
  const at = (ms: number) => Math.round((ms - r.begin) * 1e6) / 1e3;
  const lasting = (name: string, cat: string, tid: number, begin: number, end: number, args?: TraceEvent["args"]) => {
    const ts = at(begin);
    return {
      name,
      cat,
      ph: "X" as const,
      ts,
      dur: Math.max(0, Math.round((at(end) - ts) * 1e3) / 1e3),
      pid: PID,
      tid,
      args,
    };
  };
  const label = (name: string, tid: number, value: string | number): TraceEvent => ({
    name,
    ph: "M",
    ts: 0,
    dur: 0,
    pid: PID,
    tid,
    args: name === "thread_sort_index" ? { sort_index: value } : { name: value },
  });
  const streams = [...new Set(r.spans.map((s) => s.stream))].sort((a, b) => a - b), events: TraceEvent[] = [];
  events.push(label("process_name", JAVASCRIPT, "Denim"), label("thread_name", JAVASCRIPT, "JavaScript"));
  events.push(label("thread_sort_index", JAVASCRIPT, 0));
  for (const s of streams) {
    events.push(label("thread_name", streamTrack(s), `stream ${s} (${deviceOf(s)})`));
    events.push(label("thread_sort_index", streamTrack(s), streamTrack(s)));
  }
  for (const { name, begin, end } of r.host) events.push(lasting(name, "host", JAVASCRIPT, begin, end));
  for (const s of inTurn(r.spans)) {
    const kernels = r.programs.get(programKey(s.stream, s.program)) ?? [], tid = streamTrack(s.stream);
    const args = {
      stream: s.stream,
      device: deviceOf(s.stream),
      thread: s.worker ? `stream ${s.stream}` : "JavaScript",
    };
    if (s.instruction >= 0) {
      const k = kernels[s.instruction];
      if (k) events.push(lasting(k.label, "kernel", tid, s.begin, s.end, { ...kernelArgs(k, s), ...args }));
      continue;
    }
    if (s.instruction === wholeProgram) {
      const name = `program of ${kernels.length} kernel${kernels.length === 1 ? "" : "s"}`;
      events.push(lasting(name, "program", tid, s.begin, s.end, { number: s.program, ...args }));
    }
    const ts = at(s.end);
    events.push({ name: "memory in use", ph: "C", ts, dur: 0, pid: PID, tid: JAVASCRIPT, args: { bytes: s.active } });
  }
  events.sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  return { traceEvents: events, displayTimeUnit: "ms", otherData: facts };
}
/** Programs of a stream run one after the other; one that a GPU was given early begins when the one before is done. */
function inTurn(spans: readonly Span[]): Span[] {
  const ends = new Map<number, number>();
  return spans.map((s) => {
    if (s.instruction === submission) return s;
    const begin = Math.max(s.begin, ends.get(s.stream) ?? -Infinity);
    if (s.instruction === wholeProgram) ends.set(s.stream, s.end);
    return { ...s, begin: Math.min(begin, s.end) };
  });
}
function kernelArgs(k: KernelInfo, { begin, end }: Span): NonNullable<TraceEvent["args"]> {
  const seconds = Math.max(end - begin, 1e-6) / 1e3, giga = (n: number) => Number((n / seconds / 1e9).toPrecision(4));
  return {
    operations: k.operations,
    "bytes read": k.read,
    "bytes written": k.written,
    "GB/s": giga(k.read + k.written),
    ...k.flops > 0 ? { FLOP: k.flops, "GFLOP/s": giga(k.flops) } : {},
    ...k.inPlace ? { "in place": true } : {},
    ...k.madeAt ? { "made at": k.madeAt } : {},
  };
}
