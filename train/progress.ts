/**
 * How far a run is: a bar that moves in one line of a terminal, and some twenty plain lines where there is none.
 * @module
 */

/** What the bar shows. */
export interface ProgressState {
  /** What is being trained. */
  readonly label: string;
  /** Steps made. */
  readonly step: number;
  /** Steps in all, where that is known. */
  readonly total: number | null;
  /** The loss of this step. */
  readonly loss: number;
  /** Items of data in a second. */
  readonly itemsPerSecond: number;
  /** Seconds that are left, where that is known. */
  readonly secondsLeft: number | null;
}
/** Where progress is shown. */
export interface ProgressOutput {
  /** How wide a line may be, or null where nothing can be drawn over. */
  readonly columns: number | null;
  /** Takes text. */
  write(text: string): void;
}

const MAX_COLUMNS = 80, MAX_CELLS = 24, MIN_CELLS = 4, PLAIN_LINES = 20, REDRAW_MS = 100;

/** A number in at most five characters or so: 987, 12.3k, 4.56M. */
export function short(x: number): string {
  if (!(x >= 1000)) return x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2);
  return x >= 1e6 ? `${(x / 1e6).toFixed(2)}M` : `${(x / 1e3).toFixed(1)}k`;
}
/** Seconds as m:ss or h:mm:ss. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds), two = (n: number): string => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60), hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${two(minutes % 60)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
/** A loss with four digits that matter. */
export const shownLoss = (loss: number): string =>
  loss !== 0 && Math.abs(loss) < 1e-3 || Math.abs(loss) >= 1e5 ? loss.toExponential(2) : loss.toFixed(4);

/**
 * One line of at most `columns` characters: `mnist [######------] 45% 632/1404 loss 0.0312 5.3k items/s 1:07 left`. What
 * does not fit is left out: first cells of the bar, then the label's end.
 */
export function progressText(state: ProgressState, columns: number = MAX_COLUMNS): string {
  const { label, step, total, loss, itemsPerSecond, secondsLeft } = state;
  const share = total ? Math.min(1, step / total) : null;
  const tail = [
    share === null ? "" : `${Math.floor(100 * share)}%`,
    total === null ? `step ${step}` : `${step}/${total}`,
    `loss ${shownLoss(loss)}`,
    `${short(itemsPerSecond)} items/s`,
    secondsLeft === null ? "" : `${duration(secondsLeft)} left`,
  ].filter((part) => part !== "").join(" ");
  const room = columns - tail.length - 1;
  const name = label.length + MIN_CELLS + 3 > room ? label.slice(0, Math.max(0, room - MIN_CELLS - 4)) : label;
  const cells = Math.min(MAX_CELLS, room - name.length - (name ? 3 : 2));
  if (share === null || cells < MIN_CELLS) return `${name} ${tail}`.trim().slice(0, columns);
  const full = Math.round(share * cells);
  return `${name} [${"#".repeat(full)}${"-".repeat(cells - full)}] ${tail}`.trim();
}

/** Standard error as a place for progress, so that standard output stays free for results. */
export function standardError(): ProgressOutput {
  const encoder = new TextEncoder(), terminal = Deno.stderr.isTerminal();
  return {
    get columns() {
      return terminal ? consoleColumns() : null;
    },
    write: (text) => void Deno.stderr.writeSync(encoder.encode(text)),
  };
}
function consoleColumns(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    return MAX_COLUMNS; // a terminal that does not say
  }
}

/** Shows the progress of a run. */
export class Progress {
  #drawnAt = -Infinity;
  #drawn = false;
  #plainAt = 0;
  constructor(readonly output: ProgressOutput) {}

  /** Shows a state: on a terminal ten times a second, elsewhere at every twentieth of the run. */
  show(state: ProgressState): void {
    const { columns } = this.output, ends = state.step === state.total;
    if (columns === null) {
      const every = state.total ? Math.ceil(state.total / PLAIN_LINES) : 100;
      if (!ends && state.step < this.#plainAt + every) return;
      this.#plainAt = state.step;
      return this.output.write(`${progressText(state, 2 * MAX_COLUMNS)}\n`);
    }
    const now = performance.now();
    if (!ends && now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    this.#drawn = true;
    // The last column stays empty: a line that fills it would wrap on some terminals.
    this.output.write(`\r\x1b[K${progressText(state, Math.min(columns, MAX_COLUMNS) - 1)}`);
  }
  /** Prints a line that stays, above the bar. */
  line(text: string): void {
    this.output.write(`${this.#drawn ? "\r\x1b[K" : ""}${text}\n`);
    this.#drawn = false;
    this.#drawnAt = -Infinity;
  }
  /** Ends the line of the bar, which stays. */
  end(): void {
    if (this.#drawn) this.output.write("\n");
    this.#drawn = false;
  }
}
