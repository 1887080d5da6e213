"""Files that are damaged or mean harm, some for every reader, the same ones each time.

``generate`` writes them: good files cut at many places and with bytes flipped (``mechanical``), and files made by hand for
what each reader could be talked into (here and in ``malformed_archives``).
"""

import bz2
import gzip
import json
import lzma
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import malformed_archives as archives
import numpy as np
from ase.io import write as ase_write

from hermtk.data.atoms import to_atoms
from hermtk.data.dataset import write_structures
from hermtk.data.structure import Structure
from vasp_world import Step, outcar, vasprun

CUTS = (0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9)
FLIPS = 7


@dataclass(frozen=True)
class Bad:
    """A file or folder; ``harmless`` says that it may turn out to be one that can be read."""

    path: Path
    harmless: bool = False


def generate(folder: Path, trap: Path) -> list[Bad]:
    """All malformed files, in a folder per reader; those that carry code would create ``trap``."""
    good = folder / "good"
    good.mkdir()
    bad: list[Bad] = []
    for path in [*good_files(good), *good_folders(good)]:
        bad += mechanical(path, folder / f"{path.name.replace('.', '_')}")
    for name, content in {**texts(), **archives.contents(trap)}.items():
        bad.append(Bad(_put(folder / "made" / name, content), harmless=name in HARMLESS))
    for name, (file, content) in {**FOLDERS, **archives.systems(trap)}.items():
        kind = {"qm9_part1.csv": "qm9", "meta.json": "a.store"}.get(file, "system")
        shutil.copytree(good / kind, folder / "made" / name / kind)
        _put(folder / "made" / name / kind / file, content)
        bad.append(Bad(folder / "made" / name / kind))
    bad += list(wrong_values(folder))
    return bad + list(odd_places(folder, trap))


def _put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def crystal(shift: float = 0.0) -> Structure:
    """A skewed cell of three atoms with every label."""
    rng = np.random.default_rng(7)
    stress = rng.normal(size=(3, 3))
    return Structure(
        numbers=np.array([55, 17, 8]),
        positions=np.array([[0.1, 0.2, 0.3], [2.25, 2.0, 2.125], [1.0, 3.0 + shift, 2.0]]),
        cell=np.array([[4.5, 0.25, 0.0], [0.0, 4.0, 0.25], [0.5, 0.0, 4.5]]),
        pbc=np.array([True, True, True]),
        energy=-6.5 + shift,
        forces=rng.normal(size=(3, 3)),
        stress=0.01 * (stress + stress.T),
        source="made",
        info={"group": "salt"},
    )


def good_files(folder: Path) -> Iterator[Path]:
    """One good file of every format that is a file."""
    two = [crystal(), crystal(0.125)]
    optional = {"a.h5": "h5py", "a.aselmdb": "lmdb"}
    names = ("a.extxyz", "a.npz", "a.db", "a.traj", "a.json", "a.pymatgen.json", *optional)
    for name in (name for name in names if name not in optional or find_spec(optional[name])):
        write_structures(folder / name, two)
        yield folder / name
    rng = np.random.default_rng(3)
    block = {
        "coords": rng.normal(size=(5, 3, 3)),
        "energies": rng.normal(size=5),
        "forces": rng.normal(size=(5, 3, 3)),
    }
    np.savez(folder / "rmd17.npz", nuclear_charges=np.array([8, 1, 1]), **block)
    units = {"e_unit": np.array("kcal/mol"), "r_unit": np.array("Ang")}
    np.savez(
        folder / "sgdml.npz",
        z=np.array([8, 1, 1]),
        R=block["coords"],
        E=block["energies"],
        F=block["forces"],
        **units,
    )
    np.savez(folder / "qmmm.npz", **archives.QMMM)
    (folder / "vasprun.xml").write_text(vasprun([Step()]), encoding="utf-8")
    # without its last line: cut anywhere before, the step is incomplete
    text = outcar([Step()])
    (folder / "OUTCAR").write_text(text[: text.rindex("sigma->0") + 20], encoding="utf-8")
    (folder / "vasprun.xml.gz").write_bytes(gzip.compress(vasprun([Step()]).encode(), mtime=0))
    ase_write(folder / "a.cif", to_atoms(crystal()))
    yield from (
        folder / name
        for name in ("rmd17.npz", "sgdml.npz", "qmmm.npz", "vasprun.xml", "vasprun.xml.gz", "OUTCAR", "a.cif")
    )


