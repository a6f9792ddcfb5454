"""Writes docs/reference/cli.md: every command with its options, from the commands themselves.

.venv/bin/python tools/cli_reference.py
"""

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from muster.cli.exits import MEANINGS
from muster.cli.main import COMMANDS, cli

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"

#: What `--json` prints: a document of the REST API, or the fields in words.
DOCUMENTS = {
    "demo": "`{passed, problem, home, steps: [{number, title, passed, figures}]}`",
    "init": "`{home, admin, token}`, and `solo` in a factory for one person",
    "up": "`{home, control, scoring}` once the factory answers, and `admin_token` if the home was made just now",
    "ps": "a list of `{pid, kind, of}`, and `metrics` where a process has a port for them; "
    "kinds are `supervisor`, `control`, `executor`, `keeper`, `front`, `parent`, `host`, `spare`",
    "top": "`{fronts, open_requests, connections, loop_lag_ms, spool_bytes, offline_s, endpoints: [{endpoint, release, is_ready, "
    "requests_per_s, p50_ms, p99_ms, first_share, fallback_share, default_share, none_share, late_share, refused_per_s, "
    "dropped_records, variants: [{version, role, answers_per_s, p50_ms, p99_ms, chosen_share, late_per_s, failed_per_s, "
    "unsent_per_s, queue, on_probation, hosts_up, restarts}]}]}`; null where there was nothing to tell from",
    "logs": "a list of the logs' lines as objects, each with its `process`",
    "down": "`{stopped}`",
    "login": "Identity",
    "logout": "`{forgotten}`",
    "sign-in": "`{user, token_id, expires, url}`; with `--list` SignInWays",
    "sign-out": "Revoked",
    "password set": "PasswordSet",
    "whoami": "Identity",
    "certificate show": "SignedCertificate",
    "certificate list": "Certificates",
    "certificate export": "`{version, file, session}`",
    "certificate verify": "CertificateVerification",
    "certificate sign": "SignedCertificate",
    "certificate keys": "CertificateKeys",
    "certificate key": "CertificateKey",
    "certificate add-key": "CertificateKey",
    "certificate revoke-key": "CertificateKey",
    "certificate rotate-key": "CertificateKey",
    "notices": "Notices",
    "session list": "Sessions",
    "session show": "Session",
    "session follow": "Session, once it is over",
    "session cancel": "Session",
    "project add": "ProjectSummary",
    "project list": "Projects",
    "project show": "Project",
    "project set": "ProjectSummary",
    "project quota": "ProjectSummary",
    "user add": "NewUser",
    "user list": "Users",
    "user role": "Granted",
    "user set": "Profile",
    "user remove": "Revoked",
    "group add": "Group",
    "group list": "Groups",
    "group show": "Group",
    "group remove": "Group",
    "group join": "Group",
    "group leave": "Group",
    "group grant": "GroupRole",
    "group revoke": "GroupRole",
    "role list": "CustomRoles",
    "role set": "CustomRoles",
    "role remove": "CustomRole",
    "user identities": "BoundIdentities",
    "user bind": "BoundIdentity",
    "user unbind": "Unbound",
    "token new": "NewUser",
    "token list": "Tokens",
    "token rotate": "NewUser",
    "token reissue": "NewUser",
    "consumers": "Consumers",
    "token revoke": "Revoked",
    "check": "`{path, sound, findings: [{level, path, problem, remedy}]}`",
    "try": "`{model, environment, compute_ms, answers: [{…}]}`, one answer per row",
    "pack": "`{path, digest, bytes, ignored}`",
    "assemble": "`{path, model, kind, toolchain, environment, packages, golden_rows, compute_ms, largest_deviation}`; with `--helper` "
    "`{path, files}`",
    "import mlflow": "`{path, model, kind, inputs, outputs, golden_rows}`",
    "conform": "`{path, model, kind, toolchain, environment, passed, cases: [{case, claim, outcome, figure, detail, took_s}]}`; "
    "exit code 1 if a case failed",
    "env build": "`{id, kind, toolchain, platform, folder, seconds}`",
    "env list": "a list of `{id, kind, toolchain, platform, packages, bytes, own_bytes, built_at, used_at, sealed}`",
    "env show": "the same for one, and `{folder, parts: [{purl, licence, file, digest, size}], system}`",
    "env verify": "a list of `{id, whole, packages, paths, message}`; exit code 1 if one is damaged",
    "env export": "`{version, digest, environment, seal, parts, file, bytes}`",
    "env gc": "`{removed: [{id, kind, bytes}], parts_bytes, bytes, dry_run}`",
    "env rebuild": "`{digest, id, kind, toolchain, platform, folder, sealed_as, identical, parts, seconds, golden: {passed, values, wrong, "
    "largest_deviation, problem}}`; exit code 1 if it is another environment or answers otherwise",
    "env sbom": "`{version, file, components}`; without `-o` the CycloneDX document itself",
    "env trust show": "PackageRules",
    "env trust set": "PackageRules",
    "register": "Version",
    "vulnerabilities import": "VulnerabilityFile",
    "vulnerabilities list": "VulnerabilityFiles",
    "vulnerabilities affected": "AffectedVersions",
    "models": "Models",
    "model list": "Models",
    "model show": "Model",
    "model set": "Model",
    "search": "Search",
    "resolve": "Resolution; exit code 1 if a reference stands for nothing",
    "show": "Version, or Model for a name without a number",
    "diff": "VersionDiff",
    "certify": "Certification",
    "certificate report": "CertificationReport",
    "card": "ModelCard",
    "test-score show": "TestScore",
    "test-score declare": "TestScore",
    "test-score withdraw": "TestScore",
    "evaluation add": "EvaluationSet",
    "evaluation list": "EvaluationSets",
    "evaluation show": "EvaluationSet",
    "evaluation export": "EvaluationSet",
    "metrics list": "Measures",
    "metrics tables": "KeptTables",
    "metrics curve": "MetricCurve",
    "accept": "Version; of several `{versions: [{version, state, missing}], refused: [{version, code, message}]}`",
    "retire": "Version",
    "ban": "Version",
    "release propose": "Release",
    "release approve": "Release",
    "release confirm": "Release",
    "release reject": "Release",
    "release simulate": "Simulation",
    "release step": "Release",
    "livetest list": "LiveTests",
    "livetest report": "LiveTestReport; exit code 1 if it falls short of the standard",
    "livetest start": "LiveTest",
    "livetest status": "LiveTest; exit code 1 if it failed or was stopped",
    "livetest stop": "LiveTest",
    "release withdraw": "Release",
    "release show": "Release",
    "release breaks": "ContractReview; exit code 1 if a consumer is awaited",
    "release acknowledge": "ContractReview",
    "releases": "Releases",
    "endpoints": "Endpoints",
    "withdraw": "Release",
    "rollback": "RolledBack",
    "standard show": "Standard; of a ready one `{name, text}`",
    "standard list": "Standards",
    "standard propose": "Standard",
    "standard approve": "Standard",
    "standard reject": "Standard",
    "standard diff": "`{before, after, same, lines}`",
    "standard check": "`{path, standard, tier, meets, lacks: [{name, problem, remedy}]}`; exit code 1 if something is missing",
    "standard dry-run": "DryRun; exit code 1 if a version would fail",
    "review show": "Review",
    "review request-changes": "Review",
    "review comment": "Review",
    "review withdraw": "Review",
    "delegate add": "Delegation",
    "delegate list": "Delegations",
    "delegate end": "Delegation",
    "own-check add": "ProjectCheck",
    "own-check list": "ProjectChecks",
    "own-check show": "ProjectCheck",
    "own-check try": "`{path, passed, checks: [{name, passed, figure, limit, detail}]}`; exit code 1 if one did not pass",
    "waive ask": "Waiver",
    "waive grant": "Waiver",
    "waive refuse": "Waiver",
    "waive list": "Waivers",
    "score": "`{endpoint, requests: [{request_id, release, rows}], answers: [{…, variant, role, reason, request_id}]}`, and "
    "`request_id` and `release` at the top where one request was enough",
    "requests": "Requests",
    "request": "Request",
    "replay": "Replay",
    "source add": "DataSource",
    "source list": "DataSources",
    "source remove": "DataSource",
    "profile show": "VersionProfile",
    "archive export": "`{endpoint, file, bytes, complete_to}`",
    "archive verify": "`ArchiveVerdict`; exit code 1 if it is not valid",
    "archive retain": "`Retention`",
    "archive retention": "`Retentions`",
    "audit list": "AuditEvents",
    "audit verify": "AuditVerdict",
}

