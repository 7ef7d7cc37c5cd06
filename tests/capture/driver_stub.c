/* The part of the CUDA driver interface that a capture uses; a launch adds numbers to 32-bit words. */
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static char *log_buffer; static size_t log_size; static int poisoned, hung, live, dead;
static int target;
CUresult cuInit(unsigned int f) { return 0; }
CUresult cuDeviceGetCount(int *n) { *n = 2; return 0; }
CUresult cuDeviceGet(CUdevice *d, int i) { *d = 40 + i; return 0; }
CUresult cuDeviceGetName(char *s, int n, CUdevice d) { snprintf(s, n, "Stub %d", d); return 0; }
CUresult cuDeviceGetAttribute(int *v, CUdevice_attribute a, CUdevice d) {
  *v = a == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? 9
     : a == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR ? 0 : -1; return 0; }
CUresult cuDriverGetVersion(int *v) { *v = 13020; return 0; }
CUresult cuDevicePrimaryCtxRetain(CUcontext *c, CUdevice d) { *c = (CUcontext)0x7f0000001234; return 0; }
CUresult cuDevicePrimaryCtxReset(CUdevice d) { poisoned = dead; return 0; }
CUresult cuCtxSetCurrent(CUcontext c) { return c == (CUcontext)0x7f0000001234 ? 0 : CUDA_ERROR_INVALID_CONTEXT; }
CUresult cuCtxSynchronize(void) { return poisoned ? CUDA_ERROR_ILLEGAL_ADDRESS : 0; }
CUresult cuStreamQuery(CUstream s) { return s ? CUDA_ERROR_INVALID_HANDLE : hung ? CUDA_ERROR_NOT_READY : cuCtxSynchronize(); }
CUresult cuGetErrorName(CUresult e, const char **s) { *s = e == CUDA_ERROR_INVALID_PTX ? "CUDA_ERROR_INVALID_PTX" : "OTHER"; return 0; }
CUresult cuLinkCreate(unsigned int n, CUjit_option *o, void **v, CUlinkState *s) {
  target = 0;
  for (unsigned i = 0; i < n; i++) {
    if (o[i] == CU_JIT_TARGET) target = (int)(size_t)v[i];
    if (o[i] == CU_JIT_ERROR_LOG_BUFFER) log_buffer = v[i];
    if (o[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) log_size = (size_t)v[i]; }
  *s = (CUlinkState)0x7f0000005678; return 0; }
static char image[4096]; static size_t image_size;
CUresult cuLinkAddData(CUlinkState s, CUjitInputType t, void *p, size_t n, const char *name, unsigned k, CUjit_option *o, void **v) {
  if (s != (CUlinkState)0x7f0000005678 || t != CU_JIT_INPUT_PTX || strlen(p) + 1 != n) return CUDA_ERROR_INVALID_VALUE;
  if (strstr(p, "old driver") || strstr(p, "sm_90a") && target != CU_TARGET_COMPUTE_90A) return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  if (strstr(p, "nonsense")) { snprintf(log_buffer, log_size, "line 1: no such instruction\nmore"); return CUDA_ERROR_INVALID_PTX; }
  memcpy(image, p, n); image_size = n; return 0; }
CUresult cuLinkComplete(CUlinkState s, void **p, size_t *n) { *p = image; *n = image_size; return 0; }
CUresult cuLinkDestroy(CUlinkState s) { return 0; }
CUresult cuModuleLoadData(CUmodule *m, const void *p) { if (strstr(p, "nonsense")) return CUDA_ERROR_INVALID_PTX; *m = (CUmodule)strdup(p); return 0; }
CUresult cuModuleGetFunction(CUfunction *f, CUmodule m, const char *n) { *f = (CUfunction)m; return strcmp(n, "kernel") ? CUDA_ERROR_NOT_FOUND : 0; }
CUresult cuMemAlloc(CUdeviceptr *p, size_t n) { *p = (CUdeviceptr)malloc(n); live++; return 0; }
CUresult cuMemFree(CUdeviceptr p) { free((void *)p); live--; return 0; }
CUresult cuMemcpyHtoD(CUdeviceptr d, const void *s, size_t n) { memcpy((void *)d, s, n); return 0; }
CUresult cuMemcpyDtoH(void *d, CUdeviceptr s, size_t n) { memcpy(d, (void *)s, n); return 0; }
int stub_live(void) { return live; }
CUresult cuLaunchKernel(CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned shared, CUstream st, void **p, void **e) {
  if (strstr((char *)f, "fault")) { poisoned = 1; dead = strstr((char *)f, "fatal") != 0; return 0; }
  if (strstr((char *)f, "endless")) { hung = 1; return 0; }
  if (gy != 1 || gz != 1 || by != 1 || bz != 1 || shared || st || e) return CUDA_ERROR_INVALID_VALUE;
  unsigned *a = *(unsigned **)p[0], *d = *(unsigned **)p[1], add = *(unsigned *)p[2];
  unsigned long long wide = *(unsigned long long *)p[3];
  for (unsigned i = 0; i < gx * bx; i++) d[i] = a[i] + add + (unsigned)(wide >> 32);
  return 0; }
