// Whether this machine runs the instructions that the other sources are compiled to, which are AVX2's, with those of
// GREEN_CODE_AVX_VNNI or GREEN_CODE_AVX512 where that is defined; itself compiled for any x86-64.
//
// Says as well which make it is of, as far as that matters. Asks the CPU, since `__builtin_cpu_supports` is a stub in Zig's runtime.
#include <cpuid.h>

#include <atomic>

namespace {

struct Registers {
  unsigned a = 0, b = 0, c = 0, d = 0;

  explicit Registers(unsigned leaf, unsigned part = 0) { __get_cpuid_count(leaf, part, &a, &b, &c, &d); }
};

#ifdef GREEN_CODE_AVX512
constexpr unsigned kFurtherB = bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
constexpr unsigned kFurtherC = bit_AVX512VNNI;
constexpr unsigned kState = 0xe6;  // SSE, AVX, and the three parts of AVX-512
#else
constexpr unsigned kFurtherB = 0, kFurtherC = 0, kState = 0x6;
#endif
#ifdef GREEN_CODE_AVX_VNNI
constexpr unsigned kSecondA = bit_AVXVNNI;
#else
constexpr unsigned kSecondA = 0;
#endif

bool has(unsigned features, unsigned needed) { return (features & needed) == needed; }

// What of a thread's registers the operating system saves.
unsigned saved_state() {
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

}  // namespace

namespace green_code {

bool fetches_ahead() {
  enum { kUnknown, kNo, kYes };
  static std::atomic<int> known{kUnknown};  // a virtual machine takes its time to answer
  int found = known.load(std::memory_order_relaxed);
  if (found == kUnknown) {
    found = Registers(0).b == signature_INTEL_ebx ? kYes : kNo;
    known.store(found, std::memory_order_relaxed);
  }
  return found == kYes;
}

}  // namespace green_code

extern "C" __attribute__((visibility("default"))) int green_code_supported() {
  const Registers basic(1), further(7), second(7, 1), extended(0x80000001);
  return has(basic.c, bit_SSE3 | bit_SSSE3 | bit_FMA | bit_CMPXCHG16B | bit_SSE41 | bit_SSE42 | bit_MOVBE |
                          bit_POPCNT | bit_XSAVE | bit_OSXSAVE | bit_AVX | bit_F16C) &&
         has(further.b, bit_BMI | bit_AVX2 | bit_BMI2 | kFurtherB) && has(further.c, kFurtherC) &&
         has(second.a, kSecondA) &&
         has(extended.c, bit_LAHF_LM | bit_LZCNT) && has(saved_state(), kState);
}
