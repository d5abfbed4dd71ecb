// A text that grows, for kernels written at run time: there is no standard library here.
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

namespace denim::metal {

class Text {
 public:
  Text() { grow(4096); }
  ~Text() { free(data_); }
  Text(const Text&) = delete;
  Text& operator=(const Text&) = delete;

  Text& operator<<(const char* s) {
    const size_t n = strlen(s);
    if (size_ + n + 1 > capacity_) grow(2 * (size_ + n + 1));
    memcpy(data_ + size_, s, n + 1);
    size_ += n;
    return *this;
  }
  Text& operator<<(int n) {
    char digits[12];
    int at = 11;
    digits[at] = 0;
    const bool negative = n < 0;
    for (unsigned left = negative ? 0u - static_cast<unsigned>(n) : static_cast<unsigned>(n); at == 11 || left > 0;
         left /= 10)
      digits[--at] = static_cast<char>('0' + left % 10);
    if (negative) digits[--at] = '-';
    return *this << static_cast<const char*>(digits + at);
  }
  const char* text() const { return data_; }

 private:
  void grow(size_t capacity) {
    data_ = static_cast<char*>(realloc(data_, capacity));
    if (!data_) abort();
    capacity_ = capacity;
    data_[size_] = 0;
  }
  char* data_ = nullptr;
  size_t size_ = 0, capacity_ = 0;
};

}  // namespace denim::metal
