import base64
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from ganvas.backbones.state_dict import _Unpickler, read_state_dict
from ganvas.errors import GanvasError

# torch.save({"weight": torch.arange(6.0).reshape(2, 3).T, "count": torch.tensor(7)}, file) of
# torch 2.13, in both formats; compressed here.
WRITTEN_BY_TORCH = {
    "legacy": """
c-n1HJ5K^Z5WW|Ou7dbz>@1Il@H9|KVQAJTHrJR7E*oym<(9eI!)QWs6%l`fg{6PZpI~C)9Ee&l*_q9LJCE<1)OaDm*K6<d
=>Glcu#y_*A11~rXpURbG;JJ7C7BGo36EkSL(nn7E#OZelnS`V!=V_2U_847LG?K1UM!w?4CWLp$IT%a`!Z6HqlRnZON0t+Y
PnX{Lxv;BQ!7bUGi^j4xET2gbf#p){EC+-5yZrc_+27`p{IBl%gCG52^fy!=CcWyIT&#;mnEbZ$bq_9f&?tLh&i1`r`2j!T
diufSv!W@f(#ocNXEWUkiVuHHK{R!4XRUf2Agw+x&zJ>%8topG~^K<o(iT2ka8ck6m0jQuu#Zkf~tx>^6^(3&QRMgg`GbNja
sMLZr18;DET(kar7>ZE|=$i)^$(8ejg69ecWdISW~92lVk9Tt}QM9bKBZ~OHVL#@t~*ZZ{2Tp&4SG""",
    "zip": """
c-o~@&ui0A9Dhl=G-ldvRp{Jd=M-j_^!FUv5k@W%trMYm30eAVgITkezIG@G197mMyND+d{|UW&)QcBS-aHIXBJ2<Fy=Kjll
(pM@^!1VCeSYNozMnL7E&+fbfUz+LGQjk#jy-@YEfbshoo9}wrofZP*kfNJAT@ac*oAhxgArq4m%#EyAKOk(G(5P~x1E-OVY
lac#-Jb~R+5@Yg6NT*W*Z{ThlrZvn)s1_Q$&d-L-xpMrpb}j+UX-+=P^n?)Pc_F>^>57M(6g?l>^Ii9S2(2cDp_Cf!Bf_Y;D
*U7Ll0SM6(!O-9*=#GnB>ccQHzJh=a~Z^`6^p2cqersDkD?yv|@WPsDP$gAV1%V03*G-RS2VdQwO$-##9bopd(NtYH=;gBs?
ay56>ljREv}#Hglnw3G@Z`}F7MD=N!OBwGa4Q?irN8Kz^myW6mfHMJN!nsbdxi5jTyqTei$U?&=w2lc?f)^iM9T4_yPyNvE=
I5x%(q#j=1`E`@F5kJvG3fzr!<%+DSxBtU{&$?G9f9vE&<{p_J)~TcHo1?=8@?c?#qvfb0MN_47J4&9gP`#ZWM=li*ChDcZT
A&y7QuVSWD2i11`}_9e>F2)$3a1S?eAOQGY|?=*Od37IZfR=%f=1+WMN#BhxlpVqtCgx;F07W6a<N)cYK3a0q{zx@tyrwd)a
CKl`+p_kLmIkdsM)}0IFEB<&g0*)I654_Yy`Q%fU^=DCkcmWF+y?}CK*d^oF^QF`3O&j1>*sX!^2&hiooBpAeNmtHr#<xti;
8zN*o*Rp>zcME`&X!cHyI4ioSCKOli7?&hyKo7UgaQNFlb)vi|xxF^U{NOy3vYzxKbrGrW%xhWq`!{{U)Wil6""",
}
FLOATS = np.arange(12, dtype=np.float32)


# Opcodes of pickle protocol 2, assembled by hand so that the tests need no PyTorch.
def text(value):
    return b"X" + struct.pack("<i", len(value)) + value.encode()


def number(value):
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


