/**
 * From the native side's failures to error classes.
 * @module
 */
import type { NativeFailure } from "../ffi/runtime.ts";
import {
  CheckpointError,
  type DenimError,
  IndexError,
  KernelError,
  MemoryLimitError,
  RuntimeLibraryError,
  ValueError,
} from "./errors.ts";
import { lineOfInstruction } from "./sites.ts";

const classes = [
  KernelError,
  RuntimeLibraryError,
  ValueError,
  MemoryLimitError,
  KernelError,
  IndexError,
  CheckpointError,
  ValueError,
];

/**
 * The error that a native failure stands for; `op` is what the user called, unless the failure knows better, and so is
 * the line.
 */
export function failure(op: string, { status, text }: NativeFailure, madeAt = ""): DenimError {
  const kind = classes[status] ?? KernelError, [cannot, expected, got, fix, where, instruction] = text.split("\n");
  return new kind(where || op, {
    cannot: cannot || "finish",
    expected: expected || "no failure",
    got: got || "one without a message",
    fix: fix || "report this as a bug",
    madeAt: instruction ? lineOfInstruction(instruction) : madeAt,
  });
}
