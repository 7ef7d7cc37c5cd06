"""Operators that move, select, compare or make numbers: whatever the format, PyTorch's own result is the result."""

from __future__ import annotations

__all__ = ["EXACT"]

_NAMES = """
_adaptive_max_pool2d _amp_update_scale _assert_async _foreach_abs _foreach_copy _foreach_maximum _foreach_neg
_foreach_zero _local_scalar_dense _reshape_copy _unique2 _unsafe_view _upsample_nearest_exact2d abs absolute
adaptive_max_pool1d adaptive_max_pool2d alias all allclose amax amin aminmax any argmax argmin argsort as_strided
bernoulli bucketize cat ceil clamp clamp_max clamp_min concat conj_physical constant_pad_nd
copysign count_nonzero cummax cummin detach diag diag_embed diagonal_backward diagonal_scatter empty_like
empty_strided eq equal evenly_distribute_backward_selection exponential fill flip fliplr flipud floor fmax fmin frac
full_like gather ge geometric gt hardtanh hardtanh_backward hstack im2col index index_copy index_fill index_select
is_same_size isclose isfinite isinf isnan isneginf isposinf item kthvalue le lift lift_fresh log_normal logical_and
logical_not logical_or logical_xor lt masked_fill masked_scatter masked_select max max_pool2d_with_indices
max_pool3d_with_indices maximum median min minimum mode msort narrow_copy ne neg negative new_empty new_empty_strided
new_full new_ones new_zeros nonzero normal normal_functional ones_like pixel_shuffle pixel_unshuffle positive
rand_like randn_like random reflection_pad1d reflection_pad2d reflection_pad3d relu relu6 repeat repeat_interleave
replication_pad1d replication_pad2d replication_pad3d resize roll rot90 round scalar_tensor scatter searchsorted
select_backward select_scatter set_ sgn sign signbit slice_backward slice_scatter sort split_with_sizes_copy squeeze
stack swapaxes swapdims t take threshold threshold_backward topk transpose tril triu trunc unfold uniform unique
unique2 unsqueeze upsample_nearest1d upsample_nearest2d upsample_nearest3d vstack where zero zeros_like
"""

EXACT = frozenset(_NAMES.split())
"""Their names, without the underscore of those that work in place."""
