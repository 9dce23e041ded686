"""One task has one identity, however its numbers were written."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from rramsim.circuits import Column, SenseConditions, sense_circuit
from rramsim.counting import SenseTask, draw_samples
from rramsim.devices import LogNormal, ResistanceModel
from rramsim.engines import NgspiceEngine
from rramsim.identity import canonical, identity, unnamed_at
from rramsim.processes import load_process


def sense_task(number):
    """A task of which `number` writes every value."""
    return SenseTask(
        circuit=sense_circuit(
            process=load_process("sky130-5v"), column=Column(precharge_s=number(3e-7))
        ),
        conditions=SenseConditions(
            vdd_v=number(1), temperature_c=number(27), window_s=number(5e-8)
        ),
        resistances=ResistanceModel(
            lrs=LogNormal(median_ohm=number(10e3), sigma_ln=number(0.25)),
            hrs=LogNormal(median_ohm=number(350_000), sigma_ln=number(1)),
        ),
        written=1, seed=5, engine=NgspiceEngine(max_step_s=number(2e-9)),
    )  # fmt: skip


def test_numbers_count_by_value_in_ids_draws_and_decks():
    plain = sense_task(lambda value: value)
    drawn = draw_samples(plain, chunk=0, samples=3, chunk_samples=3)
    for number in (float, np.float64):
        same = sense_task(number)
        assert same.id == plain.id
        np.testing.assert_array_equal(
            draw_samples(same, chunk=0, samples=3, chunk_samples=3).r_bl_ohm, drawn.r_bl_ohm
        )
        # A numpy number must not reach the simulator as its repr.
        few = draw_samples(same, chunk=0, samples=1, chunk_samples=3)
        outcome = same.engine.sense(same.circuit, same.conditions, few)
        assert outcome.converged.all() and outcome.read[0] == 1


def test_every_value_that_a_result_depends_on_is_in_the_id():
    task = sense_task(float)
    other_lrs = LogNormal(median_ohm=10001, sigma_ln=0.25)
    others = [
        replace(task, conditions=replace(task.conditions, vdd_v=1.0000000001)),
        replace(task, conditions=replace(task.conditions, corner="ss")),
        replace(
            task,
            resistances=replace(task.resistances, lrs=other_lrs),
        ),
        replace(task, engine=NgspiceEngine(max_step_s=2.0000001e-9)),
        replace(task, written=0),
        replace(task, seed=6),
        replace(task, mismatch=False),
        replace(task, noise=True),
    ]
    assert len({task.id, *(other.id for other in others)}) == 1 + len(others)


def test_a_new_field_at_its_default_renames_nothing_and_a_new_default_renames():
    @dataclass(frozen=True)
    class Model:
        median: float = 1.0

    old = canonical(Model())

    @dataclass(frozen=True)
    class Model:
        median: float = 1.0
        tail: float = field(default=0.0, metadata=unnamed_at(0.0))

    assert canonical(Model()) == old
    assert canonical(Model(tail=0.5)) != old

    @dataclass(frozen=True)
    class Model:
        median: float = 2.0
        tail: float = field(default=0.5, metadata=unnamed_at(0.0))

    assert canonical(Model(median=1.0, tail=0.0)) == old
    assert canonical(Model(tail=0.0)) != old
    assert canonical(Model(median=1.0)) != old


def test_what_has_no_canonical_value_is_refused():
    assert identity("a", 1, x=1) != identity("a", 2, x=1) != identity("b", 1, x=1)
    assert canonical(-0.0) == canonical(0) and canonical(np.float32(0.5)) == 0.5
    assert canonical(float("inf")) != canonical("inf")
    for wrong in (float("nan"), object(), {1: 2}, {1, 2}, 1j, Model):
        with pytest.raises(TypeError):
            canonical(wrong)


class Model:
    """Not a value."""
