"""The input of edep-sim: kinematics on shell, places in its frame, nested volumes, and the numbers that come back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.edep_sim import EdepSim
from pipeline.config.load import config_from_json
from pipeline.detector.geometry import geometry_from_mapping
from pipeline.errors import ConfigError
from pipeline.produce.edepsim_input import (
    check_primaries,
    edepsim_input,
    gdml,
    hepevt,
    macro,
    restore_numbers,
    seed_of,
    vertex_numbers,
)
from pipeline.tables import Primaries, Segments
from tests.storage.edepsim_stand_in import check_gdml, read_gdml, read_hepevt, run_macro

MODULE_0 = Path(__file__).resolve().parents[2] / "pipeline" / "detector" / "files" / "module0.yaml"
GEOMETRY = geometry_from_mapping(yaml.safe_load(MODULE_0.read_text()))

#: Masses [GeV] of the Review of Particle Physics 2024 (photon: 0).
MASSES = {13: 0.1056583755, 211: 0.13957039, 2212: 0.93827208816, 11: 0.51099895e-3, 22: 0.0}


def primaries_of(species, energies, **columns) -> Primaries:
    """Particles at different places of one event each, in random directions."""
    n = len(species)
    rng = np.random.default_rng(1)
    direction = rng.normal(size=(n, 3))
    table = Primaries(
        event_id=np.arange(n),
        vertex_id=np.zeros(n, dtype=np.int64),
        pdg_id=np.array(species),
        position=rng.uniform(-30, 30, (n, 3)),
        direction=direction / np.linalg.norm(direction, axis=1)[:, None],
        kinetic_energy=np.array(energies, dtype=float),
        time=rng.uniform(0, 10, n),
    )
    return replace(table, **columns)


@pytest.mark.parametrize("pdg", MASSES)
@pytest.mark.parametrize("energy", [1e-6, 1.0, 1e5])
def test_kinetic_energy_direction_place_and_time_are_those_asked_for(pdg: int, energy: float) -> None:
    """T = sqrt(p^2 + M^2) - M = p^2 / (E + M), GeV; the drift along x: x and z exchanged; ns."""
    table = primaries_of([pdg], [energy])
    [[particle]] = read_hepevt(hepevt(table, GEOMETRY))
    assert particle["m"] == pytest.approx(MASSES[pdg], rel=2e-8)
    squared = particle["p"] @ particle["p"]
    kinetic = squared / (np.sqrt(squared + particle["m"] ** 2) + particle["m"])
    assert 1e3 * kinetic == pytest.approx(energy, rel=1e-10)
    assert particle["E"] == pytest.approx(particle["m"] + 1e-3 * energy, rel=1e-11)
    np.testing.assert_allclose(particle["p"][::-1] / np.sqrt(squared), table.direction[0], rtol=1e-10)
    np.testing.assert_allclose(particle["at"][::-1], table.position[0], rtol=1e-11)
    assert particle["t"] == pytest.approx(1e3 * table.time[0], rel=1e-11)


def test_a_detector_that_drifts_along_z_keeps_its_axes() -> None:
    along_z = GEOMETRY.model_copy(update={"drift_axis": "z"})
    table = primaries_of([13], [100])
    [[particle]] = read_hepevt(hepevt(table, along_z))
    np.testing.assert_allclose(particle["at"], table.position[0], rtol=1e-11)
    volumes, _ = read_gdml(gdml(along_z, table.position, EdepSim()))
    np.testing.assert_allclose(volumes["volTPCActive1"].low, [-31.039, -83.8626, 0.15875], atol=1e-9)
    assert volumes["volTPCActive1"].properties["EField"] == "(0 V/cm, 0 V/cm, -500 V/cm)"


def test_a_particle_at_rest_has_no_momentum() -> None:
    [[particle]] = read_hepevt(hepevt(primaries_of([13], [0]), GEOMETRY))
    assert not particle["p"].any()
    assert particle["E"] == particle["m"]


def test_vertices_of_one_place_and_time_are_kept_together_and_others_apart() -> None:
    """The last column of the table: a second place within one vertex is another vertex to edep-sim."""
    rows = [(4, 0, 1.0, 0.0, 0), (4, 0, 1.0, 0.0, 0), (4, 1, 1.0, 0.0, 1), (6, 1, 1.0, 0.0, 2), (6, 1, 2.0, 0.0, 3)]
    rows += [(6, 1, 2.0, 5.0, 4), (6, 1, 2.0, 5.0, 4)]
    event, vertex, x, time, expected = (np.array(column) for column in zip(*rows, strict=True))
    position = np.column_stack([x, 0 * x, 0 * x])
    table = primaries_of([13] * 7, [100] * 7, event_id=event, vertex_id=vertex, position=position, time=time)
    assert vertex_numbers(table).tolist() == expected.tolist()
    assert [len(particles) for particles in read_hepevt(hepevt(table, GEOMETRY))] == [2, 1, 1, 1, 2]


def test_module_0_is_described_as_it_is() -> None:
    """The stand-in compares sizes, places, density and field with those of module 0, and exits where they differ."""
    assert len(check_gdml(gdml(GEOMETRY, np.zeros((1, 3)), EdepSim()))) == 2


@given(
    where=st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 3), min_size=1, max_size=5),
    margin=st.floats(0.01, 500),
)
def test_the_world_holds_every_primary_and_the_detector(where: list[tuple[float, float, float]], margin: float) -> None:
    """`read_gdml` refuses volumes that stick out of those around them and references that lead nowhere."""
    volumes, _ = read_gdml(gdml(GEOMETRY, np.array(where), EdepSim(argon_margin_cm=margin)))
    world, argon = volumes["volWorld"], volumes["volCryostat"]
    np.testing.assert_array_equal(world.low, -world.high)
    points = np.array(where)[:, ::-1]
    assert (points > world.low).all() and (points < world.high).all()
    np.testing.assert_allclose(volumes["volTPCActive0"].low - argon.low, margin, rtol=1e-6)


def test_fields_and_step_limits_can_be_left_out() -> None:
    settings = EdepSim(electric_field_kv_per_cm=0, step_limit_cm=None)
    volumes, _ = read_gdml(gdml(GEOMETRY, np.zeros((1, 3)), settings))
    assert volumes["volTPCActive0"].properties == {"SensDet": "volTPCActive"}
    volumes, _ = read_gdml(gdml(GEOMETRY, np.zeros((1, 3)), EdepSim(step_limit_cm=0.25)))
    assert volumes["volTPCActive0"].properties["StepLimit"] == "0.25 cm"


def test_the_macro_says_lengths_in_mm_and_starts_the_run_last() -> None:
    settings = EdepSim(
        hit_length_cm=0.05, hit_sagitta_cm=0.2, delta_ray_cm=0.1, macro=("/edep/db/set/lengthThreshold 0 mm",)
    )
    text = macro(12, 3, settings)
    commands = run_macro(text)
    assert commands["/edep/hitLength"] == "volTPCActive 0.5 mm"
    assert commands["/edep/hitSagitta"] == "volTPCActive 2 mm"
    assert commands["/edep/hitSeparation"] == "volTPCActive 1 mm"
    assert "/edep/db/set/lengthThreshold" in commands
    # A command that Geant4 refuses ends the macro; then nothing may be simulated.
    assert text.splitlines()[-1] == "/run/beamOn 12"


def test_seeds_are_those_that_geant4_takes_and_differ() -> None:
    seeds = [seed_of(seed) for seed in (*range(1000), 2**40)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 1 and max(seeds) < 2**31


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"kinetic_energy": np.array([1.0, np.nan])}, "the kinetic_energy of primary particle 1 is not a finite"),
        ({"kinetic_energy": np.array([-1.0, 1])}, "kinetic energy of primary particle 0 is -1 MeV"),
        ({"position": np.array([[0, 0, 0], [0, np.inf, 0]])}, "the position of primary particle 1"),
        ({"direction": np.array([[0, 0, 1.0], [0, 0, 0]])}, "primary particle 1 has the length 0, not 1"),
        ({"time": np.array([np.nan, 0])}, "the time of primary particle 0"),
        ({"pdg_id": np.array([13, 123456789])}, "no mass is known for PDG code 123456789"),
    ],
)
def test_primaries_that_mean_nothing_are_refused(columns, said) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_primaries(primaries_of([13, 13], [1, 1], **columns))
    assert "\n" not in str(caught.value)


def test_a_sample_without_particles_is_refused() -> None:
    nothing = primaries_of([13], [1]).take(np.zeros(1, dtype=bool))
    with pytest.raises(ConfigError, match="no primary particles"):
        edepsim_input(nothing, GEOMETRY, EdepSim(), 1)


def deposits(number, traj) -> Segments:
    n = len(number)
    zero = np.zeros(n)
    whole = {"vertex_id": 0, "segment_id": 0, "pdg_id": 13}
    return Segments(
        event_id=np.array(number, dtype=np.int64),
        traj_id=np.array(traj, dtype=np.int64),
        start=np.zeros((n, 3)),
        end=np.zeros((n, 3)),
        **{name: np.full(n, value) for name, value in whole.items()},
        **{name: zero for name in ("t0", "t0_start", "t0_end", "dx", "dEdx")},
        dE=np.arange(n, dtype=float),
    )


@given(st.data())
def test_tracks_are_told_apart_and_no_deposit_is_lost(data: st.DataObject) -> None:
    """Two deposits have the same (event, track) after as before: exactly if vertex and track agree."""
    events = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=8))
    n = len(events)
    table = primaries_of([13] * n, [100] * n, event_id=np.array(events), vertex_id=np.arange(n))
    rows = data.draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(-1, 4)), max_size=20))
    before = deposits([row[0] for row in rows], [row[1] for row in rows])
    after = restore_numbers(before, table)
    assert sorted(after.dE) == list(range(len(rows)))
    assert after.event_id.tolist() == sorted(after.event_id)
    assert after.segment_id.tolist() == list(range(len(rows)))
    for one in range(len(after)):
        vertex, track = rows[int(after.dE[one])]
        assert (after.event_id[one], after.vertex_id[one]) == (events[vertex], vertex)
        assert (after.traj_id[one] == -1) == (track == -1)
        for other in range(one):
            same = rows[int(after.dE[other])] == (vertex, track)
            agree = (after.event_id[one], after.traj_id[one]) == (after.event_id[other], after.traj_id[other])
            if track >= 0:
                assert agree == same


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('{"macro": ["/run/beamOn 5"]}', "'/run/beamOn 5' is not allowed here"),
        ('{"macro": ["/control/shell rm -r x"]}', "not allowed here"),
        ('{"macro": ["/edep/hitLength drift 1 mm\\n/control/shell true"]}', "not one line of plain text"),
        ('{"macro": ["/generator/add"]}', "not allowed here"),
        ('{"container": "-v"}', "must not begin with a dash"),
        ('{"executable": "edep\\nsim"}', "control characters"),
        ('{"executable": ""}', "sample.edep_sim.executable"),
        ('{"physics_list": "QGSP BERT; true"}', "sample.edep_sim.physics_list"),
        ('{"timeout_s": 0}', "sample.edep_sim.timeout_s must be above 0"),
        ('{"step_limit_cm": -1}', "sample.edep_sim.step_limit_cm must be above 0"),
        ('{"runtime": "dokcer"}', "sample.edep_sim.runtime must be"),
        ('{"hit_lenght_cm": 1}', "did you mean sample.edep_sim.hit_length_cm"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_place(settings: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")) as caught:
        config_from_json(f'{{"sample": {{"edep_sim": {settings}}}}}')
    assert "sample.edep_sim" in str(caught.value) and "\n" not in str(caught.value)
