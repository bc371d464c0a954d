"""The house: imports only go down, ops and rules do not know each other, the public names are listed and sorted."""

from __future__ import annotations

import ast
from pathlib import Path

import networkx
import pytest

import onnxdtd
from onnxdtd.methods import METHODS
from onnxdtd.ops import OPS
from onnxdtd.passes import PASSES
from onnxdtd.rules import RULES
from tests.support.paths import ROOT

pytestmark = pytest.mark.quick

PACKAGE = Path(onnxdtd.__file__).parent
# From the ground up; entries on one floor may not import each other unless they are one folder.
FLOORS = [
    {"demo", "disk", "entries", "errors", "evaluator", "hints", "pictures", "printing", "types", "version"},
    {"deadline", "durable", "memory", "origin", "registry"},
    {"npz", "owned", "primitives"}, {"linear"}, {"model"},
    {"domains"}, {"ops", "rules"}, {"methods"}, {"arrow", "folder", "kept", "node_report", "tokens"}, {"inputs"},
    {"conservation", "plan", "settings"}, {"records", "walk"},
    {"compiled"}, {"calls", "explanation", "loaded", "remarks", "runs"}, {"engines", "scaling", "weighed"},
    {"results"},
    {"explainer", "extend"}, {"each", "predict", "shortcuts", "theory"},
    {"passes", "survey"}, {"reading", "workers"}, {"sheets"}, {"render"}, {"audit", "metrics", "interop", "report"},
    {"comparison", "datasets", "web"}, {"lessons", "server"}, {"pages"}, {"viewer"}, {"cli"},
    {"__main__"},
]  # fmt: skip
FLOOR = {name: height for height, names in enumerate(FLOORS) for name in names}
# The front door: the lazy public API, which only the command line may use.
DOOR = "onnxdtd"


def imports(path: Path) -> list[tuple[str, int, bool]]:
    """(module of ours, line, inside a function) for every import of a file."""
    tree = ast.parse(path.read_text())
    inner = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    modules = []
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [(name, node.lineno, id(node) in inner) for name in names]
    return modules


def test_imports_only_go_down() -> None:
    faults = []
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE)
        room = where.parts[0].removesuffix(".py")
        for module, line, inside in imports(path):
            # A command loads its work when it runs, so that help comes at once; mypy sees the call.
            if inside and not (room == "cli" and module == "onnxdtd.cli"):
                faults.append(f"{where}:{line} imports {module} inside a function")
            if module == DOOR and room != "cli":
                faults.append(f"{where}:{line} imports the front door")
            if not module.startswith("onnxdtd.") or room == "__init__":
                continue
            other = module.split(".")[1]
            if other != room and FLOOR[other] >= FLOOR[room]:
                faults.append(f"{where}:{line} imports {module}, which is not below it")
    assert faults == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Not even for the eyes of mypy only: what is imported under TYPE_CHECKING counts."""
    files = {path.relative_to(PACKAGE.parent).with_suffix(""): path for path in PACKAGE.rglob("*.py")}
    modules = {".".join(name.parts).removesuffix(".__init__"): path for name, path in files.items()}
    arrows = []
    for name, path in modules.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in modules and name != DOOR:
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(modules)
                arrows += [(name, other) for other in inner or {node.module}]
    rings = [
        ring for ring in networkx.strongly_connected_components(networkx.DiGraph(arrows)) if len(ring) > 1
    ]
    assert rings == []


def test_no_room_bears_the_name_of_a_public_function() -> None:
    """`import onnxdtd.NAME` would put the room in the function's place."""
    rooms = {path.name.removesuffix(".py") for path in PACKAGE.iterdir()}
    assert rooms & set(onnxdtd.__all__) == set()


def test_the_command_line_imports_nothing_by_string() -> None:
    files = (PACKAGE / "cli").glob("*.py")
    assert [path.name for path in files if any(module == "importlib" for module, *_ in imports(path))] == []


def test_onnxruntime_is_imported_by_walk_and_compiled_only() -> None:
    users = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        for module, *_ in imports(path)
        if module.split(".")[0] == "onnxruntime"
    }
    assert users == {"compiled", "walk"}