def group(*items):
    return b"(" + b"".join(items) + b"t"


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def storage(kind="FloatStorage", key="0", kind_code=None):
    kind_code = kind_code or named("torch", kind)
    return group(text("storage"), kind_code, text(key), text("cpu"), number(12)) + b"Q"


def tensor(offset, size, stride, source=None):
    numbers = [number(offset), group(*map(number, size)), group(*map(number, stride))]
    hooks = named("collections", "OrderedDict") + b")R"
    parts = group(source or storage(), *numbers, b"\x89", hooks)
    return named("torch._utils", "_rebuild_tensor_v2") + parts + b"R"


def entries(**values):
    pairs = b"".join(text(key) + value for key, value in values.items())
    # PyTorch sets `_metadata` on the dict; "items" would shadow its method.
    metadata = b"}(" + text("_metadata") + b"}" + text("items") + number(1) + b"ub"
    return named("collections", "OrderedDict") + b")R(" + pairs + b"u" + metadata


def write_zip(path: Path, body: bytes, storages=None, compression=zipfile.ZIP_STORED, **extra):
    storages = {"0": FLOATS} if storages is None else storages
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + body + b".")
        for name, content in extra.items():
            archive.writestr(f"archive/{name}", content)
        for key, values in storages.items():
            archive.writestr(f"archive/data/{key}", values.tobytes())
    return path


def write_legacy(path: Path, body: bytes, storages=None):
    storages = {"0": FLOATS} if storages is None else storages
    # Older files also name the storage of which this one is a view, here None.
    body = body.replace(number(12) + b"t", number(12) + b"Nt")
    header = [pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {})]
    keys = pickle.dumps(list(storages), 2)
    raw = [struct.pack("<q", values.size) + values.tobytes() for values in storages.values()]
    path.write_bytes(b"".join([*header, b"\x80\x02" + body + b".", keys, *raw]))
    return path


@pytest.fixture(params=[write_zip, write_legacy])
def write(request, tmp_path):
    return lambda *args: request.param(tmp_path / "weights.pth", *args)


@pytest.mark.parametrize("format", ["legacy", "zip"])
def test_reading_a_file_written_by_torch(tmp_path, format):
    path = tmp_path / "weights.pth"
    path.write_bytes(zlib.decompress(base64.b85decode(WRITTEN_BY_TORCH[format].replace("\n", ""))))
    tensors = read_state_dict(path)
    assert list(tensors) == ["weight", "count"]
    assert tensors["weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert tensors["weight"].dtype == np.float32
    assert tensors["count"].shape == () and tensors["count"] == 7
    assert tensors["count"].dtype == np.int64


def test_strides_offsets_and_dtypes(write):
    longs = np.array([-1, 2**40])
    parameter = named("torch._utils", "_rebuild_parameter")
    parameter += group(tensor(0, (3,), (1,)), b"\x88", b"N") + b"R"
    body = entries(
        plain=tensor(0, (3, 4), (4, 1)),
        transposed=tensor(0, (4, 3), (1, 4)),
        part=tensor(5, (2, 2), (4, 1)),
        expanded=tensor(1, (3, 2), (0, 1)),
        scalar=tensor(11, (), ()),
        empty=tensor(12, (0, 4), (4, 1)),
        single=tensor(2, (1, 2), (2**62, 1)),
        longs=tensor(0, (2,), (1,), storage("LongStorage", "1")),
        parameter=parameter,
    )
    tensors = read_state_dict(write(body, {"0": FLOATS, "1": longs}))
    grid = FLOATS.reshape(3, 4)
    expected = {
        "plain": grid,
        "transposed": grid.T,
        "part": grid[1:, 1:3],
        "expanded": np.array([[1, 2]] * 3, np.float32),
        "scalar": np.float32(11),
        "empty": np.empty((0, 4), np.float32),
        "single": np.array([[2, 3]], np.float32),
        "longs": longs,
        "parameter": FLOATS[:3],
    }
    assert list(tensors) == list(expected)
    for name, values in expected.items():
        assert tensors[name].dtype == values.dtype, name
        np.testing.assert_array_equal(tensors[name], values, err_msg=name, strict=True)


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("posix", "system"), ("builtins", "eval")]
)
def test_a_function_call_is_refused_without_running(write, tmp_path, module, name):
    marker = tmp_path / "marker"
    call = named(module, name) + group(text(f"touch {marker}")) + b"R"
    with pytest.raises(GanvasError, match=f"refused: they refer to '{module}.{name}'"):
        read_state_dict(write(entries(a=call)))
    by_protocol_4 = text(module) + text(name) + b"\x93" + group(text(f"touch {marker}")) + b"R"
    with pytest.raises(GanvasError, match=f"refused: they refer to '{module}.{name}'"):
        read_state_dict(write(entries(a=by_protocol_4)))
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["O", "BFloat16Storage", "f4"])
def test_a_storage_of_an_unknown_kind_is_refused(write, kind):
    # The type as a string in the file bypasses find_class: NumPy would read "O" as pointers.
    body = entries(a=tensor(0, (1,), (1,), storage(kind_code=text(kind))))
    with pytest.raises(GanvasError, match="no plain storage"):
        read_state_dict(write(body))


