"""vasprun.xml and OUTCAR: which energy, the sign and order of stress, convergence, files that were cut."""

import gzip

import numpy as np
import pytest

from hermtk.data.dataset import read_structures, recognised
from hermtk.errors import DataError
from hermtk.units import Units
from vasp_world import Step, outcar, vasprun

STEPS = [
    Step(),
    Step(free=-11.5, sigma0=-11.25, seed=1),
    Step(free=-12.5, sigma0=-12.0, seed=2, electronic=4),
]
# 1 kbar = 1e8 Pa; 1 eV/Angstrom^3 = 1.602176634e11 Pa
KBAR = 1e8 / 1.602176634e11
FILES = pytest.mark.parametrize(("name", "made"), [("vasprun.xml", vasprun), ("OUTCAR", outcar)])


@FILES
def test_every_ionic_step_is_read_with_the_energy_that_its_forces_belong_to(tmp_path, name, made):
    path = tmp_path / name
    path.write_text(made(STEPS), encoding="utf-8")
    assert recognised(path) == "vasp"
    data = read_structures(path)
    assert [s.source for s in data] == [f"{path}:{frame}" for frame in range(3)]
    for s, step in zip(data, STEPS, strict=True):
        assert s.numbers.tolist() == [11, 17]
        assert s.pbc.all()
        assert s.energy == step.free
        assert s.info["energy_sigma0"] == pytest.approx(step.sigma0, abs=1e-12)
        assert np.allclose(s.cell, step.cell, rtol=0, atol=1e-12)
        assert np.allclose(s.positions, step.positions, rtol=0, atol=1e-5)
        assert np.array_equal(s.forces, step.forces)


@FILES
def test_stress_is_positive_under_tension_and_in_our_order(tmp_path, name, made):
    path = tmp_path / name
    path.write_text(made(STEPS[:1]), encoding="utf-8")
    # VASP's xx yy zz xy yz zx are 1 2 3 4 5 6 kbar of pressure
    expected = -KBAR * np.array([[1, 4, 6], [4, 2, 5], [6, 5, 3]])
    assert read_structures(path)[0].stress == pytest.approx(expected, rel=1e-6)


@FILES
def test_electrons_that_did_not_converge_are_flagged_and_kept(tmp_path, name, made):
    path = tmp_path / name
    path.write_text(made(STEPS, nelm=4), encoding="utf-8")
    assert [s.info["converged"] for s in read_structures(path)] == [True, True, False]


@FILES
def test_compressed_files_are_read(tmp_path, name, made):
    path = tmp_path / f"{name}.gz"
    path.write_bytes(gzip.compress(made(STEPS).encode()))
    assert [s.energy for s in read_structures(path)] == [step.free for step in STEPS]


@FILES
def test_wherever_a_file_is_cut_it_is_refused_at_the_step_or_has_whole_steps(tmp_path, name, made):
    path, text = tmp_path / name, made(STEPS)
    # past the last digit of what is read of each step, the next lines say nothing of it
    if name == "OUTCAR":
        ends = [text.index(f"{step.sigma0:.8f}\n") + 13 for step in STEPS]
    else:
        ends = [place + 14 for place in _all(text, "</calculation>")]
    for length in range(
        text.index("Iteration" if name == "OUTCAR" else "<calculation>") + 20, len(text) - 1, 97
    ):
        path.write_text(text[:length], encoding="utf-8")
        done = sum(end < length for end in ends)
        whole = name == "OUTCAR" and done and "Iteration" not in text[ends[done - 1] : length]
        if whole:
            assert len(read_structures(path)) == done
        else:
            with pytest.raises(DataError, match=rf"{name}:{done}: .*(cut|damaged)"):
                read_structures(path)


def test_an_energy_that_was_cut_within_its_digits_is_refused(tmp_path):
    path, text = tmp_path / "OUTCAR", outcar(STEPS)
    path.write_text(text[: text.rindex("-12.00000000") + 4], encoding="utf-8")
    with pytest.raises(DataError, match=r"OUTCAR:2: .*its last line has no end"):
        read_structures(path)


def test_files_beside_an_outcar_are_not_looked_into(tmp_path):
    (tmp_path / "OUTCAR").write_text(outcar(STEPS), encoding="utf-8")
    (tmp_path / "CONTCAR").write_text("nonsense\n", encoding="utf-8")
    assert len(read_structures(tmp_path / "OUTCAR")) == 3


def test_a_stress_printed_as_stars_is_refused_and_not_dropped(tmp_path):
    text = outcar(STEPS[:1]).replace("    1.00000     2.00000", "*********** 2.00000")
    assert "*****" in text
    (tmp_path / "OUTCAR").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"OUTCAR:0: .*badly formatted stress"):
        read_structures(tmp_path / "OUTCAR")


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE x SYSTEM "file:///etc/hostname">',
    ],
)
@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-16"])
def test_xml_that_declares_a_document_type_or_entities_is_refused(tmp_path, prolog, encoding):
    head, body = vasprun(STEPS).replace("ISO-8859-1", encoding).split("\n", 1)
    (tmp_path / "vasprun.xml").write_text(f"{head}\n{prolog}\n{body}", encoding=encoding)
    with pytest.raises(DataError, match=r"vasprun.xml declares a document type or entities"):
        read_structures(tmp_path / "vasprun.xml", format="vasp")
    with pytest.raises(DataError, match=r"vasprun.xml"):
        read_structures(tmp_path / "vasprun.xml")


def test_units_are_refused_for_vasp_has_its_own(tmp_path):
    (tmp_path / "OUTCAR").write_text(outcar(STEPS), encoding="utf-8")
    with pytest.raises(DataError, match=r"OUTCAR: VASP's files are in eV and Angstrom by definition"):
        read_structures(tmp_path / "OUTCAR", units=Units(energy="Ha"))


def _all(text: str, word: str) -> list[int]:
    return [place for place in range(len(text)) if text.startswith(word, place)]
