"""Where a user's builder comes from: its name, a hash of its source, and its import by name.

Nothing is imported here but what a user names: a run folder records a builder's name and hash, and
is opened without them.
"""

import importlib
import importlib.util
import inspect
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import keras

from degu_tf.utils.errors import InputError
from degu_tf.utils.files import content_hash

Builder = Callable[..., keras.Model]
"""A function `(input_shape, n_columns)` or `(input_shape, heads, **options)` to a Keras model."""

_FILES: dict[str, Path] = {}
"""Files that were imported by their path, by the name of the module that they became."""

_VALUES = (bool, int, float, str, bytes, tuple, list, dict, type(None))


def check_builder(builder: Any) -> FunctionType:
    """Refuse what is no function.

    Raises
    ------
    InputError
        If it is an object, a class or a partial function.
    """
    if not isinstance(builder, FunctionType):
        raise InputError(
            "expected a function (input_shape, n_columns) -> keras.Model; arguments of its own are "
            f"given as ModelSpec(function, options). Received: {builder!r:.80}"
        )
    return builder


def name_of(builder: Builder) -> str:
    """The name a run records: `file.py:function`, or `package.module:function`.

    Examples
    --------
    >>> from degu_tf.models.deepstarr import deepstarr
    >>> name_of(deepstarr)
    'degu_tf.models.deepstarr:deepstarr'
    """
    function = check_builder(builder)
    module = _module_of(function)
    file = _FILES.get(module)
    if file is None and module == "__main__":
        path = getattr(sys.modules["__main__"], "__file__", None)
        file = None if path is None else Path(path)
    return f"{module if file is None else file.name}:{function.__qualname__}"


def _module_of(thing: Any) -> str:
    """The name of the module that a function or class is defined in; code run as text has none."""
    return getattr(thing, "__module__", None) or "__main__"


def source_hash(builder: Builder) -> str:
    """SHA-256 of the source of a builder and of all in its module or package that it uses.

    Functions, classes and plain values it names count, and what those name in turn; comments
    elsewhere in the file do not.
    """
    function = check_builder(builder)
    found: dict[str, str] = {}
    _collect(function, _module_of(function).partition(".")[0], found)
    return content_hash(sorted(found.items()))


def _collect(thing: Any, package: str, found: dict[str, str]) -> None:
    """Add the source of a function or class, and of what it uses of its package."""
    thing = inspect.unwrap(thing)
    module = _module_of(thing)
    name = f"{_FILES.get(module, Path(module)).name}:{thing.__qualname__}"
    if module.partition(".")[0] != package or name in found:
        return
    functions = [thing] if isinstance(thing, FunctionType) else list(_methods(thing))
    try:
        found[name] = textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):  # typed into an interpreter, which keeps no source
        found[name] = "".join(_bytecode(each.__code__) for each in functions)
    used: dict[str, Any] = {base.__name__: base for base in getattr(thing, "__bases__", ())}
    for each in functions:
        used |= _used(each)
    for key, value in used.items():
        if isinstance(value, FunctionType | type):
            _collect(value, package, found)
        elif isinstance(value, _VALUES):
            found[f"{name}:{key}"] = repr(value)


def _methods(cls: type) -> Iterator[FunctionType]:
    for value in vars(cls).values():
        value = getattr(value, "__func__", getattr(value, "fget", value))
        if isinstance(value, FunctionType):
            yield value


def _used(function: FunctionType) -> dict[str, Any]:
    """Values of the names in a function's code: globals, attributes of modules, enclosing ones."""
    names = set(_names(function.__code__))
    used = {name: function.__globals__[name] for name in names & function.__globals__.keys()}
    for module in [value for value in used.values() if isinstance(value, ModuleType)]:
        used |= {name: getattr(module, name) for name in names if hasattr(module, name)}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        used[name] = cell.cell_contents
    return used


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _bytecode(code: CodeType) -> str:
    constants = [_bytecode(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def load_builder(text: str) -> Builder:
    """The builder that a user names on the command line; its file or module is imported.

    Parameters
    ----------
    text
        `file.py:function` or `package.module:function`. Modules are looked for where Python looks
        for them, and then in the working directory.

    Raises
    ------
    InputError
        If there is no such file, module or function, or its import fails.

    Examples
    --------
    >>> load_builder("degu_tf.models.deepstarr:deepstarr").__name__
    'deepstarr'
    """
    where, _, name = text.rpartition(":")
    module = load_module(where)
    function = getattr(module, name, None)
    if not isinstance(function, FunctionType):
        functions = [
            key
            for key, value in vars(module).items()
            if isinstance(value, FunctionType) and value.__module__ == module.__name__
        ]
        raise InputError(
            f"expected one of the functions {', '.join(functions) or '(none)'} of {where}. "
            f"Received: {text}"
        )
    return function


def load_module(where: str) -> ModuleType:
    """The module of a user's file or of a name, imported.

    Raises
    ------
    InputError
        If there is none, or its import fails.
    """
    try:
        if where.endswith(".py"):
            return _load_file(Path(where))
        return _load_name(where)
    except InputError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise InputError(
            f"{where} could not be imported: {type(error).__name__}: {error} "
            f"({Path(frame.filename).name}, line {frame.lineno}). Received: {where}"
        ) from error


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InputError(f"expected a file of Python. Received: {path}, which does not exist")
    path = path.resolve()
    content = path.read_bytes()
    name = f"{path.stem}_{sha256(str(path).encode() + content).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputError(f"expected a file of Python. Received: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _FILES[name] = path
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name], _FILES[name]
        raise
    return module


def _load_name(name: str) -> ModuleType:
    sys.path.append("")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not name or not (error.name and f"{name}.".startswith(f"{error.name}.")):
            raise
        raise InputError(
            "expected file.py:function or package.module:function, of a module that Python finds. "
            f"Received: {name}"
        ) from error
    finally:
        sys.path.remove("")


def portable(builder: Builder | None) -> Any:
    """What another process makes the builder of: the path of its file, or itself."""
    file = None if builder is None else _FILES.get(_module_of(builder))
    return builder if builder is None or file is None else f"{file}:{builder.__name__}"


def restored(reference: Any) -> Builder | None:
    """The builder that `portable` described."""
    return load_builder(reference) if isinstance(reference, str) else reference
