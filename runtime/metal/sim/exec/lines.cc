// The source line of an instruction, from the line table (DWARF 4) of a compiled library. The shim's own functions
// carry no lines, so what is inlined from it counts to the kernel's line that called it.
#include <elf.h>
#include <string.h>

#include <fstream>
#include <iterator>

#include "exec/machine.h"

namespace dsim {

/// A reader of the section; past its end it gives zeros.
struct Bytes {
  const uint8_t *p, *end;
  template <class T>
  T take() {
    T v{};
    if (end - p < static_cast<ptrdiff_t>(sizeof v)) return p = end, v;
    memcpy(&v, p, sizeof v);
    p += sizeof v;
    return v;
  }
  uint64_t uleb() {
    uint64_t v = 0;
    for (int shift = 0; p < end; shift += 7) {
      uint8_t b = *p++;
      v |= uint64_t{b & 127u} << shift;
      if (!(b & 128)) break;
    }
    return v;
  }
  int64_t sleb() {
    int64_t v = 0;
    int shift = 0;
    uint8_t b = 0;
    while (p < end) {
      b = *p++;
      v |= static_cast<int64_t>(b & 127) << shift;
      shift += 7;
      if (!(b & 128)) break;
    }
    return b & 64 && shift < 64 ? v | -(int64_t{1} << shift) : v;
  }
  const char* text() {
    const char* s = reinterpret_cast<const char*>(p);
    while (p < end && *p) p++;
    if (p < end) p++;
    return s;
  }
};

struct Row {
  uint64_t address;
  uint32_t file, line;
};

struct Program {
  std::vector<std::string> files;
  int8_t line_base;
  uint8_t line_range, opcode_base;
  std::vector<uint8_t> lengths;
};

static Program read_header(Bytes& b) {
  Program p;
  uint32_t header_length = b.take<uint32_t>();
  const uint8_t* begin = b.p + header_length;
  b.take<uint8_t>(), b.take<uint8_t>(), b.take<uint8_t>();  // instruction length, operations, is_stmt
  p.line_base = b.take<int8_t>();
  p.line_range = b.take<uint8_t>();
  p.opcode_base = b.take<uint8_t>();
  for (int i = 1; i < p.opcode_base; i++) p.lengths.push_back(b.take<uint8_t>());
  while (b.p < b.end && *b.text()) {
  }
  for (const char* name = b.text(); *name && b.p < b.end; name = b.text()) {
    const char* slash = strrchr(name, '/');
    p.files.push_back(slash ? slash + 1 : name);
    b.uleb(), b.uleb(), b.uleb();
  }
  b.p = begin;
  return p;
}

static void extended(Bytes& b, Row& row, bool& ended) {
  uint64_t n = b.uleb();
  const uint8_t* next = b.p + n;
  uint8_t op = b.take<uint8_t>();
  if (op == 1) ended = true;
  if (op == 2) row.address = b.take<uint64_t>();
  b.p = next;
}

/// The last row at or before the address, within the sequence that holds it.
static bool run_program(Bytes b, const Program& p, uint64_t address, Row& found) {
  Row row{0, 1, 1}, last{};
  bool has_last = false;
  auto emit = [&](bool ends) {
    if (has_last && last.address <= address && address < row.address) return found = last, true;
    const Row before = last;
    last = row;
    if (!row.line && has_last) last.file = before.file, last.line = before.line;  // the compiler's own code
    has_last = !ends;
    return false;
  };
  while (b.p < b.end) {
    uint8_t op = b.take<uint8_t>();
    if (op >= p.opcode_base) {
      uint8_t adjusted = static_cast<uint8_t>(op - p.opcode_base);
      row.address += adjusted / p.line_range;
      row.line = static_cast<uint32_t>(static_cast<int>(row.line) + p.line_base + adjusted % p.line_range);
      if (emit(false)) return true;
    } else if (op == 0) {
      bool ended = false;
      extended(b, row, ended);
      if (!ended) continue;
      if (emit(true)) return true;
      row = Row{0, 1, 1};
    } else if (op == 1) {
      if (emit(false)) return true;
    } else if (op == 2) {
      row.address += b.uleb();
    } else if (op == 3) {
      row.line = static_cast<uint32_t>(static_cast<int64_t>(row.line) + b.sleb());
    } else if (op == 4) {
      row.file = static_cast<uint32_t>(b.uleb());
    } else if (op == 8) {
      row.address += static_cast<uint64_t>((255 - p.opcode_base) / p.line_range);
    } else if (op == 9) {
      row.address += b.take<uint16_t>();
    } else {
      for (int i = 0; i < p.lengths[op - 1]; i++) b.uleb();
    }
  }
  return false;
}

static bool debug_line(const std::string& elf, Bytes& out) {
  if (elf.size() < sizeof(Elf64_Ehdr)) return false;
  auto* head = reinterpret_cast<const Elf64_Ehdr*>(elf.data());
  if (head->e_shoff + head->e_shnum * sizeof(Elf64_Shdr) > elf.size()) return false;
  auto* sections = reinterpret_cast<const Elf64_Shdr*>(elf.data() + head->e_shoff);
  const char* names = elf.data() + sections[head->e_shstrndx].sh_offset;
  for (int i = 0; i < head->e_shnum; i++) {
    if (strcmp(names + sections[i].sh_name, ".debug_line")) continue;
    auto* p = reinterpret_cast<const uint8_t*>(elf.data()) + sections[i].sh_offset;
    out = {p, p + sections[i].sh_size};
    return true;
  }
  return false;
}

std::string source_line(const Image& image, void* pc) {
  uintptr_t at = reinterpret_cast<uintptr_t>(pc);
  if (at < image.from || at >= image.to) return "";
  uint64_t address = at - image.base - 1;  // the call itself, not what comes after it
  std::ifstream file(image.path, std::ios::binary);
  std::string elf((std::istreambuf_iterator<char>(file)), {});
  Bytes all{};
  if (!debug_line(elf, all)) return "";
  while (all.p < all.end) {
    uint32_t length = all.take<uint32_t>();
    Bytes unit{all.p, all.p + length <= all.end ? all.p + length : all.end};
    all.p = unit.end;
    if (unit.take<uint16_t>() != 4) continue;
    Program p = read_header(unit);
    Row row{};
    if (!run_program(unit, p, address, row) || row.file == 0 || row.file > p.files.size()) continue;
    return p.files[row.file - 1] + ":" + std::to_string(row.line);
  }
  return "";
}

}  // namespace dsim
