"""How functions are compiled that exist to be compiled into others, and how briefly.

Numba makes every function that compiled code calls ready for a call from Python too: a wrapper, machine code and the
link. A loop calls thirty scalars, so much of a first call's time would go into code that never runs. What is linked
into the callers is the same either way. It would also compile a function once for every constant that it is called
with, and look in each for what no loop has: closures, comprehensions, context managers, whole-array expressions.
"""

from __future__ import annotations

from functools import cached_property
from types import FunctionType
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.registry import CPUDispatcher
from numba.core.typed_passes import NativeLowering, NopythonTypeInference

from halfsim.core._operators import Inference, Lowering

__all__ = ["Inlined", "IntoCallers", "brief", "interpreted"]

# Passes over what no loop has. To name one that a version of Numba lacks does no harm.
_NEEDLESS = frozenset(
    {
        "DumpParforDiagnostics",
        "FindLiterallyCalls",
        "InlineClosureLikes",
        "InlineOverloads",
        "LiteralPropagationSubPipelinePass",
        "LiteralUnroll",
        "MakeFunctionToJitFunction",
        "NopythonRewrites",
        "RewriteDynamicRaises",
        "WithLifting",
    }
)


# Passes with a quicker form.
_QUICKER = {NopythonTypeInference: Inference, NativeLowering: Lowering}


def brief(pipeline: Any) -> Any:
    """Take the needless passes out of a pipeline of Numba's, and put quicker ones in."""
    pipeline.passes[:] = [
        (_QUICKER.get(step, step), reason) for step, reason in pipeline.passes if step.__name__ not in _NEEDLESS
    ]
    return pipeline


class _NoEnvironment:
    """A code generator that looks for no environment: only exceptions and Python objects need one."""

    def __init__(self, codegen: Any) -> None:
        self._codegen = codegen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._codegen, name)

    def set_env(self, env_name: str, env: Any) -> None:
        """Do nothing: the variable is in no machine code."""


class _Library(JITCodeLibrary):
    """Optimised code for others to link, without machine code."""

    @property
    def codegen(self) -> Any:
        return _NoEnvironment(self._codegen)

    def _optimize_functions(self, ll_module: Any) -> None:
        """Only lay data out as the callers do."""
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        """Do nothing: the code is optimised in every caller, and would be again."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0


@register_pass(mutates_CFG=True, analysis_only=False)
class _Lowering(Lowering):
    _name = "halfsim_inlined_lowering"

    def __init__(self) -> None:
        Lowering.__init__(self)

    def run_pass(self, state: Any) -> Any:
        state.library = _Library(state.targetctx.codegen(), state.func_id.func_qualname)
        return super().run_pass(state)


class IntoCallers(CompilerBase):
    """Numba's compiler for functions that only compiled code calls."""

    def define_pipelines(self) -> list[Any]:
        pipeline = brief(DefaultPassBuilder.define_nopython_pipeline(self.state))
        pipeline.passes[:] = [(_Lowering if step is Lowering else step, reason) for step, reason in pipeline.passes]
        return [pipeline]


def _plain(argument: Any) -> Any:
    """Return the type of an argument, for a constant that of its value."""
    return getattr(argument, "literal_type", argument)


class Inlined(CPUDispatcher):
    """A function to call from compiled code; a call from Python compiles a form of its own for that."""

    def __init__(
        self, py_func: Any, locals: Any = None, targetoptions: Any = None, pipeline_class: Any = IntoCallers
    ) -> None:
        options = {**(targetoptions or {}), "nopython": True, "no_cpython_wrapper": True}
        super().__init__(py_func, locals, options, pipeline_class)

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Return how a caller with arguments of these types calls the function: constants are nothing but integers."""
        return super().get_call_template(
            tuple(map(_plain, args)), {name: _plain(argument) for name, argument in kws.items()}
        )

    def __call__(self, *arguments: Any) -> Any:
        return self.alone(*arguments)

    @cached_property
    def alone(self) -> Any:
        """The form that Python calls."""
        return CPUDispatcher(self.py_func, targetoptions={**self.targetoptions, "no_cpython_wrapper": False})


def interpreted(function: Any) -> Any:
    """Return a core function as plain Python, all that it calls too: for what is asked once, nothing is compiled."""
    own = getattr(function, "py_func", function)
    called = {name: own.__globals__.get(name) for name in own.__code__.co_names}
    plain = {name: interpreted(value) for name, value in called.items() if isinstance(value, Inlined)}
    return FunctionType(own.__code__, {**own.__globals__, **plain}, own.__name__, own.__defaults__)
