"""README.md and NOTES.md of a bundle, for the person who opens the folder."""

from muster.packaging.documents import Bundle
from muster.packaging.runtimes import MlflowRuntime, OnnxRuntime, ProgramRuntime, PythonRuntime, RemoteRuntime
from muster.wire.contracts import Declared, Field

#: Stands where the author gave no notes.
NO_NOTES = "(no notes)"


def readme(bundle: Bundle) -> str:
    """What the model is, what goes in and out, how to try it."""
    lines = [f"# {bundle.name}", "", bundle.description.strip() or "(no description)", ""]
    lines += [f"Owner: {', '.join(bundle.owners)}", ""]
    if bundle.authors and bundle.authors != bundle.owners:
        lines += [f"Authors: {', '.join(bundle.authors)}", ""]
    lines += _card(bundle)
    lines += ["## Inputs", "", *_table(bundle.contract.inputs), ""]
    lines += ["## Outputs", "", *_table(bundle.contract.outputs), ""]
    lines += ["## How it runs", "", *_runtime(bundle), ""]
    lines += ["## Try it", "", "    muster check .", "    muster try . rows.json", ""]
    return "\n".join(lines)


def notes(bundle: Bundle, text: str) -> str:
    """What changed in this version."""
    return f"# What changed in this version of {bundle.name}\n\n{text.strip() or NO_NOTES}\n"


def _card(bundle: Bundle) -> list[str]:
    card = bundle.card
    facts = [
        ("Intended use", card.intended_use),
        ("Limitations", card.limitations),
        ("Risk tier", card.risk_tier),
        ("Business metric", card.business_metric),
        ("Licences", ", ".join(card.licences)),
        ("Deputy", card.deputy),
    ]
    lines = [f"- {name}: {' '.join(text.split())}" for name, text in facts if text.strip()]
    for source in bundle.data:
        span = f", {source.from_ or '…'} to {source.to or '…'}" if source.from_ or source.to else ""
        lines.append(f"- Data: {' '.join(source.name.split())}, {source.uri}{span}")
    return ["## Card", "", *lines, ""] if lines else []


def _table(fields: tuple[Field, ...]) -> list[str]:
    rows = ["| field | type | null | meaning and limits |", "|---|---|---|---|"]
    for field in fields:
        kind = str(field.datatype) + (f" {list(field.shape)}" if field.shape else "")
        rows.append(
            f"| `{_cell(field.name)}` | {kind} | {'yes' if field.nullable else 'no'} | {_cell(_meaning(field))} |"
        )
    return rows


def _meaning(field: Field) -> str:
    parts = [field.description or "", f"in {field.unit}" if field.unit else ""]
    parts.append("personal" if field.personal else "")
    parts.append(_limits(field.declared) if field.declared else "")
    if field.labels:
        parts.append("classes: " + ", ".join(str(label) for label in field.labels))
    return "; ".join(part for part in parts if part)


def _limits(declared: Declared) -> str:
    parts = []
    if declared.minimum is not None:
        parts.append(f"at least {declared.minimum}")
    if declared.maximum is not None:
        parts.append(f"at most {declared.maximum}")
    if declared.categories is not None:
        parts.append("one of " + ", ".join(str(category) for category in declared.categories))
    return ", ".join(parts)


def _runtime(bundle: Bundle) -> list[str]:
    runtime = bundle.runtime
    match runtime:
        case PythonRuntime():
            built = f"Python {runtime.python} with the packages of `{runtime.lock}`"
            lines = [f"{built}; the model was written with {runtime.serializer}."]
            if runtime.serializer_reason:
                lines.append(f"Not with skops, because {runtime.serializer_reason}.")
            return lines
        case OnnxRuntime():
            return [f"The ONNX graph `{runtime.model}` in onnxruntime, with the packages of `{runtime.lock}`."]
        case MlflowRuntime():
            return [f"The MLflow model in `{runtime.folder}/`, with the packages of `{runtime.lock}`."]
        case RemoteRuntime():
            version = f", version {runtime.version}" if runtime.version else ""
            return [
                f"The model `{runtime.model}`{version} of another server, which the operator calls `{runtime.remote}`."
            ]
        case ProgramRuntime():
            what = f"`{runtime.entry}`" if runtime.entry else "a program"
            return [f"{what} with {runtime.toolchain or runtime.kind} and the packages of `{runtime.lock}`."]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