def good_folders(folder: Path) -> Iterator[Path]:
    """One good folder of every format that is a folder."""
    write_structures(folder / "system", [crystal(), crystal(0.125)], format="deepmd")
    write_structures(folder / "a.store", [crystal(), crystal(0.125)])
    (folder / "qm9").mkdir()
    (folder / "qm9" / "qm9_part1.csv").write_text(QM9, encoding="utf-8")
    yield from (folder / name for name in ("system", "a.store", "qm9"))


def mechanical(good: Path, folder: Path) -> Iterator[Bad]:
    """A good file cut at ``CUTS`` of its length, and with some bytes flipped; of a folder, each of its files in turn."""
    folder.mkdir()
    files = (
        [good]
        if good.is_file()
        else sorted(file for file in good.rglob("*") if file.is_file() and file.stat().st_size)
    )
    rng = np.random.default_rng(11)
    for file in files:
        content = file.read_bytes()
        # the files of a folder are many, so fewer cuts of each
        cuts = CUTS if good.is_file() else CUTS[::3]
        for cut in cuts:
            yield Bad(
                _copy(good, file, content[: int(len(content) * cut)], folder), harmless=_may_be_cut(file, cut)
            )
        for place in rng.integers(0, len(content), FLIPS if good.is_file() else 2):
            flipped = bytearray(content)
            flipped[place] ^= int(rng.integers(1, 256))
            yield Bad(_copy(good, file, bytes(flipped), folder), harmless=True)


def _may_be_cut(file: Path, cut: float) -> bool:
    """Lists that may be shorter; a trajectory's room for more frames."""
    return file.suffix in (".raw", ".cif") or (file.suffix == ".traj" and cut > 0.8)


def _copy(good: Path, file: Path, content: bytes, folder: Path) -> Path:
    place = folder / f"{len(list(folder.iterdir())):03d}"
    place.mkdir()
    if good.is_file():
        (place / good.name).write_bytes(content)
        return place / good.name
    shutil.copytree(good, place / good.name)
    (place / good.name / file.relative_to(good)).write_bytes(content)
    return place / good.name


QM9 = """\
Index,N_atoms,Elements,XYZ_Ang,Dipole_debye,Polarizability_bohr3,HOMO_au,LUMO_au,HOMO_LUMO_gap_au,R2_bohr2,ZPVE_au,\
InternalEnergy_0K_au,InternalEnergy_298K_au,Enthalphy_298K_au,GibbsFreeEnergy_298K_au,Heatcapacity_Cv_cal_mol_K
1,2,"['H', 'F']","[[0.0, 0.0, 0.0], [0.0, 0.0, 0.92]]",1.8,5.6,-0.4,0.1,0.5,10.1,0.009,-100.4,-100.3,-100.2,-100.1,5.0
"""
# what announces nonsense that its reader has no use for
HARMLESS = {"deep_brackets.xyz", "object.json", "CONFIG.dlp4", "twice.npz"}
# name -> file of a good folder and what it is replaced by
FOLDERS: dict[str, tuple[str, str]] = {
    "qm9_words": ("qm9_part1.csv", QM9.replace("0.92", "far")),
    "qm9_nan": ("qm9_part1.csv", QM9.replace("0.92", "nan")),
    "qm9_element": ("qm9_part1.csv", QM9.replace("'F'", "'Q'")),
    "qm9_count": ("qm9_part1.csv", QM9.replace("1,2,", "1,999999999,")),
    "qm9_energy": ("qm9_part1.csv", QM9.replace("-100.4", "inf")),
    "qm9_quote": ("qm9_part1.csv", QM9.replace("'F']\"", "'F']")),
    "qm9_field": ("qm9_part1.csv", QM9.replace("0.92", "9" * 300_000)),
    "qm9_nul": ("qm9_part1.csv", QM9.replace("0.92", "0\0")),
    "qm9_columns": ("qm9_part1.csv", QM9.replace("Index,", "")),
    "types_words": ("type.raw", "one two\n"),
    "types_large": ("type.raw", "0 1 999999999999\n"),
    "types_digits": ("type.raw", "9" * 100_000),
    "types_none": ("type.raw", "\n"),
    "types_fewer": ("type.raw", "0 1\n"),
    "elements": ("type_map.raw", "Cs Cl Qq\n"),
    "elements_few": ("type_map.raw", "Cs\n"),
    "meta_deep": ("meta.json", "[" * 200_000),
    "meta_list": ("meta.json", "[]"),
    "meta_null": ("meta.json", "null"),
    "meta_digits": ("meta.json", '{"structures": ' + "9" * 100_000 + "}"),
}
DEEP = "[" * 200_000
ODD_VALUES: tuple[Any, ...] = (None, "x", -1, [], {}, [[1]], float("nan"), 1e300, 10**30, [None, None])
HEAD = 'Lattice="4 0 0 0 4 0 0 0 5" Properties=species:S:1:pos:R:3 pbc="T T T"'


