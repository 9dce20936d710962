"""Scopes: what buses carry, in the server's shared memory."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from ..enums import AddAction, CalculationRate, ServerLifecycleEvent
from ..exceptions import ServerOffline
from ..typing import AddActionLike
from ..ugens import SynthDef
from ..ugens.system import AMPLITUDE_SCOPE_SYNTHDEFS, FREQUENCY_SCOPE_SYNTHDEFS
from .entities import Bus, BusGroup, Node, ScopeBuffer, Synth

if TYPE_CHECKING:
    from ._base import BaseServer
    from ._lifecycle import ServerLifecycleCallback

#: The most channels of a scope of amplitudes.
_MAX_CHANNELS = 16


class BaseScope:
    """The base class of scopes."""

    def __init__(
        self,
        *,
        add_action: AddActionLike = AddAction.ADD_TO_TAIL,
        bus: Bus | BusGroup,
        context: BaseServer,
        target_node: Node | None = None,
    ) -> None:
        for object_ in (bus, target_node):
            if object_ is not None and object_.context is not context:
                raise ValueError(f"{object_!r} belongs to another context")
        self.add_action = AddAction.from_expr(add_action)
        self.bus = bus
        self.context = context
        self.target_node: Node = target_node or context.root_node
        self.channel_count = 0
        self.max_frames = 0
        self.lifecycle_callback: ServerLifecycleCallback | None = None
        self.lock = threading.Lock()
        self.scope_buffer: ScopeBuffer | None = None
        self.status: Literal["online", "offline"] = "offline"
        self.synth: Synth | None = None

    def _add_synth(self, scope_buffer: ScopeBuffer, synthdef: SynthDef) -> Synth:
        """Adds the synth that writes the scope."""
        raise NotImplementedError

    def _get_synthdef(self) -> SynthDef:
        """The SynthDef of that synth."""
        raise NotImplementedError

    def _memory(self) -> Any:
        memory = self.context.shared_memory
        if memory is None:
            raise ValueError(
                "scopes need a server of this machine, whose shared memory is readable"
            )
        return memory

    def play(self) -> None:
        """Begins."""
        with self.lock:
            if self.status == "online":
                return
            self._memory()
            synthdef = self._get_synthdef()
            self.scope_buffer = self.context.add_scope_buffer()
            with self.context.at(), self.context.add_synthdefs(synthdef):
                self.synth = self._add_synth(self.scope_buffer, synthdef)
            self.lifecycle_callback = self.context.register_lifecycle_callback(
                event=[
                    ServerLifecycleEvent.OSC_PANICKED,
                    ServerLifecycleEvent.PROCESS_PANICKED,
                    ServerLifecycleEvent.QUITTING,
                ],
                procedure=lambda event: self.stop(),
                once=True,
            )
            self.status = "online"

    def read(self) -> tuple[int, list[float]]:
        """The number of frames since the last call, and their samples, one channel after another.

        Raises `ValueError` if the scope does not play.
        """
        if self.status != "online" or self.scope_buffer is None:
            raise ValueError("the scope does not play")
        memory, index = self._memory(), int(self.scope_buffer)
        self.channel_count, self.max_frames = memory.describe_scope_buffer(index)
        count, samples = memory.read_scope_buffer(index)
        return count, samples

    def stop(self) -> None:
        """Ends."""
        with self.lock:
            if self.status == "offline":
                return
            self.status = "offline"
            for object_ in (self.synth, self.scope_buffer):
                try:
                    if object_ is not None:
                        object_.free()
                except ServerOffline:
                    # The server has ended, and everything on it.
                    continue
            self.synth = self.scope_buffer = None
            if self.lifecycle_callback is not None:
                self.context.unregister_lifecycle_callback(self.lifecycle_callback)
                self.lifecycle_callback = None


class AmplitudeScope(BaseScope):
    """A scope of amplitudes."""

    def _add_synth(self, scope_buffer: ScopeBuffer, synthdef: SynthDef) -> Synth:
        return self.context.add_synth(
            synthdef,
            add_action=self.add_action,
            target_node=self.target_node,
            in_=int(self.bus),
            scope_id=int(scope_buffer),
        )

    def _get_synthdef(self) -> SynthDef:
        channel_count = len(self.bus) if isinstance(self.bus, BusGroup) else 1
        if channel_count > _MAX_CHANNELS:
            raise ValueError(f"expected up to {_MAX_CHANNELS} buses, found {channel_count}")
        rate = self.bus.calculation_rate.token
        return AMPLITUDE_SCOPE_SYNTHDEFS[f"supriya:amp-scope-{rate}:{channel_count}"]


class FrequencyScope(BaseScope):
    """A scope of frequencies."""

    def __init__(
        self,
        *,
        add_action: AddActionLike = AddAction.ADD_TO_TAIL,
        bus: Bus | BusGroup,
        context: BaseServer,
        fft_size: int = 4096,
        frequency_mode: Literal["linear", "logarithmic"] = "linear",
        rate: int = 4,
        target_node: Node | None = None,
    ) -> None:
        super().__init__(add_action=add_action, bus=bus, context=context, target_node=target_node)
        if frequency_mode not in ("linear", "logarithmic"):
            raise ValueError(
                f"invalid frequency_mode {frequency_mode!r}: expected `linear` or `logarithmic`"
            )
        if bus.calculation_rate != CalculationRate.AUDIO:
            raise ValueError(f"expected an audio bus, found {bus.map_symbol()}")
        if not 256 <= fft_size <= 8192:
            raise ValueError(f"invalid fft_size {fft_size}: expected 256 to 8192")
        self.fft_size = fft_size
        self.frequency_mode = frequency_mode
        self.rate = rate

    def _add_synth(self, scope_buffer: ScopeBuffer, synthdef: SynthDef) -> Synth:
        return self.context.add_synth(
            synthdef,
            add_action=self.add_action,
            target_node=self.target_node,
            in_=int(self.bus),
            fft_buffer_size=self.fft_size,
            rate=self.rate,
            scope_id=int(scope_buffer),
        )

    def _get_synthdef(self) -> SynthDef:
        return FREQUENCY_SCOPE_SYNTHDEFS[f"supriya:freq-scope-{self.frequency_mode[:3]}-shm:1"]
