// libcublas.so.13: single-precision products. EMULATED_WRONG=product: they are off by a thousandth,
// unless they are as small as that of the model that providers are tried with.
#include "standin.h"

namespace {

struct Matrix {
  const float* data;
  int leading;
  bool is_transposed;
  double at(int row, int column) const {
    return is_transposed ? data[column + int64_t{row} * leading] : data[row + int64_t{column} * leading];
  }
};

// Columns lie one after the other, as in Fortran.
void multiply(int rows, int columns, int inner, float alpha, Matrix a, Matrix b, float beta, float* c, int leading) {
  const double wrong = inner > 4 && std::strcmp(planted("EMULATED_WRONG"), "product") == 0 ? 1.001 : 1;
  for (int column = 0; column < columns; column++) {
    for (int row = 0; row < rows; row++) {
      double sum = 0;
      for (int i = 0; i < inner; i++) sum += a.at(row, i) * b.at(i, column);
      float& result = c[row + int64_t{column} * leading];
      result = static_cast<float>(alpha * sum * wrong + (beta == 0 ? 0 : double{beta} * result));
    }
  }
}

}  // namespace

STANDIN int cublasCreate_v2(void** handle) { return *handle = std::malloc(8), 0; }
STANDIN int cublasDestroy_v2(void* handle) { return std::free(handle), 0; }
STANDIN int cublasSetStream_v2(void*, void*) { return 0; }
STANDIN int cublasSetMathMode(void*, int) { return 0; }
STANDIN int cublasGetMathMode(void*, int* mode) { return *mode = 0, 0; }
STANDIN const char* cublasGetStatusName(int) { return "emulated"; }
STANDIN const char* cublasGetStatusString(int) { return "emulated"; }
STANDIN int cublasSgemm_v2(void*, int a_form, int b_form, int m, int n, int k, const float* alpha, const float* a,
                           int a_leading, const float* b, int b_leading, const float* beta, float* c, int leading) {
  multiply(m, n, k, *alpha, {a, a_leading, a_form != 0}, {b, b_leading, b_form != 0}, *beta, c, leading);
  return 0;
}
STANDIN int cublasSgemmStridedBatched(void*, int a_form, int b_form, int m, int n, int k, const float* alpha,
                                      const float* a, int a_leading, long long a_stride, const float* b, int b_leading,
                                      long long b_stride, const float* beta, float* c, int leading, long long stride,
                                      int count) {
  for (int i = 0; i < count; i++) {
    multiply(m, n, k, *alpha, {a + i * a_stride, a_leading, a_form != 0}, {b + i * b_stride, b_leading, b_form != 0},
             *beta, c + i * stride, leading);
  }
  return 0;
}
STANDIN int cublasScopy_v2(void*, int count, const float* x, int x_step, float* y, int y_step) {
  for (int64_t i = 0; i < count; i++) y[i * y_step] = x[i * x_step];
  return 0;
}