def texts() -> dict[str, str | bytes]:
    """Text files by name, each with something no reader can make structures of."""
    xyz = {
        "count": f"999999999999\n{HEAD}\nNa 0 0 0\n",
        "negative": f"-5\n{HEAD}\nNa 0 0 0\n",
        "digits": "9" * 100_000 + f"\n{HEAD}\nNa 0 0 0\n",
        "columns": f"1\n{HEAD.replace('pos:R:3', 'pos:R:999999999')}\nNa 0 0 0\n",
        "columns_quoted": f"1\n{HEAD.replace('species:S:1:pos:R:3', '[species:S:1:pos:R:88888888]')}\nNa 0 0 0\n",
        "columns_negative": f"1\n{HEAD.replace('pos:R:3', 'pos:R:-3')}\nNa 0 0 0\n",
        "columns_twice": f"1\n{HEAD} Properties=species:S:1:pos:R:77777777\nNa 0 0 0\n",
        "columns_plus": f"1\n{HEAD.replace('R:3', 'R:+7_777_777_777')}\nNa 0 0 0\n",
        "columns_long": f"1\n{HEAD.replace('R:3', 'R:00000000000777777777')}\nNa 0 0 0\n",
        "line": "1\n" + "x" * 5_000_000 + "\nNa 0 0 0\n",
        "first_line": "1" * 5_000_000,
        "deep": f'1\n{HEAD} thing="_JSON {DEEP}"\nNa 0 0 0\n',
        "deep_brackets": f"1\n{HEAD} thing={DEEP}\nNa 0 0 0\n",
        "nan_element": "1\nProperties=Z:I:1:pos:R:3\nnan 0 0 0\n",
        "element": "1\nProperties=Z:I:1:pos:R:3\n4000000000000 0 0 0\n",
        "infinite": f"1\n{HEAD}\nNa inf 0 0\n",
        "overflow": f"1\n{HEAD}\nNa 1e308 1e308 1e308\n",
        "cell": f"1\n{HEAD.replace('4 0 0', '1e200 0 0')}\nNa 0 0 0\n",
        "cell_words": f"1\n{HEAD.replace('4 0 0', 'a b c')}\nNa 0 0 0\n",
        "cell_short": f"1\n{HEAD.replace('0 0 0 4', '0 4')}\nNa 0 0 0\n",
        "pbc": f"1\n{HEAD.replace('T T T', '7 8')}\nNa 0 0 0\n",
        "virial": f'1\n{HEAD} virial="1 2"\nNa 0 0 0\n',
        "energy": f"1\n{HEAD} energy=[1,2,3]\nNa 0 0 0\n",
        "crowd": "20000\n\n" + "H 1 1 1\n" * 20_000,
        "nul": f"1\n{HEAD}\nNa\0 0 0 0\n",
    }
    return {
        **{f"{name}.xyz": text for name, text in xyz.items()},
        "wide.xyz": f"1\n{HEAD}\nNa 0 0 0\n".encode("utf-16"),
        "latin.xyz": f"1\n{HEAD} name=caf\xe9\nNa 0 0 0\n".encode("latin-1"),
        "binary.xyz": bytes(range(256)) * 20,
        **_xml_bombs(),
        "OUTCAR_count": outcar([Step()]).replace("type =               1   1", "type =  999999999   1"),
        "OUTCAR_kpoints": outcar([Step()]).replace("NKPTS =      1", "NKPTS = 99999999999"),
        "OUTCAR_line": outcar([Step()])[:900] + "x" * 2_000_000,
        "OUTCAR_stars": outcar([Step()]).replace("0.50000", "*******"),
        "OUTCAR_nan": outcar([Step()]).replace("TOTEN  =       -10.25", "TOTEN  =       NaN"),
        **{
            f"no_{word}/vasprun.xml": vasprun([Step()]).replace(f'"{word}"', '"other"')
            for word in ("atoms", "basis", "positions", "e_fr_energy", "initialpos")
        },
        "words/vasprun.xml": vasprun([Step()]).replace("0.50000000", "zero point five"),
        "more/vasprun.xml": vasprun([Step()]).replace("<rc><c>Cl</c><c>   2</c></rc>", ""),
        **{f"{name}.json": text for name, text in _jsons().items()},
        "POSCAR": "bomb\n1.0\n4 0 0\n0 4 0\n0 0 4\nH\n999999999\nDirect\n0 0 0\n",
        "CONFIG.dlp4": "bomb\n 0 3 99999999999\n4 0 0\n0 4 0\n0 0 4\nH 1\n0 0 0\n",
        "a.cube": "x\ny\n 999999999 0 0 0\n 999999 1 0 0\n 999999 0 1 0\n 999999 0 0 1\n 1 0 0 0 0\n",
        "a.lammps-data": "x\n\n99999999999 atoms\n1 atom types\n\n0 4 xlo xhi\n0 4 ylo yhi\n0 4 zlo zhi\n\nAtoms\n\n1 1 0 0 0\n",
        "a.cell": "%BLOCK lattice_cart\n4 0 0\n0 4 0\n0 0 4\n%ENDBLOCK lattice_cart\n",
        "postgresql": "no server is asked\n",
        "set@1.xyz.unheard": "2\n\nH 0 0 0\n",
        "a.unheard_of": "nothing\n",
    }


