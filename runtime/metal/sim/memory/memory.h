// Memory as a kernel sees it: arguments with exact bounds, threadgroup memory, and what is known of each byte. The
// compiler puts a call (__tsan_*) before every load and store of memory that lanes can share; access.cc has these.
#pragma once
#include "exec/machine.h"

namespace dsim {

void start_memory();
bool begin_dispatch_memory(const Dispatch& d);
void end_dispatch_memory(const Dispatch& d);
void begin_group_memory();
/// A threadgroup barrier with these mem_flags.
void order_group_memory(uint32_t flags);
/// What an argument points to that a function constant switches off.
void* forbidden_page();
bool is_forbidden(uintptr_t at);
/// A copy of bytes for a slot, which ends where memory ends.
void* bytes_argument(uint32_t slot, const void* bytes, uint64_t n);
/// Threadgroup memory as an argument.
void* local_argument(uint32_t index);

// local.cc: threadgroup memory.
void start_local();
bool begin_local(const Dispatch& d);
void begin_local_group();
bool in_local(uintptr_t at);
void local_access(uintptr_t at, uint32_t n, bool write, bool atomic, void* pc);
std::string describe_local(uintptr_t at);

// race.cc: two lanes, one place, no barrier between.
void begin_race_dispatch();
void begin_race_group();
void order_race(uint32_t flags);
void race_access(bool local, uintptr_t at, uint32_t n, bool write, bool atomic, void* pc);
/// "byte 8 of buffer 1 ('out', label)" of an address, for reports.
std::string describe_place(uintptr_t at);
std::string describe_address(uintptr_t at);

}  // namespace dsim
