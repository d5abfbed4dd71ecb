/**
 * Text that arrives in pieces, as lines.
 * @module
 */

/** Splits a stream of text at line ends. */
export class TextLineStream extends TransformStream<string, string> {
  /** Lines come as soon as they end. */
  constructor() {
    let rest = "";
    super({
      transform(piece, controller) {
        const lines = (rest + piece).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) controller.enqueue(line);
      },
      flush(controller) {
        if (rest) controller.enqueue(rest);
      },
    });
  }
}
