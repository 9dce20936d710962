"""UGens, SynthDefs, and what builds them.

UGens, their outputs and vectors are compiled; the classes of this module add SynthDefs, the
decorators `synthdef` and `ugen`, and reading of compiled files.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from types import GenericAlias, MappingProxyType
from typing import Any, NamedTuple, Protocol, SupportsFloat, Union, runtime_checkable

from .. import _core
from .._core import (
    BuilderBase,
    ClassSpec,
    CompiledGraph,
    ConstantProxy,
    Control,
    OutputProxy,
    Parameter,
    RateMethod,
    UGen,
    UGenOperable,
    UGenScalar,
    UGenVector,
)
from ..enums import (
    BinaryOperator,
    CalculationRate,
    DoneAction,
    ParameterRate,
    SignalRange,
    UnaryOperator,
)
from ..typing import MISSING, Default, Missing
from . import _fold
from ._classes import (
    CLASSES,
    DONE,
    INPUT,
    OUTPUT,
    PURE,
    PV_CHAIN,
    TOKENS,
    WIDTH_FIRST,
    _ConstructorSignature,
    create,
    input_property,
)

__all__ = [
    "AudioControl",
    "BinaryOpUGen",
    "Check",
    "ConstantProxy",
    "Control",
    "LagControl",
    "OutputProxy",
    "Param",
    "Parameter",
    "PseudoUGen",
    "SuperColliderSynthDef",
    "SynthDef",
    "SynthDefBuilder",
    "SynthDefError",
    "TrigControl",
    "UGen",
    "UGenOperable",
    "UGenRecursiveInput",
    "UGenScalar",
    "UGenScalarInput",
    "UGenSerializable",
    "UGenVector",
    "UGenVectorInput",
    "UnaryOpUGen",
    "compile_synthdefs",
    "decompile_synthdef",
    "decompile_synthdefs",
    "param",
    "synthdef",
    "ugen",
]


class SynthDefError(Exception):
    """A SynthDef cannot be built; the message says why."""


class Check(enum.Enum):
    """Which rates an input of a UGen may have. The server checks it."""

    NONE = 0
    SAME_AS_FIRST = 1
    SAME_OR_SLOWER = 2


class Param(NamedTuple):
    """An input of a UGen class; `param` creates it."""

    default: Default | Missing | float | None = None
    check: Check = Check.NONE
    unexpanded: bool = False


def param(
    default: Default | Missing | float | None = MISSING,
    *,
    check: Check = Check.NONE,
    unexpanded: bool = False,
) -> Param:
    """An input of a UGen class: its default, and whether it takes a list of inputs as it is instead
    of being expanded into several UGens."""
    return Param(default, check, unexpanded)


@runtime_checkable
class UGenSerializable(Protocol):
    """What can be given to a UGen as a list of inputs, such as an envelope."""

    def serialize(self, **kwargs: Any) -> UGenVector:
        """The inputs."""
        ...


UGenScalarInput = Union[SupportsFloat, UGenScalar]
UGenVectorInput = Union[UGenSerializable, Sequence[UGenScalarInput]]
UGenRecursiveInput = Union[
    SupportsFloat, UGenOperable, UGenSerializable, Sequence["UGenRecursiveInput"]
]

UGen._spec = ClassSpec("UGen", [], [])
UGen._signal_range = SignalRange.BIPOLAR
UGen.signal_range = property(
    lambda self: self._signal_range, doc="Whether the UGen has values from 0 to 1 or -1 to 1."
)
UGen.__signature__ = _ConstructorSignature()
for _cls in (UGen, UGenVector):
    Sequence.register(_cls)
    setattr(_cls, "__class_getitem__", classmethod(GenericAlias))
    for _name in ("__contains__", "__reversed__", "count", "index"):
        setattr(_cls, _name, getattr(Sequence, _name))
Parameter._spec = UGen._spec


UnaryOpUGen = create(
    "UnaryOpUGen",
    "core",
    methods={
        "operator": property(lambda self: UnaryOperator(self.special_index), doc="The operator.")
    },
)
BinaryOpUGen = create(
    "BinaryOpUGen",
    "core",
    methods={
        "operator": property(lambda self: BinaryOperator(self.special_index), doc="The operator.")
    },
)
Control._spec = ClassSpec("Control", [], [])


class AudioControl(Control):
    """Holds the values of parameters at audio rate."""

    _spec = ClassSpec("AudioControl", [], [])


class TrigControl(Control):
    """Holds the values of parameters that return to zero after one control period."""

    _spec = ClassSpec("TrigControl", [], [])


class LagControl(Control):
    """Holds the values of parameters of which at least one is smoothed."""

    _spec = ClassSpec("LagControl", [("lags", MISSING, True)], [])
    lags = input_property(0)


for _holder in (Control, AudioControl, TrigControl, LagControl, Parameter):
    CLASSES[_holder.__name__] = _holder

_core.setup(
    calculation_rate=CalculationRate,
    parameter_rate=ParameterRate,
    done_action=DoneAction,
    synthdef_error=SynthDefError,
    unary_operator=UnaryOperator,
    binary_operator=BinaryOperator,
    unary_functions=_fold.UNARY,
    binary_functions=_fold.BINARY,
    classes=CLASSES,
)


class PseudoUGen:
    """The base of classes whose methods create several UGens. It has no objects."""

    def __init__(self) -> None:
        raise NotImplementedError(f"{type(self).__name__} has no objects; call its methods")


def ugen(
    *,
    ar: bool = False,
    kr: bool = False,
    ir: bool = False,
    dr: bool = False,
    new: bool = False,
    has_done_flag: bool = False,
    is_input: bool = False,
    is_multichannel: bool = False,
    is_output: bool = False,
    is_pure: bool = False,
    is_width_first: bool = False,
    channel_count: int = 1,
    fixed_channel_count: bool = False,
    signal_range: int | None = None,
) -> Callable[[type[UGen]], type[UGen]]:
    """Makes a class of UGens of a class that derives from `UGen`; its attributes that `param`
    created are the inputs, in their order.

    `ar`, `kr`, `ir` and `dr` are the rates, each of which gets a method; `new` adds a method whose
    rate is that of its inputs. `is_pure` UGens are removed if nothing reads them; `is_width_first`
    UGens run before all that are created later. With `is_multichannel`, `channel_count` is a
    parameter of the methods; otherwise, it is the number of outputs.
    """
    if is_multichannel and fixed_channel_count:
        raise ValueError("`is_multichannel` and `fixed_channel_count` exclude each other")

    def decorate(cls: type[UGen]) -> type[UGen]:
        params = {name: value for name, value in vars(cls).items() if isinstance(value, Param)}
        flags = (
            PURE * is_pure
            | WIDTH_FIRST * is_width_first
            | DONE * has_done_flag
            | INPUT * is_input
            | OUTPUT * is_output
        )
        chain = CLASSES.get("PV_ChainUGen")
        if chain is not None and issubclass(cls, chain):
            flags |= PV_CHAIN | WIDTH_FIRST
        rates = [rate for rate, wanted in ((2, ar), (1, kr), (0, ir), (3, dr)) if wanted]
        spec = ClassSpec(
            cls.__name__,
            [(name, value.default, value.unexpanded) for name, value in params.items()],
            [] if new else rates,
            flags,
            channel_count,
            is_multichannel,
        )
        cls._spec = spec
        if signal_range is not None:
            cls._signal_range = SignalRange(signal_range)
        for position, name in enumerate(params):
            setattr(cls, name, input_property(position))
        for rate in rates:
            setattr(cls, TOKENS[rate], RateMethod(spec, rate))
        if new:
            setattr(cls, "new", RateMethod(spec))
        # Files may contain the UGen; the classes of the package stay.
        if not CLASSES.get(cls.__name__, cls).__module__.startswith("consort_sc."):
            CLASSES[cls.__name__] = cls
        CLASSES.setdefault(cls.__name__, cls)
        return cls

    return decorate


class SynthDef:
    """A compiled instrument: UGens in the order in which the server runs them."""

    def __init__(self, ugens: Sequence[UGen], name: str | None = None) -> None:
        self._graph = CompiledGraph(list(ugens))
        self._name = name

    @classmethod
    def _from_graph(cls, graph: CompiledGraph, name: str | None) -> SynthDef:
        self = cls.__new__(cls)
        self._graph = graph
        self._name = name
        return self

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.compile() == other.compile()

    def __hash__(self) -> int:
        return hash((type(self), self._name, self._graph.anonymous_name))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.effective_name}>"

    def __str__(self) -> str:
        from ._text import synthdef_text

        return synthdef_text(self)

    def __graph__(self) -> Any:
        """The graph for Graphviz."""
        from ._text import SynthDefGraph

        return SynthDefGraph(self)

    def __copy__(self) -> SynthDef:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> SynthDef:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (type(self), self._name, self._graph.compile("stored")))

    def compile(self, use_anonymous_name: bool = False) -> bytes:
        """The bytes that `/d_recv` takes. With `use_anonymous_name`, the name is derived from the
        graph."""
        return self._graph.compile(None if use_anonymous_name else self._name)

    @property
    def anonymous_name(self) -> str:
        """A name that is derived from the graph: its MD5 digest in hexadecimal."""
        return self._graph.anonymous_name

    @property
    def constants(self) -> tuple[float, ...]:
        """The different numbers among the inputs, in the order of their first use."""
        numbers: dict[float, None] = {}
        for ugen_ in self.ugens:
            for input_ in ugen_.inputs:
                if isinstance(input_, float):
                    numbers.setdefault(input_)
        return tuple(numbers)

    @property
    def controls(self) -> tuple[Control, ...]:
        """The UGens that hold the parameters."""
        return tuple(ugen_ for ugen_ in self.ugens if isinstance(ugen_, Control))

    @property
    def effective_name(self) -> str:
        """The name, or the one that is derived from the graph."""
        return self._name or self.anonymous_name

    @property
    def has_gate(self) -> bool:
        """Whether there is a parameter named `gate`."""
        return self._graph.has_gate

    @property
    def indexed_parameters(self) -> Sequence[tuple[int, Parameter]]:
        """The parameters with the indices of their first values, by index."""
        return [(index, parameter) for parameter, index in self.parameters.values()]

    @property
    def name(self) -> str | None:
        """The name, if there is one."""
        return self._name

    @property
    def parameters(self) -> Mapping[str, tuple[Parameter, int]]:
        """The parameters and the indices of their first values, by name."""
        parameters = {}
        for control in sorted(self.controls, key=lambda control: control.special_index):
            index = control.special_index
            for parameter in control.parameters:
                parameters[parameter.name or ""] = (parameter, index)
                index += len(parameter)
        return MappingProxyType(parameters)

    @property
    def ugens(self) -> tuple[UGen, ...]:
        """The UGens in the order in which the server runs them."""
        return self._graph.ugens


def _restore(cls: type[SynthDef], name: str | None, data: bytes) -> SynthDef:
    [(_, graph)] = _core.read_graphs(data)
    return cls._from_graph(graph, name)


class SynthDefBuilder(BuilderBase):
    """Collects UGens, as a context manager. Keyword arguments are parameters: a number, a sequence
    of numbers, or a `Parameter`.

    UGens belong to the innermost builder that is entered on their thread.
    """

    def build(self, name: str | None = None, optimize: bool = True) -> SynthDef:
        """The SynthDef of the UGens that have been created so far. With `optimize`, pure UGens that
        nothing reads are removed.

        Raises `SynthDefError` if no UGen is left, or if the graph exceeds the limits of the format.
        """
        return SynthDef._from_graph(self._compile(optimize), name)


class SuperColliderSynthDef:
    """A SynthDef in SuperCollider's own language, which `sclang` compiles."""

    def __init__(self, name: str, body: str, rates: str | None = None, version: int = 2) -> None:
        self._name = name
        self._body = body
        self._rates = rates
        self._version = version

    def compile(self) -> bytes:
        """Runs `sclang` and returns the bytes that `/d_recv` takes. Blocks until the program exits,
        for at most 60 seconds.

        Raises `RuntimeError` if `sclang` is not installed or cannot compile the SynthDef.
        """
        import os
        import subprocess
        import tempfile
        from pathlib import Path

        from .. import sclang

        program = sclang.find()
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / f"{self._name}.scsyndef"
            write = "writeDefFile" if self._version == 2 else "writeDefFileOld"
            source = Path(folder) / "build.scd"
            rates = f", {self._rates}" if self._rates else ""
            source.write_text(
                f'SynthDef(\\{self._name}, {self._body}{rates}).{write}("{folder}");\n0.exit;\n',
                encoding="utf-8",
            )
            result = subprocess.run(
                [program, "-D", str(source)],
                capture_output=True,
                text=True,
                timeout=60,
                env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
                check=False,
            )
            if not target.exists():
                raise RuntimeError(
                    f"sclang did not compile `{self._name}` (exit code {result.returncode}): "
                    f"{result.stdout.strip()}"
                )
            return target.read_bytes()