_HEAD = """\
# Command line

Generated from the code by `tools/cli_reference.py`; `make docs` writes it again.

Every command takes `--json`: then stdout holds one JSON document and nothing else. On failure stdout is empty, one
[problem document](errors.md) is on stderr, and the exit code says the family of the error. Documents that are named, like Version, are
those of the [REST API](rest.md#documents). In a factory for one person every document that is an object holds `"solo": true`.

Which factory is meant, and who asks, is found in this order, the first that is there:

| | |
|---|---|
| the address | `--url` · `MUSTER_URL` · `muster login` · the factory that runs in the home · `http://127.0.0.1:8600` |
| the token | `MUSTER_TOKEN` · `muster login`, if it was for this address · the admin's token in the home, if the factory runs there |
| the home | `--home` of the commands that start and stop processes · `MUSTER_HOME` · `./.muster` |
| the project | `--project` · `MUSTER_PROJECT` · `default` |
| the scoring side | `--scoring-url` of `score` · `MUSTER_SCORING_URL` · what the factory says · port 8601 beside it |

`--url` and `--project` stand before the command: `muster --project risk models`. The login is kept in
`~/.config/muster/login.json` (or under `XDG_CONFIG_HOME`), which only its owner can read.

Durations have a unit: `100ms`, `2s`, `1m30s`. Versions are written `churn:3`, moments `2027-01-01T00:00:00Z`. Files of rows are `.json` (a
list of objects, or `{"rows": […]}`), `.jsonl`, `.csv` (read as the contract's types say) or `.parquet`.

## Exit codes

| code | meaning |
|---|---|
"""


