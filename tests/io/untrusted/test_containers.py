"""Hostile HDF5, NetCDF and Parquet: nothing outside is opened, nothing unpacked without bound."""

from __future__ import annotations

import base64
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from hypopose.errors import BackendError, FormatError
from hypopose.io import inspect
from hypopose.io.source import Source
from hypopose.io.untrusted import containers
from hypopose.skeletons import get_skeleton

h5py = pytest.importorskip("h5py")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

COCO = get_skeleton("coco17").joint_names


def refusal(path, **options):
    with pytest.raises(FormatError) as caught:
        inspect(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def sleap(path, **datasets):
    with h5py.File(path, "w") as file:
        file["node_names"] = np.array(COCO, dtype="S")
        for name, value in datasets.items():
            file[name] = value
    return path


def test_links_and_data_in_other_files_are_refused(tmp_path):
    secret = sleap(tmp_path / "secret.h5", tracks=np.ones((1, 2, 17, 3)) * 50)
    path = sleap(tmp_path / "link.h5", tracks=h5py.ExternalLink(str(secret), "/tracks"))
    assert "'tracks' is a link to another file" in refusal(path)
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((1, 2, 17, 3), dtype="f8")
        layout[:] = h5py.VirtualSource(str(secret), "/tracks", shape=(1, 2, 17, 3))
        file.create_virtual_dataset("tracks", layout)
    assert "virtual data set" in refusal(tmp_path / "virtual.h5")
    (tmp_path / "raw.bin").write_bytes(bytes(816))
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset(
            "tracks", (1, 2, 17, 3), "f8", external=[(str(tmp_path / "raw.bin"), 0, 816)]
        )
    assert "kept in another file" in refusal(tmp_path / "external.h5")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("tracks", (10**6, 2, 17, 1000), "f8", chunks=True, compression="gzip")
        file["node_names"] = np.array(COCO, dtype="S")
    assert "would unpack to more than" in refusal(tmp_path / "bomb.h5")
    zeros = pa.table({n: np.zeros(5_000_000) for n in ("frame", "joint", "x", "y")})
    pq.write_table(zeros, tmp_path / "bomb.parquet")
    assert "would unpack to more than" in refusal(tmp_path / "bomb.parquet")


def test_unknown_filters_are_refused_and_load_no_plug_in(tmp_path):
    path = tmp_path / "filter.h5"
    with h5py.File(path, "w") as file:
        file["node_names"] = np.array(COCO, dtype="S")
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1, 2, 17, 3))
        properties.set_filter(30_123, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((1, 2, 17, 3))
        h5py.h5d.create(file.id, b"tracks", h5py.h5t.IEEE_F64LE, space, properties)
    assert "packed with filter 30123" in refusal(path)


def test_loops_of_groups_end(tmp_path):
    path = sleap(tmp_path / "loop.h5", tracks=np.ones((1, 2, 17, 3)) * np.arange(50, 53))
    with h5py.File(path, "a") as file:
        group = file.create_group("a")
        group["back"] = file["/"]
        group["soft"] = h5py.SoftLink("/a/back/a")
    assert inspect(path).format == "sleap"


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_truncated_and_damaged_files(tmp_path, share):
    whole = sleap(tmp_path / "whole.h5", tracks=np.ones((1, 2, 17, 3)) * 50).read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(whole[: int(share * len(whole))])
    assert "not a readable HDF5 file" in refusal(path)


def test_a_library_that_is_not_installed_is_named(tmp_path, monkeypatch):
    path = sleap(tmp_path / "a.h5", tracks=np.ones((1, 2, 17, 3)) * 50)
    script = tmp_path / "bare.py"
    script.write_text(
        "import sys\nsys.modules['h5py'] = None\n"
        f"sys.argv[0] = {str(containers.WORKER)!r}\n"
        f"exec(compile(open(sys.argv[0]).read(), sys.argv[0], 'exec'))\n"
    )
    monkeypatch.setattr(containers, "WORKER", script)
    with pytest.raises(BackendError, match=r"HDF5 needs h5py.*'hypopose\[formats\]'"):
        inspect(path)


def test_a_library_that_crashes_takes_nobody_with_it(tmp_path, monkeypatch):
    path = sleap(tmp_path / "a.h5", tracks=np.ones((1, 2, 17, 3)) * 50)
    script = tmp_path / "crash.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(containers, "WORKER", script)
    assert "could not get through it" in refusal(path)


ENDLESS = (
    b'c-rk+O>EO<82%imG-;F2KcNmyEW7O(1P721^#p}ZbP!fxK@5?QIJHS?yK$PNHzXv~X^0a-Wv5M(rk<vuT|jW*hP3'
    b'Up({7+mh~1EO*{#@qpAXw#+Z6E|m>;Qn`~JV*`@R1B(|$d5@KAbS`v7y1NU%5?VnM6|%O8h%t}lX0pi7`DF)o)q-'
    b'8ke!h<_jY0^}#Yn4EO2R|P!F(@*ph7UBPhsmV|CF8!H>=Vs+2qQjUgasE<l59Tn=##n+?Et~AK6AtG>VY>&}?o~N'
    b'F$BgZFRSw@rGKuS_h{j0(H->ah9pN~e>&Ly{H>#)4k-GX=Eatf+a3#r7E>0FXIozqjYu$&ci_E;T%f)D3`Syl`f1'
    b'1kgzd5K_#3v2KGybnh{KEys^V?<<FSW@2t1`v;_j97Z&Xe7Bi~OH-h~Lp5KGz_-nF9Hz&XfMp5z>#hNj_#1z1AlA'
    b'#m``Ol=uf{5Py#B?rOvrza%;}k9Eu<PKWZI!MYF3lHKD5>G#bcPmS_iMP9`unzhKU48L5F;{Q2Ad;$HNZlNC)P@U'
    b'qPDuSOSYM&s#Jn!FGqJNZ8Zwu>H;a|aeRH8RpMDJP9FA#sbNO8YAPVyg5Q`~P*U+OsehkQSn$cw(*X;YlNRpS4`x'
    b'-aSIL!I<DF((h(r2hqTq0gaD8s+~9{k?JudhG9&BbXD+$K}%$f4POe*RY<G#A~Qa>Y(o$#reB~eZN3?<vRL`x!q}'
    b'_e$+XNxti_}jU(R>>Zn5gA^NEom6@Z*4oYmxv-{slqWkrwfG+RoZkGe?q`KSjbXmE(T^>}+cDLjA-~8a4J^$C9!#'
    b'LOF@HxEE`TOe5-CIfQkQA;^dkc5P2NMzPExLA2X>KGbJg4$Y&tVZ){<ts`OFjAgHtga138FVQ?bEPu-SR$t;OK|E'
    b'_XzHq5c<S~J}ss3<{|ZRpWKJJ<&3}PM1XhKnhfw;1$|o3XCUKz5;D#Y;D_^r_~Cp?&`W|oCghie{BeQr6XI<V_<k'
    b'Y28~gBqW785}eBj(30IjRl=DBu5x0~VTYkpg5=(AeTKo;(Yp1-DBc!*}nke{Pqe(gcM=T|dSmHBH4)<yolLH~Mnm'
    b'yB9n4c8N{yJV=WUJK?;2mNi$T&P#nMj&n`<nJ2{u9sh}pEuk7Ua!sX8>H9kn_6mQ*6o|4VE&AH`glmcs4{=1*T!8'
    b'`hXdDx3&XTMml5IIG!2S0D%{r>LB|AnN4VZr($PD0gb42>qQfCVga{ELM2HaKy~AeTha}+<?!~_k6|&(s(%$?&#9'
    b'^7X-qcNl^JUYh>J`-}<HfqE&w0Pq)J4nGjiwDd-Kgj-y|PfMlf<@4o(u2atNyE@9Qd9y@*Mlgzu&}OdOth(Plaqx'
    b'@23>#&zQiwuPsjjmY^Vg'
)  # fmt: skip
"""An HDF5 file of the fuzzer's, compressed, that HDF5 1.14 reads in circles."""


def test_a_file_that_is_read_in_circles_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(containers, "CPU_SECONDS", 4)
    path = tmp_path / "circles.h5"
    path.write_bytes(zlib.decompress(base64.b85decode(ENDLESS)))
    assert "not a readable HDF5 file" in refusal(path)


GREEDY = (
    b'c-rk&Ply{;7@x^z**M*nl`T?4WKR-2NG9_q8&DdtE0NZ^x;1X8CCMg}nK84;B$M4_Zwm#fDB?j%>!~1!CqcX@dhsT>'
    b'o;>xoqKMuKUc7DJd*Anx_syZg77vB}V0rm|@B4k<d%yS1d;3B4!mFo^rwxr;E~jO+B~7&>w8Ap=<$ME29mktEewmTD'
    b'F6Pc5{v_s4$6a}AZH-4CrA*d2oQE-|J+`K6Cw6SBuD!g@$4&HQm;RKYaqSMBuRijj&5{0H!p!*v@a1~`tAFFukA451'
    b'*#FSKH|J^GsJRt+%4PAW{kw7bjSKt+mVLJ}M=zr)`oa9k89mJ8yOq{!Q7faKi%jF37B_qCW>O#R#h$>Inb4;cy*tC^'
    b'wpW*@%<%=7)8)CqO{41oU^!)Mh|uTQy?2-W2zzaBB6}()@0W_U+l+R+q`npPTitpA@aNgzZ5>Kka$hUwryTo~W*=dp'
    b'd4}@1OeUkly#?!<(?7vhI?Ss2$b0eIGvH6Av-xA`-Qjj-Q2FJ6+2U3OYo52bEw5L^{GS)6_-A*R{XGKz+<1x$e*55{'
    b'60=`t6B_?S5AuIHix<Pcm}mbr8vol4*1bH%h5r=hJ-kNa^<D7qZ`1X>+k(131ax2jybgZj9g6=v0KYn*b#KKL*oRNo'
    b'e}97en$Y-XhZT|U+JMFv5P!v|bvHJ_|7$qKWgm<DFKz?x*A~sU-^Kd7wEo9q)X$^wl|JCLHpN%u{ye&_mJj%y-PArB'
    b'fd3fNbGWyG`FCji<_O}yYtZw#gn942nL3{~<oV)i3J*bt4@Y#rwFdTYIuGi6c%9<O70B~>pRRMgg*p#Xd9DNg{j7iG'
    b'ze8eQ<qq!eZOZ!{^$ErlzY#*bK1rQJ1o*vx>iTsI`}<>(`c5!!<2{=Hn*`Q77t#0-zmN4%>YM|pYbI3JudrWlq`vcy'
    b'YJe}NzVmPl>%25c#a{$Go9feB7`K%Ae%`+d=if=`a~tzNBl`;{DqUEAIP0(Ud%VAJ^0pqw7PUAF@8wzX?$Y<J-evFN'
    b'^!<G)J9~fgQCu+cwVpRJV$-Pg`iW=6MWZ$`V#^rCw$aS{rr|SW&xjp{xHBXQyIvFq{eIhsOKfTtrfQMb8P&Z#mZ)s_'
    b'Jd0UC(yHO}9Hxmro99Hch|FQ=2S_z7!*}_dTmlCK*--$&c1hjlkdaGRcvZ%hkX%*(PA(Q`Y0fU1z%CZ$UfG|`0ZRb{'
    b'+g3{_L4PM|dpv`K8K!DEP`_AG0Fhyp)K^lVc9ztR13ZOgDgaMm70Ldit^SxDo`rNNpM~;Sjsgg}OBFyqDriXsEmY7d'
    b'D*)%)1-1Nm7$&ThY?RQJ5^{jkZA$?J-6rKF9|g3ffHn$fmlQzoN!JBo%*ZI6Bc-!ZI>%H1PIhSH3ATgEIZ`<Xm2(^g'
    b'5Ny(T-JZwV)<NAIshfkkIb{XlY?pQ(&|TEcmAbj8n`<e6pp({X_PP<Lqin8}%|+SVk^%@i?K{aw<w{aH7nLiS3c&d#'
    b'w!jzI{qX<*sO*C'
)  # fmt: skip
"""An HDF5 file of the fuzzer's, compressed, that HDF5 1.14 asks gigabytes for."""

MEMORY = """
import resource, sys
from hypopose.errors import FormatError
from hypopose.io import inspect
try:
    inspect(sys.argv[1])
except FormatError as error:
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit address space")
def test_a_small_file_gets_little_memory(tmp_path):
    path = tmp_path / "greedy.h5"
    path.write_bytes(zlib.decompress(base64.b85decode(GREEDY)))
    words = [sys.executable, "-c", MEMORY, str(path)]
    out = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    kilobytes, _, told = out.partition(" ")
    assert "not a readable HDF5 file" in told
    assert int(kilobytes) < 1.2 * 2**20


def test_waiting_ends_too(tmp_path, monkeypatch):
    """For what spends no processor time."""
    path = sleap(tmp_path / "a.h5", tracks=np.ones((1, 2, 17, 3)) * 50)
    script = tmp_path / "asleep.py"
    script.write_text("import time\ntime.sleep(100)\n")
    monkeypatch.setattr(containers, "WORKER", script)
    monkeypatch.setattr(containers, "WALL_FACTOR", 0.05)
    assert "it was not read within 1.0 s" in refusal(path)


def test_wrong_tables(tmp_path):
    columns = {"frame": [0.0], "joint": ["nose"], "x": ["a"], "y": [2.0]}
    pq.write_table(pa.table(columns), tmp_path / "text.parquet")
    assert "column 'x' holds text" in refusal(tmp_path / "text.parquet")
    columns = {"frame": [0.5], "joint": ["nose"], "x": [5.0], "y": [2.0]}
    pq.write_table(pa.table(columns), tmp_path / "half.parquet")
    assert "expected a frame number" in refusal(tmp_path / "half.parquet")
    columns = {"frame": [0], "joint": [["nose"]], "x": [5.0], "y": [2.0]}
    pq.write_table(pa.table(columns), tmp_path / "nested.parquet")
    assert "not a readable Parquet file" in refusal(tmp_path / "nested.parquet")
    nobody = pa.table({"frame": [0], "joint": pa.nulls(1), "x": [5.0], "y": [2.0]})
    pq.write_table(nobody, tmp_path / "null.parquet")
    assert "1 joint names, some empty" in refusal(tmp_path / "null.parquet")
    assert "tracks (3, 2)" in refusal(sleap(tmp_path / "b.h5", tracks=np.ones((3, 2))))
    wrong = sleap(tmp_path / "c.h5", tracks=np.ones((1, 2, 17, 3)), point_scores=np.ones(4))
    assert "point_scores (4,)" in refusal(wrong)
    assert "HDF5 file with node_names" in refusal(sleap(tmp_path / "d.h5"))


MANY = b"frame,person,joint,x,y\n" + b"".join(
    b"%d,a,nose,1.%s,2\n" % (i, b"0" * 99_999) for i in range(12)
)
TEXTS = {
    "line": (b"frame,person,joint,x,y\n" + b"1," * 2**20, "line 2: longer than"),
    "quote": (b'frame,person,joint,x,y\n0,a,"' + b"x" * 200_000, "not in rows"),
    "cells": (b"frame,person,joint,x,y\n0,a,nose,1\n", "line 2: 4 cells, but 5 columns"),
    "number": (b"frame,person,joint,x,y\n0,a,nose,1,one\n", "line 2, y: expected a number"),
    "frame": (b"frame,person,joint,x,y\n-1,a,nose,1,2\n", "expected a frame number"),
    "nan frame": (b"frame,person,joint,x,y\nnan,a,nose,1,2\n", "expected a frame number"),
    "rows": (b"frame,person,joint,x,y\n", "a table without rows"),
    "utf": (MANY + b"1,\xff,nose,1,2\n", "line 14: text is not UTF-8"),
    "size": (b"# image_size: 0 5\nframe,joint,x,y\n0,nose,1,2\n", "image_size is not a width"),
    "rate": (b"# fps: fast\nframe,joint,x,y\n0,nose,1,2\n", "fps is not a frame rate"),
    "skeleton": (b"# skeleton: cat\nframe,joint,x,y\n0,nose,1,2\n", "no skeleton 'cat'"),
    "infinite": (b"frame,joint,x,y\n0,nose,inf,2\n", "no keypoint of any person"),
    "dlc": (b"scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\nrow,1,2\n", "no frame number in 'row'"),
    "dlc 3d": (b"scorer,a,a,a\nbodyparts,n,n,n\ncoords,x,y,z\n0,1,2,3\n", "a 3D table"),
    "dlc cut": (b"scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\n0,1\n", "line 4: 2 cells"),
    "braces": (b"landmarks {\n" + b"landmark {" * 30, "nested too deeply"),
    "proto": (b"landmarks {\nlandmark { x: 1e }\n", "expected a number, got '1e'"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_bad_texts(tmp_path, name):
    data, expected = TEXTS[name]
    (tmp_path / "bad.csv").write_bytes(data)
    assert expected in refusal(tmp_path / "bad.csv", image_size=(640, 480))


def test_a_hundred_megabytes_in_one_line(tmp_path):
    for start in (b"frame,person,joint,x,y\n", b"landmarks {\n", b"["):
        path = tmp_path / "long"
        path.write_bytes(start + b"7" * 100 * 2**20)
        refusal(path)


def test_the_worker_opens_nothing_else(tmp_path):
    """Watched by an audit hook: beside libraries, only the given file is opened."""
    path = sleap(tmp_path / "a.h5", tracks=np.ones((1, 2, 17, 3)) * 50)
    watch = (
        "import sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(containers.WORKER).parent)!r})\n"
        "import h5py, scipy.io, pyarrow.parquet, reading_process\n"
        "seen = []\n"
        "def hook(event, args):\n"
        "    if event == 'open': seen.append(str(args[0]))\n"
        "    if event in ('subprocess.Popen', 'os.system', 'socket.connect'):\n"
        "        seen.append(event)\n"
        "sys.addaudithook(hook)\n"
        f"reading_process.read_hdf5({str(path)!r}, 2**26)\n"
        f"ours = (sys.prefix, sys.base_prefix, {str(path)!r})\n"
        "assert all(s.startswith(ours) for s in seen), seen\n"
    )
    subprocess.run([sys.executable, "-c", watch], check=True, timeout=120)


TREES = {
    "columns of different lengths": (
        "parquet",
        {
            "/frame": np.zeros(3),
            "/joint": np.array(["nose"] * 3),
            "/x": np.ones(2),
            "/y": np.ones(3),
        },
    ),
    "a table without rows": ("hdf5", {"/df/table/values_block_0": np.zeros((0, 3))}),
    "several tables": ("hdf5", {}),
    "no values in the table": ("hdf5", {"/df/table/index": np.zeros(3)}),
    "no variables": ("netcdf3", {"/position": np.zeros(3)}),
    "position (3,)": ("hdf5", {"/position": np.zeros(3), "/keypoints": np.zeros(3)}),
}


@pytest.mark.parametrize("name", TREES)
def test_contents_that_fuzzing_came_up_with(tmp_path, monkeypatch, name):
    kind, arrays = TREES[name]
    attributes = {"/df": {"pandas_type": b"frame_table"}} if "table" in name else {}
    if name == "several tables":
        attributes["/other"] = attributes["/df"]
    path = tmp_path / "a"
    path.write_bytes(
        {"hdf5": b"\x89HDF\r\n\x1a\n", "netcdf3": b"CDF\x01", "parquet": b"PAR1"}[kind]
    )
    tree = containers.Tree(kind, arrays, attributes)
    monkeypatch.setattr("hypopose.io.source.read_tree", lambda *_: tree)
    form = {"hdf5": "deeplabcut", "netcdf3": "movement", "parquet": "tidy"}[kind]
    form = "movement" if "position" in name else form
    refusal(path, format=form)
    with pytest.raises(FormatError):
        inspect(path)


def test_a_tree_is_read_once(tmp_path):
    source = Source(sleap(tmp_path / "a.h5", tracks=np.ones((1, 2, 17, 3)) * 50))
    assert source.tree is source.tree
    assert source.tree.listed == "node_names, tracks" or set(source.tree.arrays) == {
        "/node_names", "/tracks",
    }  # fmt: skip
