"""A model as a graph of what bears on its numbers, and the comparison of two such graphs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Edge:
    """Where an input comes from, and the dropout (layer and rate) it passes on the way."""

    source: str
    dropouts: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Node:
    """One operation: what it is, its parameters, its inputs in order."""

    name: str
    op: str
    params: Mapping[str, Any]
    inputs: tuple[Edge, ...]

    def written(self, other: "Node") -> str:
        """The operation with the parameters in which it differs from another."""
        differing = {
            key: value
            for key, value in self.params.items()
            if key not in other.params or other.params[key] != value
        }
        return f"{self.op}({', '.join(f'{key}={value!r}' for key, value in differing.items())})"


@dataclass(frozen=True)
class Graph:
    """All operations between one input and the output.

    Attributes
    ----------
    nodes
        By name, each after its inputs; branches come in the order in which they are joined.
    output
        What is put out.
    length
        Input length in bases, None if any.
    layers
        Name and class of every layer of the configuration, in its order.
    outputs
        Names of the layers that put something out, where there are several; `output` is then a
        concatenation of theirs.
    """

    nodes: Mapping[str, Node]
    output: Edge
    length: int | None
    layers: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...] = ()


class Difference(Exception):
    """Two graphs compute different things; the message says where."""


def match(ours: Graph, theirs: Graph) -> tuple[dict[str, str], dict[str, float]]:
    """Which node of `theirs` each of `ours` is, and the rates of our dropout layers there.

    Raises
    ------
    Difference
        If the graphs do not compute the same; the first difference is named.
    """
    nodes: dict[str, str] = {}
    rates: dict[str, float] = {}
    _match_edge(ours, theirs, ours.output, theirs.output, nodes, rates)
    return nodes, rates


def _match_edge(
    ours: Graph,
    theirs: Graph,
    our_edge: Edge,
    their_edge: Edge,
    nodes: dict[str, str],
    rates: dict[str, float],
) -> None:
    if len(our_edge.dropouts) == len(their_edge.dropouts):
        for (name, _), (_, rate) in zip(our_edge.dropouts, their_edge.dropouts, strict=True):
            rates[name] = rate
    if our_edge.source in nodes:
        if nodes[our_edge.source] != their_edge.source:
            raise Difference(f"{their_edge.source} is connected, expected {nodes[our_edge.source]}")
        return
    our, their = ours.nodes[our_edge.source], theirs.nodes[their_edge.source]
    if (our.op, our.params, len(our.inputs)) != (their.op, their.params, len(their.inputs)):
        raise Difference(f"{their.name} is {their.written(our)}, expected {our.written(their)}")
    if their.name in nodes.values():
        raise Difference(f"{their.name} is used twice, expected once")
    nodes[our.name] = their.name
    pairs = list(zip(our.inputs, their.inputs, strict=True))
    if our.op != "add":
        for pair in pairs:
            _match_edge(ours, theirs, *pair, nodes, rates)
        return
    turned = list(zip(our.inputs, reversed(their.inputs), strict=True))
    differences = []
    for order in (pairs, turned):
        found = dict(nodes), dict(rates)
        try:
            for pair in order:
                _match_edge(ours, theirs, *pair, *found)
        except Difference as difference:
            differences.append(difference)
            continue
        nodes.update(found[0])
        rates.update(found[1])
        return
    raise differences[0]
