// What the translator's output uses: threadgroup variables, function constants, and the thunk that calls a kernel with
// arguments made from its own C++ signature, so that the translator never has to understand a type.
#pragma once

namespace dsim {
template <class T>
MSL_FUNC T& threadgroup_variable(const void* key, const char* name) {
  return *static_cast<T*>(dsim_local(key, sizeof(T), alignof(T), name));
}

template <class T>
struct FunctionConstant {
  T value;
  bool defined;
  FunctionConstant(unsigned index, const char* name) {
    defined = dsim_function_constant(index, name, &value, sizeof value);
  }
};

template <size_t... I>
struct Indices {};
template <class, size_t... I>
using IndicesOf = Indices<I...>;
template <size_t n>
using Count = __make_integer_seq<IndicesOf, size_t, n>;

template <class T>
struct Pointee {
  using type = T;
  static constexpr bool reference = false, pointer = false;
  static constexpr unsigned size = sizeof(T), align = alignof(T);
};
template <class T>
struct Pointee<T*> {
  using type = T;
  static constexpr bool reference = false, pointer = true;
  static constexpr unsigned size = sizeof(T), align = alignof(T);
};
template <>
struct Pointee<void*> {
  using type = void;
  static constexpr bool reference = false, pointer = true;
  static constexpr unsigned size = 1, align = 1;
};
template <>
struct Pointee<const void*> {
  using type = const void;
  static constexpr bool reference = false, pointer = true;
  static constexpr unsigned size = 1, align = 1;
};
template <class T>
struct Pointee<T&> {
  using type = T;
  static constexpr bool reference = true, pointer = true;
  static constexpr unsigned size = sizeof(T), align = alignof(T);
};

// The machine's own memory is read here: not instrumented. A kernel is, and so is never inlined into its thunk.
template <class P>
MSL_PLAIN decltype(auto) argument(unsigned index, const ParamAttr& a) {
  using T = typename Pointee<P>::type;
  if constexpr (Pointee<P>::reference) {
    return static_cast<P>(*static_cast<T*>(dsim_param(index)));
  } else if constexpr (Pointee<P>::pointer) {
    return static_cast<T*>(dsim_param(index));
  } else {
    const unsigned* v = dsim_builtin(a.index);
    P p{};
    if constexpr (metal::vec_traits<P>::is_vec)
      for (int i = 0; i < metal::size_of_v<P>; i++) p[i] = static_cast<metal::element_t<P>>(v[i]);
    else
      p = static_cast<P>(v[0]);
    return p;
  }
}

template <class P>
constexpr Param param_of(ParamAttr a) {
  using Q = Pointee<P>;
  return {a, Q::size, Q::align, Q::reference, __is_const(typename Q::type)};
}

template <auto function, const auto& attrs, class Type = decltype(function)>
struct Thunk;
template <auto function, const auto& attrs, class R, class... P>
struct Thunk<function, attrs, R (*)(P...)> {
  static_assert(metal::is_void_v<R>, "a kernel returns void");
  template <size_t... I>
  MSL_PLAIN static void call(Indices<I...>) {
    function(argument<P>(I, attrs[I])...);
  }
  MSL_HOST static void run() { call(Count<sizeof...(P)>{}); }
  template <size_t... I>
  static const Param* params(Indices<I...>) {
    static_assert(sizeof...(P) + 1 == sizeof attrs / sizeof attrs[0]);
    static const Param all[sizeof...(P) + 1] = {param_of<P>(attrs[I])...};
    return all;
  }
  struct Register {
    Kernel k;
    Register(const char* name, unsigned limit)
        : k{name, run, params(Count<sizeof...(P)>{}), sizeof...(P), limit, nullptr} {
      dsim_register(&k);
    }
  };
};
}  // namespace dsim
#define is_function_constant_defined(name) (name##__constant.defined)
