// What the simulator offers beside Metal's classes: counters, and switches of its checks. Called by scripts and tests
// through the library's symbols; the host never does.
//
// Environment: DENIM_METAL_RACE=1 looks for races inside dispatches; DENIM_METAL_SIM_CHECKS takes names as dsim_check
// does; DENIM_METAL_SIM_SEED orders threads anew; DENIM_METAL_SIM_TRACE=1 prints errors of command buffers;
// DENIM_METAL_SIM_OS is the version of macOS; DENIM_METAL_SIM_FAMILY the last of Apple's GPU families that there is;
// DENIM_METAL_SIM_MAX_BUFFER the longest buffer; DENIM_METAL_SIM_PATIENCE how many seconds to wait for an event that
// nobody signals; DENIM_METAL_SIM_EDIT a file with a change to a kernel; DENIM_METAL_SIM_SOURCES a folder that gets
// every source that is compiled.
#pragma once
#include <stdint.h>

/// Since the last reset. Bytes are those of buffers, and count as often as they are touched; unique ones once per
/// dispatch, if measured.
struct DsimStats {
  uint64_t dispatches, threadgroups, threads, barriers, command_buffers, pipelines, libraries, compiled;
  uint64_t loads, stores, bytes_read, bytes_written, unique_read, unique_written;
  uint64_t collectives, switches, local_bytes, objects, errors;
  uint64_t resident;  // bytes that residency sets hold now
};

extern "C" {
void dsim_stats(DsimStats* out, int reset);
/// The text that the lint checks, of a source in Metal's language: its length, or minus that of an error.
int64_t dsim_lint_text(const char* source, int version, char* out, uint64_t capacity);
/// Counts unique bytes from the next dispatch on.
void dsim_measure(int on);
/// Names of checks with a sign: "+race", "-exit", "-uninitialised@scan" (for kernels with this in their name).
void dsim_check(const char* names);
/// The order of threads, threadgroups and queues from here on.
void dsim_seed(uint64_t seed);
}
