"""Scalar integer arithmetic, the only arithmetic of the package.

Every function takes and returns integers (bit patterns, exponents, significands, codes) and is legal device code: no
float, array, string, exception or global but enum members and layouts. Integers are int64 throughout and no step
overflows, so the same functions run as plain Python, as compiled CPU code and as CUDA device functions.
"""
