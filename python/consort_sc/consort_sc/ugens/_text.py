"""SynthDefs as text, and as graphs for Graphviz."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from .._core import Control, OutputProxy, UGen
from ..enums import CalculationRate

if TYPE_CHECKING:
    from .core import SynthDef


def _class_label(ugen: UGen) -> str:
    operator = getattr(ugen, "operator", None)
    name = type(ugen).__name__
    return f"{name}({operator.name})" if operator is not None else name


def _labels(ugens: tuple[UGen, ...]) -> dict[UGen, str]:
    """The names of UGens, with numbers for those that would have the same."""
    plain = [f"{_class_label(ugen)}.{ugen.calculation_rate.token}" for ugen in ugens]
    counts = Counter(plain)
    seen: Counter[str] = Counter()
    labels = {}
    for ugen, label in zip(ugens, plain):
        if counts[label] > 1:
            labels[ugen] = f"{label}/{seen[label]}"
            seen[label] += 1
        else:
            labels[ugen] = label
    return labels


def control_names(control: Control) -> list[tuple[str, float]]:
    """The name and the default of each value of a control UGen."""
    names = []
    for parameter in control.parameters:
        if len(parameter.value) == 1:
            names.append((parameter.name or "", parameter.value[0]))
        else:
            for index, value in enumerate(parameter.value):
                names.append((f"{parameter.name}[{index}]", value))
    return names


def key_names(ugen: UGen) -> list[str]:
    """The name of each input."""
    return [key if isinstance(key, str) else f"{key[0]}[{key[1]}]" for key in ugen._input_keys]


def synthdef_text(synthdef: SynthDef) -> str:
    """The UGens of a SynthDef and their inputs, in the form of YAML."""
    ugens = synthdef.ugens
    labels = _labels(ugens)
    names = {ugen: control_names(ugen) for ugen in ugens if isinstance(ugen, Control)}
    lines = ["synthdef:", f"    name: {synthdef.effective_name}", "    ugens:"]
    for ugen in ugens:
        entries: list[tuple[str, Any]] = []
        if ugen._spec.is_multichannel:
            entries.append(("channel_count", len(ugen)))
        if ugen in names:
            entries += names[ugen]
        for key, value in zip(key_names(ugen), ugen.inputs):
            shown: Any = value
            if isinstance(value, OutputProxy):
                index: str = str(value.index)
                if value.ugen in names:
                    index += ":" + names[value.ugen][value.index][0]
                shown = f"{labels[value.ugen]}[{index}]"
            entries.append((key, shown))
        lines.append(f"    -   {labels[ugen]}:" + ("" if entries else " null"))
        lines += [f"            {key}: {value}" for key, value in entries]
    return "\n".join(lines)


_COLORS = {
    CalculationRate.AUDIO: "lightsteelblue2",
    CalculationRate.CONTROL: "lightgoldenrod2",
    CalculationRate.DEMAND: "lightpink1",
    CalculationRate.SCALAR: "lightsalmon2",
}


class SynthDefGraph:
    """The graph of a SynthDef; `format(graph, "graphviz")` is its description in the language of
    Graphviz, and so is `str(graph)`."""

    def __init__(self, synthdef: SynthDef) -> None:
        self._synthdef = synthdef

    def __format__(self, format_spec: str) -> str:
        if format_spec not in ("", "graphviz"):
            raise ValueError(f"unknown format {format_spec!r}: expected 'graphviz'")
        return str(self)

    def __str__(self) -> str:
        numbers = {ugen: number for number, ugen in enumerate(self._synthdef.ugens)}
        name = self._synthdef.effective_name.replace('"', "'")
        lines = [
            f'digraph "synthdef_{name}" {{',
            "    graph [bgcolor=transparent, fontname=Arial, rankdir=LR, ranksep=1];",
            '    node [fontname=Arial, fontsize=12, shape=Mrecord, style="filled, rounded"];',
        ]
        edges = []
        for ugen, number in numbers.items():
            title = type(ugen).__name__
            operator = getattr(ugen, "operator", None)
            if operator is not None:
                title += f"\\n[{operator.name}]"
            title += f"\\n({ugen.calculation_rate.name.lower()})"
            inputs = []
            for position, (key, value) in enumerate(zip(key_names(ugen), ugen.inputs)):
                text = f"<i{position}> {key}"
                if isinstance(value, OutputProxy):
                    edges.append(
                        f"    ugen_{numbers[value.ugen]}:o{value.index} -> "
                        f"ugen_{number}:i{position};"
                    )
                else:
                    text += f":\\n{value}"
                inputs.append(text)
            outputs = [str(index) for index in range(len(ugen))]
            if isinstance(ugen, Control):
                outputs = [f"{key}:\\n{value}" for key, value in control_names(ugen)]
            outputs = [f"<o{index}> {text}" for index, text in enumerate(outputs)]
            columns = [f"{{ {' | '.join(column)} }}" for column in (inputs, outputs) if column]
            label = title + (f" | {{ {' | '.join(columns)} }}" if columns else "")
            color = _COLORS[ugen.calculation_rate]
            lines.append(f'    ugen_{number} [fillcolor={color}, label="{label}"];')
        return "\n".join([*lines, *edges, "}"])