def test_whether_a_value_is_traced_is_asked_by_primitives_and_compiled_only() -> None:
    """The others take primitives, which pick by their arguments."""
    users = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and any(alias.name == "Traced" for alias in node.names)
    }
    assert users == {"compiled", "primitives"}


def test_what_an_op_a_rule_or_a_method_is_like_is_declared_and_not_asked_by_name() -> None:
    """The walk and what plans it compare no names, wherever they come from: an entry says what is needed of it.

    What is written is no question (an ONNX node, a registration), nor is a default. `methods/auto` picks by purpose.
    """
    names = {name for _, name in OPS} | {*RULES, *METHODS, *PASSES}
    faults = []
    for room in ("plan", "walk", "compiled", "theory", "methods"):
        for path in sorted((PACKAGE / room).rglob("*.py")):
            tree = ast.parse(path.read_text())
            functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
            calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            stated = [part for f in functions for part in (*f.decorator_list, *f.args.defaults)]
            stated += [call for call in calls if getattr(call.func, "attr", "") in ("emit", "make_node")]
            exempt = {id(n) for part in stated for n in ast.walk(part)}
            faults += [
                f"{path.relative_to(PACKAGE)}:{node.lineno} {node.value}"
                for node in ast.walk(tree)
                if isinstance(node, ast.Constant) and node.value in names and id(node) not in exempt
            ]
    assert [fault for fault in faults if not fault.startswith("methods/auto.py")] == []


def test_what_is_traced_is_asked_in_primitives_only() -> None:
    """Elsewhere `at_hand` asks whether values can be looked at, and a tracer takes what it is given."""
    users = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "isinstance"
        and "Traced" in ast.unparse(node)
    }
    assert users == {"primitives"}


def test_shared_aliases_of_types_have_one_home() -> None:
    """`onnxdtd.types` has them; none is written a second time under its name."""
    homes: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign):
                homes.setdefault(ast.unparse(node), []).append(str(path.relative_to(PACKAGE)))
    assert {alias: files for alias, files in homes.items() if "types.py" in files and len(files) > 1} == {}


def test_public_names_exist_and_are_sorted() -> None:
    assert onnxdtd.__all__ == sorted(onnxdtd.__all__)
    for name in onnxdtd.__all__:
        assert getattr(onnxdtd, name).__doc__, name


def test_files_stay_readable() -> None:
    long = {p.name: n for p in PACKAGE.rglob("*.py") if (n := len(p.read_text().splitlines())) > 250}
    assert long == {}


def test_the_reading_order_names_files_and_only_goes_up() -> None:
    for text in (onnxdtd.__doc__, (ROOT / "README.md").read_text("utf-8")):
        start = text.index("    model/load ->")
        order = text[start : text.index("\n\n", start)].split("->")
        places = [place.strip() for place in order]
        assert [p for p in places if not (PACKAGE / p).is_dir() and not (PACKAGE / f"{p}.py").is_file()] == []
        heights = [FLOOR[place.split("/")[0]] for place in places]
        assert heights == sorted(heights)


def test_tests_and_tools_are_imported_by_their_names() -> None:
    """No path is put before sys.path, and each place is named once, in a `paths` module."""
    files = [p for folder in ("tests", "tools") for p in (ROOT / folder).rglob("*.py")]
    files = [p for p in files if p.name != "paths.py" and p != Path(__file__) and p.parent.name != "browser"]
    assert [str(p) for p in files if "sys.path" in (text := p.read_text()) or "(__file__)" in text] == []


def test_every_tool_stands_in_the_index() -> None:
    index = (ROOT / "tools" / "README.md").read_text("utf-8")
    tools = [p for p in (ROOT / "tools").rglob("*.py") if '__name__ == "__main__"' in p.read_text()]
    names = {".".join(p.relative_to(ROOT / "tools").with_suffix("").parts) for p in tools}
    assert {name for name in names if f"`{name.removesuffix('.__main__')}`" not in index} == set()


def test_every_page_stands_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    pages = {p.name for p in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()
