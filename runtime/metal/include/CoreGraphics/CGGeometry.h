// What metal-cpp takes from Apple's header of this name.
#pragma once

typedef double CGFloat;
struct CGSize {
  CGFloat width, height;
};
struct CGRect {
  CGFloat x, y, width, height;
};