def test_attributes_cannot_be_set(write):
    defaults = b"N}" + text("__defaults__") + group(number(1)) + b"s\x86b"
    for allowed in ("_rebuild_tensor_v2", "_rebuild_parameter"):
        with pytest.raises(GanvasError):
            read_state_dict(write(entries(a=named("torch._utils", allowed) + defaults)))
    assert _Unpickler._rebuild_tensor.__defaults__ is None


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (13,), (1,)),
        (9, (4,), (1,)),
        (12, (1,), (1,)),
        (0, (3, 4), (5, 1)),
        (0, (2,), (2**62,)),
        (-1, (2,), (1,)),
        (4, (2,), (-1,)),
        (0, (-1,), (1,)),
        (0, (2, 2), (1,)),
        (0, (2**40, 2**40), (0, 0)),
    ],
)
def test_a_tensor_outside_its_storage_is_rejected(write, offset, size, stride):
    with pytest.raises(GanvasError, match="no complete PyTorch state dict"):
        read_state_dict(write(entries(a=tensor(offset, size, stride))))


def test_a_tensor_of_an_empty_storage_is_rejected(write):
    with pytest.raises(GanvasError, match="beyond its storage"):
        read_state_dict(write(entries(a=tensor(0, (1,), (1,))), {"0": FLOATS[:0]}))


def test_a_truncated_file_is_rejected(write):
    # Half of the storage isn't used.
    path = write(entries(a=tensor(0, (3, 2), (2, 1))))
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(GanvasError, match=r"no complete PyTorch state dict.*again"):
            read_state_dict(path)


def test_other_objects_than_tensors_are_refused(write):
    for body in (entries(epoch=number(3)), b"}" + number(1) + tensor(0, (), ()) + b"s"):
        with pytest.raises(GanvasError, match=r"refused: .* is a .*, not a tensor"):
            read_state_dict(write(body))
    with pytest.raises(GanvasError, match="not names with tensors"):
        read_state_dict(write(tensor(0, (), ())))
    with pytest.raises(GanvasError, match="which is no storage"):
        read_state_dict(write(entries(a=tensor(0, (), (), source=number(1)))))


def test_zip_files_unlike_those_of_pytorch_are_refused(tmp_path):
    body, path = entries(a=tensor(0, (), ())), tmp_path / "weights.pth"
    with pytest.raises(GanvasError, match="compressed"):
        read_state_dict(write_zip(path, body, compression=zipfile.ZIP_DEFLATED))
    with pytest.raises(GanvasError, match="big-endian"):
        read_state_dict(write_zip(path, body, byteorder="big"))
    assert read_state_dict(write_zip(path, body, byteorder="little"))["a"] == 0


def test_another_pickle_is_rejected(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(1))
    with pytest.raises(GanvasError, match="the first number isn't PyTorch's"):
        read_state_dict(path)