def _named_graph(synthdef: Any, use_anonymous_name: bool) -> tuple[str | None, CompiledGraph]:
    if isinstance(synthdef, SynthDef):
        return (None if use_anonymous_name else synthdef.name), synthdef._graph
    compile_ = getattr(synthdef, "compile", None)
    if compile_ is None:
        raise TypeError(f"expected SynthDefs, found {synthdef!r}")
    [(name, graph)] = _core.read_graphs(compile_())
    return (None if use_anonymous_name else name), graph


def compile_synthdefs(
    synthdef: SynthDef, *synthdefs: SynthDef, use_anonymous_names: bool = False
) -> bytes:
    """The bytes of one file that holds all SynthDefs."""
    graphs = [_named_graph(item, use_anonymous_names) for item in (synthdef, *synthdefs)]
    return _core.compile_graphs(graphs)


def decompile_synthdefs(value: bytes) -> list[SynthDef]:
    """The SynthDefs of a file.

    Raises `ValueError` if the bytes are not such a file, or a UGen has no class here.
    """
    synthdefs = [SynthDef._from_graph(graph, name) for name, graph in _core.read_graphs(value)]
    for synthdef_ in synthdefs:
        # Reports UGens without a class now, not when they are first used.
        _ = synthdef_.ugens
    return synthdefs


