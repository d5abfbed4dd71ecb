/**
 * As much of ZeroMQ's protocol (ZMTP 3.0 over TCP, without encryption) as a client of a Jupyter kernel speaks: messages
 * of several frames, to and fro.
 * @module
 */

const GREETING = 64, MORE = 1, LONG = 2, COMMAND = 4;
const text = new TextEncoder();

/** Name and value of a property, each with its length before it. */
function property(name: string, value: string): number[] {
  return [name.length, ...text.encode(name), 0, 0, 0, value.length, ...text.encode(value)];
}
function frame(flags: number, body: Uint8Array): Uint8Array {
  const long = body.length > 255,
    bytes = new Uint8Array((long ? 9 : 2) + body.length),
    view = new DataView(bytes.buffer);
  bytes[0] = flags | (long ? LONG : 0);
  if (long) view.setBigUint64(1, BigInt(body.length));
  else bytes[1] = body.length;
  bytes.set(body, bytes.length - body.length);
  return bytes;
}

/** A connection; its type decides what the other side makes of it: `DEALER` asks and is answered, `SUB` is told. */
export class Socket implements Disposable {
  #held: Uint8Array = new Uint8Array(0);
  private constructor(readonly connection: Deno.TcpConn) {}

  /** Connects, once somebody listens; gives up after so many milliseconds. */
  static async connect(port: number, type: "DEALER" | "SUB", patience = 30_000): Promise<Socket> {
    const end = Date.now() + patience;
    for (;;) {
      try {
        return await new Socket(await Deno.connect({ hostname: "127.0.0.1", port })).#shakeHands(type);
      } catch (e) {
        if (!(e instanceof Deno.errors.ConnectionRefused) || Date.now() > end) throw e;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
  async #shakeHands(type: "DEALER" | "SUB"): Promise<this> {
    const greeting = new Uint8Array(GREETING);
    greeting.set([0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0]);
    greeting.set(text.encode("NULL"), 12);
    await this.#write(greeting);
    await this.#take(GREETING);
    const ready = [5, ...text.encode("READY"), ...property("Socket-Type", type), ...property("Identity", "")];
    await this.#write(frame(COMMAND, Uint8Array.from(ready)));
    await this.#frame(); // theirs
    if (type === "SUB") await this.send([Uint8Array.of(1)]); // to all
    return this;
  }
  /** Sends a message. */
  async send(frames: readonly Uint8Array[]): Promise<void> {
    for (const [i, body] of frames.entries()) await this.#write(frame(i < frames.length - 1 ? MORE : 0, body));
  }
  /** The next message. */
  async receive(): Promise<Uint8Array[]> {
    const frames: Uint8Array[] = [];
    for (;;) {
      const { flags, body } = await this.#frame();
      if (flags & COMMAND) continue;
      frames.push(body);
      if (!(flags & MORE)) return frames;
    }
  }
  /** Ends the connection. */
  [Symbol.dispose](): void {
    this.connection.close();
  }
  async #frame(): Promise<{ flags: number; body: Uint8Array }> {
    const [flags = 0] = await this.#take(1), long = (flags & LONG) !== 0, length = await this.#take(long ? 8 : 1);
    const bytes = long ? Number(new DataView(length.buffer, length.byteOffset).getBigUint64(0)) : length[0]!;
    return { flags, body: await this.#take(bytes) };
  }
  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.connection.write(bytes.subarray(at));
  }
  async #take(n: number): Promise<Uint8Array> {
    const parts = [this.#held];
    let length = this.#held.length;
    while (length < n) {
      const part = new Uint8Array(65536), read = await this.connection.read(part);
      if (read === null) throw new Deno.errors.ConnectionReset("the kernel has ended");
      parts.push(part.subarray(0, read));
      length += read;
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (const part of parts) all.set(part, at), at += part.length;
    this.#held = all.subarray(n);
    return all.slice(0, n);
  }
}