def _xml_bombs() -> dict[str, str | bytes]:
    laughs = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(12))
    bomb = f'<!DOCTYPE modeling [<!ENTITY l0 "lol">{laughs}]>'
    outside = '<!DOCTYPE modeling [<!ENTITY o SYSTEM "file:///etc/hostname">]>'
    found: dict[str, str | bytes] = {}
    for name, prolog, inside in (
        ("laughs", bomb, "&l12;"),
        ("outside", outside, "&o;"),
        ("system", outside[:24] + ">", ""),
    ):
        head, body = vasprun([Step()]).split("\n", 1)
        text = f"{head}\n{prolog}\n{body.replace('<c>Na</c>', f'<c>Na{inside}</c>')}"
        found[f"{name}/vasprun.xml"] = text
        found[f"{name}/vasprun.xml.gz"] = gzip.compress(text.encode(), mtime=0)
        found[f"{name}_16/vasprun.xml"] = text.replace("ISO-8859-1", "UTF-16").encode("utf-16")
        found[f"{name}/a.xsd"] = f'<?xml version="1.0"?>\n{prolog}\n<XSD>{inside}</XSD>'
    return found


def _jsons() -> dict[str, str]:
    array = '{"__ndarray__": [[%s], "%s", [%s]]}'
    row = '{"1": {"numbers": %s, "positions": %s, "unique_id": "x"}, "ids": [1], "nextid": 2}'
    place = array % ("1, 3", "float64", "0, 0, 0")
    return {
        "deep": DEEP,
        "deep_pymatgen": '[{"structure": {"sites": ' + DEEP,
        "null": "null",
        "digits": '[{"structure": {"sites": ' + "9" * 100_000 + "}}]",
        "bomb": row % (array % ("200000000", "int64", "1"), place),
        "bomb_escaped": row % ((array % ("200000000", "int64", "1")).replace("__nd", "\\u005f_nd"), place),
        "object": row % (array % ("1", "object", "1"), place),
        "negative": row % (array % ("-1", "int64", "1"), place),
        "mismatch": row % (array % ("2", "int64", "1, 8"), place),
        "type": row % ('{"__ase_objtype__": "os"}', place),
        "formula": row % ('{"__ase_objtype__": "atoms", "symbols": "H999999999"}', place),
        "loop": '{"ids": [1, 2, 3], "nextid": 1}',
        "words": row % ('"CsCl"', '"here"'),
        "not_pymatgen": '{"structure": {"sites": {"a": 1}}}',
        "module": '{"structure": {"@module": "os", "@class": "system", "sites": [{"@module": "os"}]}}',
    }