def text() -> str:
    """The page."""
    parts = [_HEAD, *(f"| {code} | {meaning} |\n" for code, meaning in sorted(MEANINGS.items()))]
    context = click.Context(cli, info_name="muster")
    for section, entries in COMMANDS.items():
        parts.append(f"\n## {section}\n")
        for name in entries:
            command = cli.get_command(context, name)
            assert command is not None, name
            parts.extend(_entry(words, one) for words, one in _leaves(command, name))
    return "".join(parts)


def leaf_names() -> set[str]:
    """Every command, in the words that call it."""
    context = click.Context(cli, info_name="muster")
    commands = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {words for name, command in commands.items() if command for words, _ in _leaves(command, name)}


def _leaves(command: click.Command, words: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield words, command
        return
    context = click.Context(command, info_name=words)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from _leaves(inner, f"{words} {name}")


def _entry(words: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"muster {words}")
    arguments = [one.make_metavar(context) for one in command.params if isinstance(one, click.Argument)]
    usage = " ".join(["muster", words, *arguments])
    lines = [f"\n### muster {words}\n\n", f"    {usage} [OPTIONS]\n\n", inspect.cleandoc(command.help or ""), "\n"]
    options = [one for one in command.params if isinstance(one, click.Option) and one.name != "as_json"]
    if options:
        lines.append("\n| option | |\n|---|---|\n")
        lines.extend(_option(one, context) for one in options)
    lines.append(f"\n`--json`: {DOCUMENTS[words]}\n")
    return "".join(lines)


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None
    names, meaning = (part.replace("|", "\\|") for part in record)
    required = " (required)" if option.required and "required" not in meaning else ""
    return f"| `{names}` | {' '.join(meaning.split())}{required} |\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