def decompile_synthdef(value: bytes) -> SynthDef:
    """The SynthDef of a file that holds one.

    Raises `ValueError` if the bytes are not such a file, or a UGen has no class here.
    """
    synthdefs = decompile_synthdefs(value)
    if len(synthdefs) != 1:
        raise ValueError(f"expected a file with one SynthDef, found {len(synthdefs)}")
    return synthdefs[0]


def synthdef(*args: str | tuple[str, float]) -> Callable[[Callable[..., Any]], SynthDef]:
    """Makes a SynthDef of a function. Its parameters, which need defaults, are those of the
    SynthDef; the decorator's arguments are their rates, or rates and lags in seconds, in the same
    order."""

    def decorate(function: Callable[..., Any]) -> SynthDef:
        if not callable(function):
            raise TypeError(f"{function!r} is not a callable object")
        import inspect

        builder = SynthDefBuilder()
        arguments = {}
        for position, parameter in enumerate(inspect.signature(function).parameters.values()):
            rate: Any = ParameterRate.CONTROL
            lag: float | None = None
            if position < len(args):
                given = args[position]
                if isinstance(given, str):
                    rate = ParameterRate.from_expr(given)
                else:
                    rate, lag = ParameterRate.from_expr(given[0]), given[1]
            value: Any = parameter.default
            if value is inspect.Parameter.empty:
                value = 0.0
            arguments[parameter.name] = builder.add_parameter(
                name=parameter.name, value=value, rate=rate, lag=lag
            )
        with builder:
            function(**arguments)
        return builder.build(name=function.__name__)

    return decorate


def _operable_synthdef(self: UGenOperable) -> SynthDef:
    """The SynthDef of the UGens that the signal depends on, for its text."""
    ugens: list[UGen] = []

    def collect(item: UGenOperable) -> None:
        if isinstance(item, OutputProxy):
            ugens.append(item.ugen)
        elif isinstance(item, UGen):
            ugens.append(item)
        elif isinstance(item, UGenVector):
            for value in item:
                collect(value)

    collect(self)
    return SynthDef._from_graph(CompiledGraph.of_outputs(ugens), "...")


def _operable_text(self: UGenOperable) -> str:
    return str(_operable_synthdef(self))


def _operable_graph(self: UGenOperable) -> Any:
    """The graph for Graphviz."""
    return _operable_synthdef(self).__graph__()


UGenOperable.__synthdef__ = _operable_synthdef
UGenOperable.__graph__ = _operable_graph
setattr(UGenOperable, "__str__", _operable_text)
