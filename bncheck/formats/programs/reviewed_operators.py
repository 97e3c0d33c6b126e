"""The operators of PyTorch that were looked at one by one: what a model file may call, and what it may not.

`bncheck.formats.programs.operators` says how these lists are used. All of it is by operator, whatever the overload.
"""

from __future__ import annotations

NAMESPACES = frozenset({"aten", "prims", "quantized", "_quantized", "quantized_decomposed", "torchvision"})
"""Where an operator is arithmetic on tensors that the program made or was given, unless a list below says otherwise."""

_TEXT = """
    Delete Float Int __contains__ __getitem__ _set_item add any capitalize center clear copy count device dict endswith
    eq expandtabs find format ge get gt index isalnum isalpha isdecimal isdigit isidentifier islower isnumeric
    isprintable isspace istitle isupper items join keys le len list ljust lower lstrip lt ne ord partition percentFormat
    pop popitem remove replace rfind rindex rjust rpartition rsplit rstrip setdefault slice sort sorted split splitlines
    startswith strip swapcase title update upper values zfill
"""
_WAYS = """
    __interpolate __upsample _convolution_mode _linalg_eigh _linalg_svd _segment_reduce_backward _sparse_mm
    _sparse_mm_reduce_impl _sparse_mm_reduce_impl_backward conv1d conv2d conv3d div div_ divide divide_ einsum fft_fft
    fft_fft2 fft_fftn fft_hfft fft_hfft2 fft_hfftn fft_ifft fft_ifft2 fft_ifftn fft_ihfft fft_ihfft2 fft_ihfftn
    fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftn gelu gelu_ gelu_backward get_autocast_dtype
    index_reduce index_reduce_ linalg_cond linalg_eigh linalg_eigvalsh linalg_lstsq linalg_matrix_norm linalg_norm
    linalg_qr linalg_svd linalg_svdvals meshgrid nanquantile pad pad_sequence quantile scatter scatter_ scatter_reduce
    scatter_reduce_ searchsorted segment_reduce stft
"""
_MESSAGES = """
    _assert_async _assert_scalar _functional_assert_async _functional_assert_scalar _linalg_check_errors warn
"""
HARMLESS_TEXT = frozenset(f"aten::{name}" for name in (*_TEXT.split(), *_WAYS.split(), *_MESSAGES.split()))
"""Operators that take a string and do no more with it than compute on it, choose a way to compute, or fail or warn."""

_REACHING = """
    from_file save _print
    to_here local_value owner owner_name is_owner confirmed_by_owner get_gradients
    manual_seed seed _cufft_set_plan_cache_max_size _cufft_clear_plan_cache
    set set_ _reshape_alias _reshape_alias_copy
    _nested_view_from_buffer _nested_view_from_buffer_copy
    _sparse_coo_tensor_unsafe _sparse_compressed_tensor_unsafe _sparse_csr_tensor_unsafe _sparse_csc_tensor_unsafe
    _sparse_bsr_tensor_unsafe _sparse_bsc_tensor_unsafe _coalesced _coalesced_
    _empty_affine_quantized _empty_per_channel_affine_quantized empty_quantized
    _indices _values crow_indices col_indices ccol_indices row_indices
    _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo
    embedding_dense_backward _jagged_to_padded_dense_forward _padded_dense_to_jagged_forward
    _nested_view_from_jagged _nested_view_from_jagged_copy
    _foobar
"""
REACHING = frozenset(f"aten::{name}" for name in _REACHING.split())
"""What touches files, the terminal, other machines, the process's random state, or memory without looking at its
bounds: these views and sparse tensors believe whatever sizes and indices they are given, these quantized ones take
any tensor's memory for their own, and these give the indices of sparse tensors away or take any for true."""

_LANGUAGE = """
    ModuleContainerIndex RaiseException StringIndex Print NumToTensor TupleIndex TupleUnpack TupleConstruct TupleSlice
    ListConstruct ListUnpack DictConstruct DictIndex EnumName EnumValue IfThenElse Uninitialized ConstantChunk
    BroadcastSizes ChunkSizes ReductionSizes AutogradZero AutogradAdd AutogradAnyNonZero AutogradAllNonZero
    AutogradAllZero VarConcat VarStack FusedConcat abs awaitable awaitable_nowait awaitable_wait data device dtype grad
    id index is_cpu is_cuda is_ipu is_maia is_meta is_mkldnn is_mps is_mtia is_nested is_quantized is_sparse
    is_sparse_csr is_vulkan is_xla is_xpu isinstance itemsize layout max min name names nbytes ndim rangelist
    requires_grad shape tolist type unchecked_cast unchecked_unwrap_optional min_max T H mT mH real imag
    BroadcastMKLDNNTensors ConstantMKLDNNTensor MKLDNNClamp MKLDNNClamp_ MKLDNNHardSigmoid MKLDNNHardSigmoid_
    MKLDNNHardSwish MKLDNNHardSwish_ MKLDNNHardTanh MKLDNNHardTanh_ MKLDNNLayerNorm MKLDNNLayerNorm_ MKLDNNScalarMul
    MKLDNNScalarMul_ MKLDNNGroup mkldnn_convolution
"""
_STRUCTURE = """
    Constant If Loop Block Param Return GetAttr SetAttr CallMethod CallFunction CreateObject Closure fork Enter Exit
    With Function
"""
LANGUAGE = frozenset(f"prim::{name}" for name in (*_LANGUAGE.split(), *_STRUCTURE.split()))
"""TorchScript itself: of this namespace, which also holds remote calls and compilers, only what stands here."""

_BODIES = """
    cond while_loop while_loop_stack_output scan associative_scan map_impl foreach_map wrap wrap_with_set_grad_enabled
    wrap_with_autocast strict_mode hints_wrapper out_dtype auto_functionalized auto_functionalized_v2 flex_attention
    invoke_subgraph invoke_quant invoke_quant_packed tag_activation_checkpoint wrap_activation_checkpoint with_effects
    run_with_rng_state run_and_save_rng_state _export_tracepoint
"""
HIGHER_ORDER = frozenset(f"higher_order::{name}" for name in _BODIES.split())
"""Operators that run graphs of the same file, whose operators are looked at in their turn."""

CLASSES = frozenset(
    {
        "torch.classes.quantized.LinearPackedParamsBase",
        "torch.classes.quantized.Conv2dPackedParamsBase",
        "torch.classes.quantized.Conv3dPackedParamsBase",
        "torch.classes.quantized.EmbeddingPackedParamsBase",
        "torch.classes.rnn.CellParamsBase",
    }
)
"""Classes written in C++ that hold the packed weights of quantized layers."""
