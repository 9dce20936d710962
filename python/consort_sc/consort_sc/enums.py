"""Enumerations.

`from_expr` of each enumeration accepts a member, a number, `None`, or a name in any notation: in
upper or lower case, with underscores, hyphens or spaces, or as one word.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, SupportsInt, TypeVar

__all__ = [
    "AddAction",
    "BinaryOperator",
    "BootStatus",
    "CalculationRate",
    "DoneAction",
    "EnvelopeShape",
    "HeaderFormat",
    "NodeAction",
    "ParameterRate",
    "RequestId",
    "RequestName",
    "SampleFormat",
    "ServerLifecycleEvent",
    "ServerShutdownEvent",
    "SignalRange",
    "UnaryOperator",
]

_Member = TypeVar("_Member", bound=enum.Enum)


def _letters(text: str) -> str:
    """The letters and digits of a name in any notation: those of `addToHead` and `ADD_TO_HEAD` are
    the same."""
    return "".join(character for character in text if character.isalnum()).upper()


def _from_expr(cls: type[_Member], expr: Any) -> _Member:
    if isinstance(expr, cls):
        return expr
    try:
        if isinstance(expr, str):
            wanted = _letters(expr)
            for name, member in cls.__members__.items():
                if _letters(name) == wanted:
                    return member
        elif expr is None:
            return cls(0)
        else:
            return cls(int(expr))
    except TypeError:
        pass
    names = ", ".join(list(cls.__members__)[:20])
    more = ", …" if len(cls.__members__) > 20 else ""
    raise ValueError(
        f"Cannot instantiate {cls.__name__} from {expr!r}: "
        f"expected a number or one of {names}{more}"
    )


class _IntEnum(enum.IntEnum):
    """An enumeration of numbers whose members are printed as numbers."""

    __str__ = int.__repr__

    def __format__(self, format_spec: str) -> str:
        return int.__format__(self, format_spec)


class AddAction(_IntEnum):
    """Where a new node is placed, relative to its target."""

    ADD_TO_HEAD = 0
    ADD_TO_TAIL = 1
    ADD_BEFORE = 2
    ADD_AFTER = 3
    REPLACE = 4

    @classmethod
    def from_expr(cls, expr: AddAction | SupportsInt | str | None) -> AddAction:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class BinaryOperator(_IntEnum):
    """Operators on two signals; the numbers are those of the server."""

    ADDITION = 0
    SUBTRACTION = 1
    MULTIPLICATION = 2
    INTEGER_DIVISION = 3
    FLOAT_DIVISION = 4
    MODULO = 5
    EQUAL = 6
    NOT_EQUAL = 7
    LESS_THAN = 8
    GREATER_THAN = 9
    LESS_THAN_OR_EQUAL = 10
    GREATER_THAN_OR_EQUAL = 11
    MINIMUM = 12
    MAXIMUM = 13
    BITWISE_AND = 14
    BITWISE_OR = 15
    BITWISE_XOR = 16
    LCM = 17
    GCD = 18
    ROUND = 19
    ROUND_UP = 20
    TRUNCATION = 21
    ATAN2 = 22
    HYPOT = 23
    HYPOTX = 24
    POWER = 25
    SHIFT_LEFT = 26
    SHIFT_RIGHT = 27
    UNSIGNED_SHIFT = 28
    FILL = 29
    RING1 = 30
    RING2 = 31
    RING3 = 32
    RING4 = 33
    DIFFERENCE_OF_SQUARES = 34
    SUM_OF_SQUARES = 35
    SQUARE_OF_SUM = 36
    SQUARE_OF_DIFFERENCE = 37
    ABSOLUTE_DIFFERENCE = 38
    THRESHOLD = 39
    AMPLITUDE_CLIPPING = 40
    SCALE_NEGATIVE = 41
    CLIP2 = 42
    EXCESS = 43
    FOLD2 = 44
    WRAP2 = 45
    FIRST_ARG = 46
    RANDRANGE = 47
    EXPRANDRANGE = 48

    @classmethod
    def from_expr(cls, expr: BinaryOperator | SupportsInt | str | None) -> BinaryOperator:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class BootStatus(_IntEnum):
    """What a context does."""

    OFFLINE = 0
    BOOTING = 1
    ONLINE = 2
    QUITTING = 3

    @classmethod
    def from_expr(cls, expr: BootStatus | SupportsInt | str | None) -> BootStatus:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class CalculationRate(_IntEnum):
    """How often a UGen computes: once, each control period, each sample, or on demand."""

    AUDIO = 2
    CONTROL = 1
    DEMAND = 3
    SCALAR = 0
    AR = 2
    KR = 1
    DR = 3
    IR = 0

    @classmethod
    def from_expr(cls, expr: Any) -> CalculationRate:
        """The member of a name, or the rate of a signal; of a sequence, the highest. Numbers and
        `None` are scalar."""
        if isinstance(expr, CalculationRate):
            return expr
        if isinstance(expr, str):
            return _from_expr(cls, expr)
        if isinstance(expr, ParameterRate):
            return _PARAMETER_RATES[expr]
        if type(expr).__name__ == cls.__name__ and hasattr(expr, "token"):
            return cls(int(expr))
        rate = getattr(expr, "calculation_rate", None)
        if rate is not None:
            return _from_expr(cls, rate)
        if isinstance(expr, Sequence) or (hasattr(expr, "__iter__") and hasattr(expr, "__len__")):
            return max((cls.from_expr(item) for item in expr), default=cls.SCALAR)
        if expr is None or hasattr(expr, "__float__") or hasattr(expr, "serialize"):
            return cls.SCALAR
        return _from_expr(cls, expr)

    @property
    def token(self) -> str:
        """The name of the rate in SuperCollider: `ir`, `kr`, `ar` or `dr`."""
        return ("ir", "kr", "ar", "dr")[self]


class DoneAction(_IntEnum):
    """What an envelope, a line or a player does to its synth when it has finished."""

    NOTHING = 0
    PAUSE_SYNTH = 1
    FREE_SYNTH = 2
    FREE_SYNTH_AND_PRECEDING_NODE = 3
    FREE_SYNTH_AND_FOLLOWING_NODE = 4
    FREE_SYNTH_AND_FREEALL_PRECEDING_NODE = 5
    FREE_SYNTH_AND_FREEALL_FOLLOWING_NODE = 6
    FREE_SYNTH_AND_ALL_PRECEDING_NODES_IN_GROUP = 7
    FREE_SYNTH_AND_ALL_FOLLOWING_NODES_IN_GROUP = 8
    FREE_SYNTH_AND_PAUSE_PRECEDING_NODE = 9
    FREE_SYNTH_AND_PAUSE_FOLLOWING_NODE = 10
    FREE_SYNTH_AND_DEEPFREE_PRECEDING_NODE = 11
    FREE_SYNTH_AND_DEEPFREE_FOLLOWING_NODE = 12
    FREE_SYNTH_AND_ALL_SIBLING_NODES = 13
    FREE_SYNTH_AND_ENCLOSING_GROUP = 14

    @classmethod
    def from_expr(cls, expr: DoneAction | SupportsInt | str | None) -> DoneAction:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class EnvelopeShape(_IntEnum):
    """The shape of a segment of an envelope."""

    STEP = 0
    LINEAR = 1
    EXPONENTIAL = 2
    SINE = 3
    WELCH = 4
    CUSTOM = 5
    SQUARED = 6
    CUBED = 7
    HOLD = 8

    @classmethod
    def from_expr(cls, expr: EnvelopeShape | SupportsInt | str | None) -> EnvelopeShape:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class HeaderFormat(_IntEnum):
    """The container of a sound file."""

    AIFF = 0
    IRCAM = 1
    NEXT = 2
    RAW = 3
    WAV = 4

    @classmethod
    def from_expr(cls, expr: HeaderFormat | SupportsInt | str | None) -> HeaderFormat:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class NodeAction(_IntEnum):
    """What a notification about a node reports."""

    NODE_CREATED = 0
    NODE_REMOVED = 1
    NODE_ACTIVATED = 2
    NODE_DEACTIVATED = 3
    NODE_MOVED = 4
    NODE_QUERIED = 5

    @classmethod
    def from_expr(cls, expr: NodeAction | SupportsInt | str | None) -> NodeAction:
        """The member of an expression, or of the address of a notification, such as `/n_go`;
        `None` is the member 0."""
        addresses = {
            "/n_go": cls.NODE_CREATED,
            "/n_end": cls.NODE_REMOVED,
            "/n_on": cls.NODE_ACTIVATED,
            "/n_off": cls.NODE_DEACTIVATED,
            "/n_move": cls.NODE_MOVED,
            "/n_info": cls.NODE_QUERIED,
        }
        if isinstance(expr, str) and expr in addresses:
            return addresses[expr]
        return _from_expr(cls, expr)


class ParameterRate(_IntEnum):
    """How a control of a SynthDef behaves."""

    AUDIO = 2
    CONTROL = 3
    SCALAR = 0
    TRIGGER = 1
    AR = 2
    KR = 3
    IR = 0
    TR = 1

    @classmethod
    def from_expr(cls, expr: ParameterRate | SupportsInt | str | None) -> ParameterRate:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class RequestId(_IntEnum):
    """The numbers of the commands of a server."""

    BUFFER_ALLOCATE = 28
    BUFFER_ALLOCATE_READ = 29
    BUFFER_ALLOCATE_READ_CHANNEL = 54
    BUFFER_CLOSE = 33
    BUFFER_FILL = 37
    BUFFER_FREE = 32
    BUFFER_GENERATE = 38
    BUFFER_GET = 42
    BUFFER_GET_CONTIGUOUS = 43
    BUFFER_QUERY = 47
    BUFFER_READ = 30
    BUFFER_READ_CHANNEL = 55
    BUFFER_SET = 35
    BUFFER_SET_CONTIGUOUS = 36
    BUFFER_WRITE = 31
    BUFFER_ZERO = 34
    CLEAR_SCHEDULE = 51
    COMMAND = 4
    CONTROL_BUS_FILL = 27
    CONTROL_BUS_GET = 40
    CONTROL_BUS_GET_CONTIGUOUS = 41
    CONTROL_BUS_SET = 25
    CONTROL_BUS_SET_CONTIGUOUS = 26
    DUMP_OSC = 39
    ERROR = 58
    GROUP_DEEP_FREE = 50
    GROUP_DUMP_TREE = 56
    GROUP_FREE_ALL = 24
    GROUP_HEAD = 22
    GROUP_NEW = 21
    GROUP_QUERY_TREE = 57
    GROUP_TAIL = 23
    NODE_AFTER = 19
    NODE_BEFORE = 18
    NODE_COMMAND = 13
    NODE_FILL = 17
    NODE_FREE = 11
    NODE_MAP_TO_CONTROL_BUS = 14
    NODE_MAP_TO_AUDIO_BUS = 60
    NODE_MAP_TO_AUDIO_BUS_CONTIGUOUS = 61
    NODE_MAP_TO_CONTROL_BUS_CONTIGUOUS = 48
    NODE_ORDER = 62
    NODE_QUERY = 46
    NODE_RUN = 12
    NODE_SET = 15
    NODE_SET_CONTIGUOUS = 16
    NODE_TRACE = 10
    NOTHING = 0
    NOTIFY = 1
    PARALLEL_GROUP_NEW = 63
    QUIT = 3
    STATUS = 2
    SYNC = 52
    SYNTHDEF_FREE = 53
    SYNTHDEF_FREE_ALL = 8
    SYNTHDEF_LOAD = 6
    SYNTHDEF_LOAD_DIR = 7
    SYNTHDEF_RECEIVE = 5
    SYNTH_GET = 44
    SYNTH_GET_CONTIGUOUS = 45
    SYNTH_NEW = 9
    SYNTH_NEWARGS = 59
    SYNTH_NOID = 49
    UGEN_COMMAND = 20
    VERSION = 64

    @classmethod
    def from_expr(cls, expr: RequestId | SupportsInt | str | None) -> RequestId:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)

    @property
    def request_name(self) -> RequestName:
        """The address of the command."""
        return RequestName.from_expr(self.name)


class RequestName(enum.Enum):
    """The addresses of the commands of a server."""

    BUFFER_ALLOCATE = "/b_alloc"
    BUFFER_ALLOCATE_READ = "/b_allocRead"
    BUFFER_ALLOCATE_READ_CHANNEL = "/b_allocReadChannel"
    BUFFER_CLOSE = "/b_close"
    BUFFER_FILL = "/b_fill"
    BUFFER_FREE = "/b_free"
    BUFFER_GENERATE = "/b_gen"
    BUFFER_GET = "/b_get"
    BUFFER_GET_CONTIGUOUS = "/b_getn"
    BUFFER_QUERY = "/b_query"
    BUFFER_READ = "/b_read"
    BUFFER_READ_CHANNEL = "/b_readChannel"
    BUFFER_SET = "/b_set"
    BUFFER_SET_CONTIGUOUS = "/b_setn"
    BUFFER_WRITE = "/b_write"
    BUFFER_ZERO = "/b_zero"
    CLEAR_SCHEDULE = "/clearSched"
    COMMAND = "/cmd"
    CONTROL_BUS_FILL = "/c_fill"
    CONTROL_BUS_GET = "/c_get"
    CONTROL_BUS_GET_CONTIGUOUS = "/c_getn"
    CONTROL_BUS_SET = "/c_set"
    CONTROL_BUS_SET_CONTIGUOUS = "/c_setn"
    DUMP_OSC = "/dumpOSC"
    ERROR = "/error"
    GROUP_DEEP_FREE = "/g_deepFree"
    GROUP_DUMP_TREE = "/g_dumpTree"
    GROUP_FREE_ALL = "/g_freeAll"
    GROUP_HEAD = "/g_head"
    GROUP_NEW = "/g_new"
    GROUP_QUERY_TREE = "/g_queryTree"
    GROUP_TAIL = "/g_tail"
    NODE_AFTER = "/n_after"
    NODE_BEFORE = "/n_before"
    NODE_FILL = "/n_fill"
    NODE_FREE = "/n_free"
    NODE_MAP_TO_AUDIO_BUS = "/n_mapa"
    NODE_MAP_TO_AUDIO_BUS_CONTIGUOUS = "/n_mapan"
    NODE_MAP_TO_CONTROL_BUS = "/n_map"
    NODE_MAP_TO_CONTROL_BUS_CONTIGUOUS = "/n_mapn"
    NODE_ORDER = "/n_order"
    NODE_QUERY = "/n_query"
    NODE_RUN = "/n_run"
    NODE_SET = "/n_set"
    NODE_SET_CONTIGUOUS = "/n_setn"
    NODE_TRACE = "/n_trace"
    NOTHING = None
    NOTIFY = "/notify"
    PARALLEL_GROUP_NEW = "/p_new"
    QUIT = "/quit"
    STATUS = "/status"
    SYNC = "/sync"
    SYNTHDEF_FREE = "/d_free"
    SYNTHDEF_FREE_ALL = "/d_freeAll"
    SYNTHDEF_LOAD = "/d_load"
    SYNTHDEF_LOAD_DIR = "/d_loadDir"
    SYNTHDEF_RECEIVE = "/d_recv"
    SYNTH_GET = "/s_get"
    SYNTH_GET_CONTIGUOUS = "/s_getn"
    SYNTH_NEW = "/s_new"
    SYNTH_NOID = "/s_noid"
    UGEN_COMMAND = "/u_cmd"
    VERSION = "/version"

    @classmethod
    def from_expr(cls, expr: RequestName | SupportsInt | str | None) -> RequestName:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)

    @property
    def request_id(self) -> RequestId:
        """The number of the command."""
        return RequestId.from_expr(self.name)


class SampleFormat(_IntEnum):
    """The format of the samples of a sound file."""

    INT24 = 0
    ALAW = 1
    DOUBLE = 2
    FLOAT = 3
    INT8 = 4
    INT16 = 5
    INT32 = 6
    MULAW = 7

    @classmethod
    def from_expr(cls, expr: SampleFormat | SupportsInt | str | None) -> SampleFormat:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class ServerLifecycleEvent(_IntEnum):
    """What happens to a server while it boots, connects and quits."""

    BOOTING = 1
    PROCESS_BOOTED = 2
    CONNECTING = 3
    OSC_CONNECTED = 4
    CONNECTED = 5
    BOOTED = 6
    OSC_PANICKED = 7
    PROCESS_PANICKED = 8
    QUITTING = 9
    DISCONNECTING = 10
    OSC_DISCONNECTED = 11
    DISCONNECTED = 12
    PROCESS_QUIT = 13
    QUIT = 14

    @classmethod
    def from_expr(
        cls, expr: ServerLifecycleEvent | SupportsInt | str | None
    ) -> ServerLifecycleEvent:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class ServerShutdownEvent(_IntEnum):
    """Why a server is no longer available."""

    QUIT = 1
    DISCONNECT = 2
    OSC_PANIC = 3
    PROCESS_PANIC = 4
    TOO_MANY_CLIENTS = 5

    @classmethod
    def from_expr(cls, expr: ServerShutdownEvent | SupportsInt | str | None) -> ServerShutdownEvent:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class SignalRange(_IntEnum):
    """Whether a signal has values from 0 to 1 or from -1 to 1."""

    UNIPOLAR = 0
    BIPOLAR = 1

    @classmethod
    def from_expr(cls, expr: SignalRange | SupportsInt | str | None) -> SignalRange:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


class UnaryOperator(_IntEnum):
    """Operators on one signal; the numbers are those of the server."""

    ABSOLUTE_VALUE = 5
    AMPLITUDE_TO_DB = 22
    ARCCOS = 32
    ARCSIN = 31
    ARCTAN = 33
    AS_FLOAT = 6
    AS_INT = 7
    BILINRAND = 40
    BIT_NOT = 4
    CEILING = 8
    COIN = 44
    COS = 29
    COSH = 35
    CUBED = 13
    DB_TO_AMPLITUDE = 21
    DIGIT_VALUE = 45
    DISTORT = 42
    EXPONENTIAL = 15
    FLOOR = 9
    FRACTIONAL_PART = 10
    HZ_TO_MIDI = 18
    HZ_TO_OCTAVE = 24
    HANNING_WINDOW = 49
    IS_NIL = 2
    LINRAND = 39
    LOG = 25
    LOG10 = 27
    LOG2 = 26
    MIDI_TO_HZ = 17
    SEMITONES_TO_RATIO = 19
    NEGATIVE = 0
    NOT = 1
    NOT_NIL = 3
    OCTAVE_TO_HZ = 23
    RAMP = 52
    RAND = 37
    RAND2 = 38
    RATIO_TO_SEMITONES = 20
    RECIPROCAL = 16
    RECTANGLE_WINDOW = 48
    S_CURVE = 53
    SIGN = 11
    SILENCE = 46
    SIN = 28
    SINH = 34
    SOFTCLIP = 43
    SQUARE_ROOT = 14
    SQUARED = 12
    SUM3RAND = 41
    TAN = 30
    TANH = 36
    THRU = 47
    TRIANGLE_WINDOW = 51
    WELCH_WINDOW = 50

    @classmethod
    def from_expr(cls, expr: UnaryOperator | SupportsInt | str | None) -> UnaryOperator:
        """The member of an expression; `None` is the member 0."""
        return _from_expr(cls, expr)


_PARAMETER_RATES = {
    ParameterRate.SCALAR: CalculationRate.SCALAR,
    ParameterRate.TRIGGER: CalculationRate.CONTROL,
    ParameterRate.AUDIO: CalculationRate.AUDIO,
    ParameterRate.CONTROL: CalculationRate.CONTROL,
}
