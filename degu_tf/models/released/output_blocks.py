"""Outputs of several dense layers: their roles from the file's graph, names, or the user.

Two parallel layers are a mean and a standard deviation only where the graph has a softplus on the
second, the names are those of released files, or the user says so. All others are targets.
"""

import re
from dataclasses import replace

from degu_tf.heads import Form, HeadLayout
from degu_tf.models.released.graph import Graph
from degu_tf.models.released.recognise import Plan
from degu_tf.models.released.signatures import Output
from degu_tf.models.released.stored_weights import (
    OFFSET,
    OUTPUTS,
    Block,
    Stored,
    number_in,
)
from degu_tf.utils.errors import InputError

_ROLE = re.compile(r"output_(mean|aleatoric|epistemic)")
_SPREAD = re.compile(
    r"(^|[_\W])(std|sd|sigma|var|variance|scale|deviation|unc|uncertainty|alea\w*|epi\w*)"
    r"($|[_\W])",
    re.IGNORECASE,
)
"""Names of layers that may emit an uncertainty, whose activation weights alone do not show."""


def resolved(plan: Plan, stored: Stored, heads: HeadLayout | None) -> Plan:
    """The plan with what its output's layers are, beyond their shapes.

    Parameters
    ----------
    plan
        What the file's layers are.
    stored
        The file.
    heads
        What the user says the columns mean, if anything.

    Raises
    ------
    InputError
        If weights without a configuration leave open whether layers are targets or uncertainties.
    """
    output = plan.output
    if not output.blocks or output.head == "evidential":
        return plan
    if stored.graph is not None:
        return replace(plan, output=_from_graph(output, stored.graph))
    if output.head == "mean_std" and OFFSET in stored.names:
        return replace(plan, output=replace(output, head="dense_normal"))
    if output.head != "outputs":
        return plan
    if heads is not None:
        return replace(plan, output=_from_user(output, heads))
    _refuse_unclear(output)
    return plan


def roles_of(blocks: tuple[Block, ...]) -> dict[str, Form] | None:
    """Form of each uncertainty by its role, where names say that blocks are roles, else None.

    Examples
    --------
    >>> roles_of((Block("output_mean", 2), Block("output_epistemic", 2, "softplus")))
    {'epistemic': 'std'}
    >>> roles_of((Block("Dense_Dev", 1), Block("Dense_Hk", 1))) is None
    True
    """
    names = tuple(block.name for block in blocks)
    if len(names) == 2 and names in OUTPUTS:
        return {"aleatoric": "std"}
    found = [_ROLE.fullmatch(name) for name in names]
    roles = [match[1] for match in found if match is not None]
    if len(roles) < len(names) or roles[0] != "mean" or len(set(roles)) < len(roles):
        return None
    forms: dict[str, Form] = {"softplus": "std", "linear": "log_variance"}
    return {role: forms[block.activation] for role, block in zip(roles, blocks, strict=True)
            if role != "mean"}  # fmt: skip


def _from_graph(output: Output, graph: Graph) -> Output:
    joined = graph.nodes[graph.output.source]
    sources = [edge.source for edge in joined.inputs] if joined.op == "concatenate" else []
    if len(sources) != len(output.blocks):
        return output
    names = graph.outputs or tuple(block.name for block in output.blocks)
    activations, offset = [], False
    for source in sources:
        node = graph.nodes[source]
        if node.op == "rescaling":
            offset, node = True, graph.nodes[node.inputs[0].source]
        is_activation = node.op == "activation"
        activations.append(str(node.params["function"]) if is_activation else "linear")
    blocks = tuple(
        replace(block, name=name, activation=activation)
        for block, name, activation in zip(output.blocks, names, activations, strict=True)
    )
    told = roles_of(blocks) if set(activations) <= {"linear", "softplus"} else None
    if activations == ["linear", "softplus"] and told in (None, {"aleatoric": "std"}):
        return replace(output, head="dense_normal" if offset else "mean_std", blocks=blocks)
    return replace(output, head="outputs", blocks=blocks)


def _from_user(output: Output, heads: HeadLayout) -> Output:
    """Blocks of roles where their number and sizes are those of the user's layout, else targets."""
    blocks = output.blocks
    is_roles = len(blocks) == len(heads.roles) > 1 and blocks[0].units == heads.n_targets
    if not is_roles or heads.aleatoric == "evidential":
        return output
    if len(blocks) == 2:
        return replace(output, head="mean_std")
    forms = (None, heads.aleatoric, heads.epistemic)
    activations = ["softplus" if form == "std" else "linear" for form in forms]
    return replace(
        output,
        blocks=tuple(
            replace(block, activation=activation)
            for block, activation in zip(blocks, activations, strict=True)
        ),
    )


def _refuse_unclear(output: Output) -> None:
    names = [block.name for block in output.blocks]
    if not any(number_in(name)[0] == "dense" or _SPREAD.search(name) for name in names):
        return
    what = (
        f"the output is made by the dense layers {', '.join(names)}, and weights alone do not say "
        "whether they are targets or a mean and its uncertainty"
    )
    raise InputError(
        f"{what}: give heads, HeadLayout(({', '.join(f'{name!r}' for name in names)})) or "
        "HeadLayout(('activity',), aleatoric='std'), or put the model's configuration beside the "
        "file, with the same name and .json. Received: heads=None",
        f"{what}: give `degu convert` --targets {' '.join(names)}, or --targets activity "
        "--aleatoric std, or put the model's configuration beside the file, with the same name and "
        ".json. "
        "Received: no --targets",
    )
