"""Contracts themselves: their identity, their contradictions, and which version can serve which endpoint."""

import msgspec
import pytest

from muster.packaging.contract import compatible, contract_digest, contract_problems
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Declared, Field, Observed

D = Datatype
CONTRACT = Contract(
    (
        Field("tenure", D.INT64, declared=Declared(minimum=0), observed=Observed(minimum=1, maximum=72, rows=10)),
        Field("charges", D.FP64, nullable=True),
    ),
    (Field("p", D.FP64, (2,), labels=("no", "yes")),),
)


def with_input(contract: Contract, name: str, **changes: object) -> Contract:
    """The contract with one input changed."""
    inputs = tuple(
        msgspec.structs.replace(field, **changes) if field.name == name else field for field in contract.inputs
    )
    return msgspec.structs.replace(contract, inputs=inputs)


def test_digest_is_of_the_canonical_form() -> None:
    """Equal contracts have one digest, which never changes; any change gives another."""
    again = msgspec.json.decode(msgspec.json.encode(CONTRACT), type=Contract)
    assert contract_digest(again) == contract_digest(CONTRACT)
    assert contract_digest(CONTRACT) == "sha256:eb3660f49af20cc306d60cd134ff0794f5826e20b270d04be276121b56246109"
    assert contract_digest(with_input(CONTRACT, "tenure", unit="months")) != contract_digest(CONTRACT)


def test_a_version_serves_its_own_contract() -> None:
    """A contract is compatible with itself, and observations do not matter."""
    assert compatible(CONTRACT, CONTRACT) == []
    assert compatible(CONTRACT, with_input(CONTRACT, "tenure", observed=None, unit="months")) == []


def test_a_version_may_take_fewer_inputs() -> None:
    """What a version does not take is left out for it."""
    fewer = msgspec.structs.replace(CONTRACT, inputs=CONTRACT.inputs[:1])
    assert compatible(CONTRACT, fewer) == []
    assert compatible(fewer, CONTRACT) == ["it needs the input 'charges', which the endpoint does not have"]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("tenure", {"datatype": D.INT32}, "datatype INT32 instead of INT64"),
        ("tenure", {"shape": (2,)}, "shape [2] instead of []"),
        ("charges", {"nullable": False}, "the endpoint allows null"),
        ("tenure", {"declared": Declared(minimum=5)}, "narrower limits"),
        ("tenure", {"declared": Declared(minimum=0, maximum=9)}, "narrower limits"),
    ],
)
def test_inputs_that_do_not_fit(name: str, change: dict[str, object], said: str) -> None:
    """Each way in which a version cannot take an endpoint's input is told."""
    reasons = compatible(CONTRACT, with_input(CONTRACT, name, **change))
    assert len(reasons) == 1
    assert said in reasons[0]
    assert name in reasons[0]


def test_wider_limits_and_nullability_fit() -> None:
    """A version may accept more than the endpoint asks."""
    assert compatible(CONTRACT, with_input(CONTRACT, "tenure", declared=Declared(minimum=-5))) == []
    assert compatible(CONTRACT, with_input(CONTRACT, "tenure", declared=None, nullable=True)) == []


def test_categories_must_cover_those_of_the_endpoint() -> None:
    """A version that declares categories needs an endpoint that declares no others."""
    wide = with_input(CONTRACT, "charges", datatype=D.BYTES, declared=Declared(categories=("a", "b")))
    narrow = with_input(CONTRACT, "charges", datatype=D.BYTES, declared=Declared(categories=("a",)))
    free = with_input(CONTRACT, "charges", datatype=D.BYTES)
    assert compatible(narrow, wide) == []
    assert "narrower" in compatible(wide, narrow)[0]
    assert "narrower" in compatible(free, narrow)[0]


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ((), "it lacks the output 'p'"),
        ((Field("p", D.FP32, (2,), labels=("no", "yes")),), "datatype FP32"),
        ((Field("p", D.FP64, (3,), labels=("no", "yes", "x")),), "shape [3]"),
        ((Field("p", D.FP64, (2,), labels=("yes", "no")),), "labels"),
        ((Field("p", D.FP64, (2,), nullable=True, labels=("no", "yes")),), "may give null"),
        ((*CONTRACT.outputs, Field("q", D.FP64)), "it has the output 'q'"),
    ],
)
def test_outputs_that_do_not_fit(outputs: tuple[Field, ...], said: str) -> None:
    """Outputs are the same or the reason is told."""
    assert said in " ".join(compatible(CONTRACT, msgspec.structs.replace(CONTRACT, outputs=outputs)))


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (Field("", D.INT64), "1 to 256 printable"),
        (Field("a\nb", D.INT64), "printable"),
        (Field("a", D.INT64, (0,)), "below 1"),
        (Field("a", D.INT64, required=False), "must be nullable"),
        (Field("a", D.FP64, (2,), labels=("x",)), "labels do not fit"),
        (Field("a", D.FP64, labels=("x",)), "labels do not fit"),
        (Field("a", D.INT64, declared=Declared(minimum=2, maximum=1)), "above the maximum"),
        (Field("a", D.BYTES, declared=Declared(minimum=2)), "for numbers"),
        (Field("a", D.INT64, declared=Declared(maximum=2**53)), "within ±2^53"),
        (Field("a", D.FP64, declared=Declared(maximum=float("inf"))), "finite"),
        (Field("a", D.BYTES, declared=Declared(categories=())), "excludes every value"),
        (Field("a", D.BYTES, declared=Declared(categories=(1,))), "no value of BYTES"),
    ],
)
def test_contradictions(field: Field, said: str) -> None:
    """A field that contradicts itself is found, as input and as output."""
    for contract in (Contract((field,), CONTRACT.outputs), Contract(CONTRACT.inputs, (field,))):
        assert any(said in problem for problem in contract_problems(contract))


def test_sound_contracts_have_no_problems() -> None:
    """Nothing is found where nothing is wrong."""
    assert contract_problems(CONTRACT) == []


def test_empty_and_doubled() -> None:
    """A contract has inputs and outputs, each name once, also in another Unicode form."""
    assert contract_problems(Contract((), ())) == ["there is no input", "there is no output"]
    twice = Contract((Field("\u00e9", D.INT64), Field("e\u0301", D.INT64)), CONTRACT.outputs)
    assert "2 times" in contract_problems(twice)[0]