def wrong_values(folder: Path) -> Iterator[Bad]:
    """Documents of JSON, each with one value of another kind."""
    for name, good in (("a.pymatgen.json", "structure"), ("a.json", "numbers")):
        document = json.loads((folder / "good" / name).read_text(encoding="utf-8"))
        places = [
            place
            for place in _places(document)
            if good in place or place[-1] in ("energy", "forces", "stress", "ids")
        ]
        rng = np.random.default_rng(5)
        for number in range(40):
            place, value = places[rng.integers(len(places))], ODD_VALUES[number % len(ODD_VALUES)]
            path = folder / "wrong_values" / f"{number:02d}" / name
            if path.parent.suffix == ".store":
                shutil.copytree(folder / "good" / "a.store", path.parent)
            _put(path, json.dumps(_with(document, place, value)))
            yield Bad(path.parent if path.parent.suffix == ".store" else path, harmless=True)


def _places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        yield (*way, key)
        yield from _places(each, (*way, key))


def _with(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = _with(value[place[0]], place[1:], new)
    return copy


def odd_places(folder: Path, trap: Path) -> Iterator[Bad]:
    """What is no plain file, and what a file can be packed in."""
    odd = folder / "odd"
    odd.mkdir()
    (odd / "loop.xyz").symlink_to(odd / "loop.xyz")
    (odd / "nowhere.npz").symlink_to(odd / "nothing.npz")
    for name in ("folder.xyz", "folder.npz", "folder.traj", "empty"):
        (odd / name).mkdir()
    (odd / "bundle").mkdir()
    (odd / "bundle" / "metadata.json").write_text(
        '{"format": "BundleTrajectory", "backend": "pickle"}', encoding="utf-8"
    )
    (odd / "bundle" / "state").write_bytes(archives.pickled(trap))
    packers: dict[str, Callable[[bytes], bytes]] = {
        ".gz": gzip.compress,
        ".bz2": bz2.compress,
        ".xz": lzma.compress,
    }
    for suffix, pack in packers.items():
        packed = pack(b"\0" * 300 * 2**20) if suffix == ".gz" else pack(b"data_x\n" * 1000)[:-12]
        (odd / f"a.cif{suffix}").write_bytes(packed)
    (odd / "a.json.gz").write_bytes((odd / "a.cif.gz").read_bytes())
    (odd / "OUTCAR.gz").write_bytes((odd / "a.cif.gz").read_bytes())
    for name, statements in _databases().items():
        with sqlite3.connect(odd / name) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
    yield from (Bad(path) for path in sorted(odd.iterdir()))


def _databases() -> dict[str, list[str]]:
    columns = (
        "id, unique_id, ctime, mtime, username, numbers, positions, cell, pbc, initial_magmoms, initial_charges, masses, tags, "
        "momenta, constraints, calculator, calculator_parameters, energy, free_energy, forces, stress, dipole, magmoms, magmom, "
        "charges, key_value_pairs, data, natoms, fmax, smax, volume, mass, charge"
    )
    version = ["CREATE TABLE information (name, value)", "INSERT INTO information VALUES ('version', '9')"]
    table = [f"CREATE TABLE systems ({columns})", *version]
    row = "INSERT INTO systems (id, numbers, positions, cell, pbc, constraints, key_value_pairs, data, natoms) VALUES "
    bomb = '{"__ndarray__": [[200000000], "int64", [1]]}'
    return {
        "other.db": ["CREATE TABLE addresses (name)", "INSERT INTO addresses VALUES ('x')"],
        "view.db": [*version, "CREATE VIEW systems AS SELECT 1 AS id, zeroblob(900000000) AS numbers"],
        "ragged.db": [*table, f"{row} (1, x'0102', x'01', NULL, 7, NULL, '{{}}', '{{}}', 1)"],
        "null.db": [*table, f"{row} (1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"],
        "bomb.db": [
            *table,
            f"{row} (1, x'01000000', zeroblob(24), zeroblob(72), 7, NULL, '{{}}', '{bomb}', 1)",
        ],
        "constraint.db": [
            *table,
            f"{row} (1, x'01000000', zeroblob(24), zeroblob(72), 7, '[{{\"name\": \"os\"}}]', '{{}}', '{{}}', 1)",
        ],
        "future.db": [table[0], version[0], "INSERT INTO information VALUES ('version', '99')"],
    }
