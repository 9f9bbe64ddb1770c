# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Cells as agents write them that were trained elsewhere: with other names of images, directories, fonts and tools."""

import io
import os
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from tests.tools.sandbox.support import Trajectory, as_configured, call, load, message, picture, pool_of, say
from tools.images import open_image
from tools.sandbox.runtime import cjk_font

NO_PROCESSES = "(no processes or programs can be started here: use one process, or threads)"
ONE = "the conversation's image is images[0], its file is image_paths[0] = '/work/image_0.png'"
NONE = "this conversation has no image"
needs_cjk = pytest.mark.skipif(not cjk_font(), reason="no Chinese font: run_scripts/install_sandbox.sh")


def photo():
    """An image with an edge, text and colours."""
    image = Image.new("RGB", (192, 128), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((32, 32, 96, 96), fill=(200, 30, 30))
    draw.text((110, 50), "EXIT 7", fill="black")
    return image


# What an agent writes -> the text it reads (a pattern of all of it) and the sizes of the images that it sees.
CELLS = {
    # ------------------------------------------------------------ DeepEyes: crop and look
    "crop": ("images[0].crop((32, 32, 96, 96)).resize((256, 256))", r"Image 1: value\.", [(256, 256)]),
    "crop by fractions, in tags": (
        "<code>\n```python\nw, h = images[0].size\ncrop = images[0].crop((w // 2, 0, w, h))\ncrop.show()\n```\n</code>",
        r"Image 1: image shown\.",
        [(96, 128)],
    ),
    "rotate": ("display(images[0].rotate(90, expand=True))", r"Image 1: image shown\.", [(128, 192)]),
    "contrast": (
        "from PIL import ImageEnhance\nimg = ImageEnhance.Contrast(images[0]).enhance(2.0)\n"
        "img.save('contrast.png')\nimg",
        r"Image 1: file contrast\.png\.",
        [(192, 128)],
    ),
    "boxes": (
        "from PIL import ImageDraw, ImageFont\nim = images[0].copy()\nd = ImageDraw.Draw(im)\n"
        "d.rectangle([10, 10, 60, 60], outline='red', width=3)\n"
        "d.text((10, 70), 'sign', font=ImageFont.truetype('arial.ttf', 16), fill='red')\nim.show()",
        r"Image 1: image shown\.",
        [(192, 128)],
    ),
    # ------------------------------------------------------------ PyVision: OpenCV and plots
    "edges": (
        "import cv2\nimport numpy as np\ngray = cv2.cvtColor(np.array(images[0]), cv2.COLOR_RGB2GRAY)\n"
        "edges = cv2.Canny(gray, 50, 150)\nprint(int((edges > 0).sum()) > 100)\n"
        "import matplotlib.pyplot as plt\nplt.imshow(edges, cmap='gray')\nplt.axis('off')\nplt.show()",
        r"True\nImage 1: figure\.",
        [(640, 480)],
    ),
    "contours": (
        "import cv2\nimg = cv2.imread(image_paths[0])\nmask = cv2.inRange(img, (0, 0, 150), (80, 80, 255))\n"
        "contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)\n"
        "[cv2.boundingRect(c) for c in contours]",
        r"\[\(32, 32, 65, 65\)\]",
        [],
    ),
    "cv2.imshow": (
        "import cv2\nimg = cv2.imread(image_paths[0])\ncv2.imshow('img', img)\ncv2.waitKey(0)\ncv2.destroyAllWindows()",
        r"Image 1: image shown\.",
        [(192, 128)],
    ),
    "histogram": (
        "import matplotlib.pyplot as plt\nimport numpy as np\nplt.hist(np.array(images[0]).ravel(), bins=32)\n"
        "plt.title('Histogram')",
        r"Image 1: figure\.",
        [(640, 480)],
    ),
    "savefig and show": (
        "import matplotlib.pyplot as plt\nplt.figure(figsize=(4, 3))\nplt.plot([1, 2, 3])\nplt.savefig('plot.png')\n"
        "plt.show()",
        r"Image 1: file plot\.png\.",
        [(384, 288)],
    ),
    "OCR": (
        "import pytesseract\nprint(pytesseract.image_to_string(images[0]))",
        r"line 1: import pytesseract\nModuleNotFoundError: No module named 'pytesseract' "
        r"\(installed: numpy, scipy, sympy, pandas, PIL, matplotlib, cv2, skimage, sklearn, networkx, shapely, "
        r"seaborn, tqdm\)",
        [],
    ),
    "components": (
        "from skimage import measure, color\nlabels = measure.label(color.rgb2gray(images[0]) < 0.5)\n"
        "int(max(r.area for r in measure.regionprops(labels)))",
        "4225",
        [],
    ),
    "clusters": (
        "from sklearn.cluster import KMeans\nimport numpy as np\n"
        "k = KMeans(2, n_init=1, random_state=0).fit(np.array(images[0]).reshape(-1, 3))\n"
        "sorted(map(int, np.bincount(k.labels_)))[0] >= 4225",
        "True",
        [],
    ),
    # ------------------------------------------------------------ Thyme: paths, text around the code
    "a guessed path": (
        "Let's look at the image.\n```python\nfrom PIL import Image\nimg = Image.open('/path/to/input.jpg')\n```",
        r"line 4: img = .*\nFileNotFoundError: .*'/path/to/input\.jpg' " + re.escape(f"({ONE})"),
        [],
    ),
    "its own path": (
        "from PIL import Image\nim = Image.open('image_0.png')\nprint(im.size, im.mode)",
        r"\(192, 128\) RGB",
        [],
    ),
    "a path of another sandbox": (
        "from PIL import Image\nImage.open('/mnt/data/image_0.png').resize((96, 64)).save('/mnt/data/small.png')\n"
        "print('/mnt/data/small.png')",
        r"/mnt/data/small\.png\nImage 1: file small\.png\.",
        [(96, 64)],
    ),
    "a guessed name": ("image.size", r"line 1: image\.size\nNameError: name 'image' .*" + re.escape(f"({ONE})"), []),
    "cv2.imread of a guessed path": (
        "import cv2\nimg = cv2.imread('input.jpg')",
        re.escape(f"cv2.imread returns None: 'input.jpg' is not there; {ONE}"),
        [],
    ),
    # ------------------------------------------------------------ code interpreters: mathematics and data
    "sympy": ("from sympy import symbols, solve\nx = symbols('x')\nsolve(x**2 - 5*x + 6, x)", r"\[2, 3\]", []),
    "linear algebra": (
        "import numpy as np\nA = np.array([[2, 1], [1, 3]])\nnp.linalg.solve(A, [3, 5]).round(3)",
        r"array\(\[0\.8, 1\.4\]\)",
        [],
    ),
    "a table": (
        "import pandas as pd\ndf = pd.DataFrame({'city': ['A', 'B'], 'n': [3, 5]})\ndisplay(df)\ndf['n'].sum()",
        r"  city  n\n0    A  3\n1    B  5\n(np\.int64\()?8\)?",
        [],
    ),
    "a graph": (
        "import networkx as nx\nG = nx.Graph([(1, 2), (2, 3)])\nprint(nx.shortest_path(G, 1, 3))\n"
        "import matplotlib.pyplot as plt\nnx.draw(G, with_labels=True)\nplt.show()",
        r"\[1, 2, 3\]\nImage 1: figure\.",
        [(640, 480)],
    ),
    "geometry": ("from shapely.geometry import Polygon\nPolygon([(0, 0), (4, 0), (0, 3)]).area", r"6\.0", []),
    "seaborn": (
        "import seaborn as sns\nimport pandas as pd\nsns.barplot(data=pd.DataFrame({'a': ['x', 'y'], 'b': [1, 2]}), "
        "x='a', y='b')",
        r"Image 1: figure\.",
        [(640, 480)],
    ),
    "async": (
        "import asyncio\nasync def f(x):\n    await asyncio.sleep(0)\n    return x * 2\n"
        "await asyncio.gather(f(1), f(2))",
        r"\[2, 4\]",
        [],
    ),
    "input()": ("n = int(input('n: '))", r"n: \nline 1: .*\nEOFError: .* \(nobody answers input\(\) here\)", []),
    "exit()": ("print('done')\nexit()", "done", []),
    "sys.exit": ("import sys\nprint('done')\nsys.exit(1)", "done\nexit status 1", []),
    "a warning": (
        "import warnings\nwarnings.warn('careful')\n1",
        "line 2: UserWarning: careful\n1",
        [],
    ),
    "a progress bar": (
        "from tqdm import tqdm\nimport time\nfor i in tqdm(range(40)):\n    time.sleep(0.01)",
        r"100%\|█+\| 40/40 .*",
        [],
    ),
    "carriage returns": ("for i in range(5):\n    print(f'step {i}', end='\\r')", "step 4", []),
    "magics": (
        "%matplotlib inline\n%config InlineBackend.figure_format = 'retina'\n!pip install easyocr\n%time x = 6\nx * 7",
        "shell commands are not available\n42",
        [],
    ),
    "a shell cell": ("%%bash\necho it's", "%%bash is not available: cells are Python", []),
    "plotly": ("import plotly.express as px", r"line 1: .*\nModuleNotFoundError: No module named 'plotly' .*", []),
    "the network": (
        "import urllib.request\nurllib.request.urlopen('https://example.com/a.png')",
        r"line 2: .*\nURLError: .* \(there is no network here\)",
        [],
    ),
    "IPython": (
        "from IPython.display import display, Image, Markdown, HTML\nimages[0].save('a.jpg')\n"
        "display(Markdown('**6**'), HTML('<p>one<br>two</p>'))\ndisplay(Image('a.jpg'))",
        r"\*\*6\*\*\none\ntwo\nImage 1: image shown\.",
        [(192, 128)],
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_of_agents(tool, name):
    code, pattern, sizes = CELLS[name]
    response, _ = call(tool, code, Trajectory(message(photo())))
    assert re.fullmatch(pattern, response.text), response.text
    # The tool rounds the sides to what the model's processor accepts.
    assert [image.size for image in response.image or []] == sizes


def test_state_lasts_over_cells(tool):
    trajectory = Trajectory(message(photo()))
    say(
        tool,
        "import numpy as np\nfrom PIL import Image\ndef area(box): return (box[2] - box[0]) * (box[3] - box[1])",
        trajectory,
    )
    say(tool, "box = (32, 32, 96, 96)\nregion = images[0].crop(box)", trajectory)
    assert say(tool, "area(box), np.array(region)[5, 5].tolist()", trajectory) == "(4096, [200, 30, 30])"


# ---------------------------------------------------------------- fonts

PLOT = "import matplotlib.pyplot as plt\nplt.rcParams['axes.unicode_minus'] = False\n"


@pytest.mark.parametrize(
    "font",
    [
        "plt.rcParams['font.family'] = 'Arial'",
        "plt.rcParams['font.family'] = 'Times New Roman'",
        "plt.rcParams['font.family'] = ['Times', 'Helvetica']",
        "plt.rcParams['font.sans-serif'] = ['SimHei', 'Microsoft YaHei']",
        "plt.rcParams['font.serif'] = ['STSong']; plt.rcParams['font.family'] = 'serif'",
        "plt.rcParams['font.monospace'] = ['Consolas']; plt.rcParams['font.family'] = 'monospace'",
        "plt.rcParams['font.family'] = 'cursive'",
        "import matplotlib; matplotlib.rc('font', family='PingFang SC', weight='bold')",
        "import seaborn as sns; sns.set_theme(font='Noto Sans CJK SC')",
    ],
)
@needs_cjk
def test_any_font_draws_any_language_without_a_word(tool, font):
    code = f"{PLOT}{font}\nplt.bar(['销量', '日本語', '한국어'], [-1, 2, 3])\nplt.title('标题 x² ä')\nplt.show()"
    assert say(tool, code, Trajectory()) == "Image 0: figure."


@needs_cjk
def test_chinese_characters_are_no_boxes(tool):
    code = (
        PLOT
        + "plt.figure(figsize=(1, 1), dpi=64)\nplt.axis('off')\nplt.text(0, 0, {!r}, size=30, family='{}')\nplt.show()"
    )
    pixels = [
        np.asarray(call(tool, code.format(text, family), Trajectory())[0].image[0])
        for text, family in (("中", "SimHei"), ("文", "SimHei"), ("中", "Arial"), ("\ue000", "Arial"))
    ]
    assert np.array_equal(pixels[0], pixels[2])
    assert not np.array_equal(pixels[0], pixels[1]) and not np.array_equal(pixels[0], pixels[3])


def test_characters_that_no_font_has_are_one_line(tool):
    code = PLOT + "plt.title('\U0001f600\U0001f680\U0001f389')\nplt.xlabel('\U0001f4c8')\nplt.show()"
    lines = say(tool, code, Trajectory()).splitlines()
    assert len(lines) == 2 and lines[0].endswith("are not in the fonts that are installed here")


@pytest.mark.parametrize(
    "file, family",
    [
        ("arial.ttf", "DejaVu Sans"),
        ("C:/Windows/Fonts/arialbd.ttf", "DejaVu Sans"),
        ("/usr/share/fonts/truetype/liberation/LiberationMono-Regular.ttf", "DejaVu Sans Mono"),
        ("times.ttf", "DejaVu Serif"),
        pytest.param("simhei.ttf", "WenQuanYi|Noto|Source Han|Droid", marks=needs_cjk),
        pytest.param(
            "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "WenQuanYi|Noto|Source", marks=needs_cjk
        ),
    ],
)
def test_pillow_draws_with_fonts_of_other_systems(tool, file, family):
    code = f"from PIL import ImageFont\nImageFont.truetype({file!r}, 20).getname()[0]"
    assert re.match(f"'(?:{family})", say(tool, code, Trajectory()))


def test_a_broken_font_file_is_an_error(tool):
    code = "from PIL import ImageFont\nopen('x.ttf', 'w').write('no font')\nImageFont.truetype('x.ttf', 20)"
    assert "OSError" in say(tool, code, Trajectory())


# ---------------------------------------------------------------- directories of other sandboxes


@pytest.mark.parametrize("folder", ["/mnt/data", "/content", "/kaggle/working", "/tmp/outputs", "/tmp/output"])
def test_directories_of_other_sandboxes(tool, folder):
    trajectory = Trajectory()
    code = f"""
import os
os.makedirs({folder!r}, exist_ok=True)
assert os.path.isdir({folder!r})
with open("{folder}/a.txt", "w") as file:
    file.write("42")
os.makedirs("{folder}/deep/er", exist_ok=True)
os.listdir({folder!r}), open("{folder}/a.txt").read()
"""
    text = say(tool, code, trajectory)
    assert "'a.txt'" in text and text.endswith("'42')")
    save = f"from PIL import Image\nImage.new('RGB', (64, 64)).save('{folder}/deep/a.png')"
    assert say(tool, save, trajectory) == "Image 0: file a.png."
    assert "a.txt" not in say(tool, f"os = __import__('os'); os.listdir({folder!r})", Trajectory())  # private


# ---------------------------------------------------------------- one picture, once

NOISE = "from PIL import Image\nim = Image.effect_noise((64, 64), 50).convert('RGB')\n"


@pytest.mark.parametrize(
    "code, count",
    [
        ("im.save('a.png'); im.show()", 1),
        ("im.save('a.jpg', quality=20); im.show()", 1),
        ("im.show(); im.save('a.webp')", 1),
        ("im.save('a.jpg'); im", 1),
        ("im.save('a.jpg'); display(im); im", 1),
        ("im.save('a.jpg'); display(Image.open('a.jpg'))", 1),
        ("im.save('a.png'); display(Image.open('a.png'))", 1),
        ("import pathlib; im.save(pathlib.Path('/mnt/data/a.jpg')); im.show()", 1),
        ("im.save(open('a.jpg', 'wb')); im.show()", 1),
        ("big = im.resize((2000, 2000)); big.save('a.jpg'); big.show()", 1),
        ("rgba = im.convert('RGBA'); rgba.save('a.png'); rgba.show()", 1),
        ("im.save('a.jpg'); im.rotate(90).show()", 2),
        ("im.show(); im.putpixel((0, 0), (255, 0, 0)); im.save('a.jpg')", 2),
        ("im.save('a.jpg'); im.rotate(90).save('a.jpg'); im.show()", 2),
        ("im.save('a.jpg'); im.save('b.jpg')", 2),
        ("import cv2, numpy as np; cv2.imwrite('a.jpg', np.asarray(im)[..., ::-1]); im.show()", 1),
        ("from IPython.display import display, Image as I; im.save('a.png'); display(I(filename='a.png'))", 1),
        ("from IPython.display import Image as I; im.save('a.png'); I('a.png')", 1),
        ("import matplotlib.pyplot as plt; plt.plot([1]); plt.savefig('a.png'); plt.show(); Image.open('a.png')", 1),
    ],
)
def test_one_picture_is_returned_once(tool, code, count):
    assert call(tool, NOISE + code, Trajectory())[1]["images"] == count


# ---------------------------------------------------------------- what the model saw


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def alpha(size=(96, 64)):
    return Image.fromarray((np.arange(size[0] * size[1]) % 256).astype(np.uint8).reshape(size[1], size[0]))


def turned(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(picture(96, 64), kind, exif=exif)


def with_alpha(mode):
    image = picture(96, 64).convert(mode)
    image.putalpha(alpha())
    return image


SOURCES = {
    "transparent palette": lambda: saved(picture(96, 64).quantize(16), "PNG", transparency=3),
    "palette with many transparencies": lambda: saved(
        picture(96, 64).quantize(16), "PNG", transparency=bytes(range(0, 256, 16))
    ),
    "GIF with transparency": lambda: saved(picture(96, 64).quantize(16), "GIF", transparency=3),
    "moving GIF": lambda: saved(
        picture(96, 64), "GIF", save_all=True, append_images=[picture(96, 64).rotate(90)], duration=9
    ),
    "grey": lambda: saved(picture(96, 64).convert("L"), "PNG"),
    "grey with a transparent value": lambda: saved(picture(96, 64).convert("L"), "PNG", transparency=7),
    "LA": lambda: saved(with_alpha("L"), "PNG"),
    "RGBA": lambda: saved(with_alpha("RGB"), "PNG"),
    "RGBA in WebP": lambda: saved(with_alpha("RGB"), "WEBP", lossless=True),
    "colour with a transparent value": lambda: saved(picture(96, 64), "PNG", transparency=(1, 2, 7)),
    "black and white": lambda: saved(picture(96, 64).convert("1"), "PNG"),
    "16 bits": lambda: saved(Image.fromarray(np.arange(96 * 64, dtype=np.uint16).reshape(64, 96) * 10), "PNG"),
    "CMYK": lambda: saved(picture(96, 64).convert("CMYK"), "JPEG"),
    "TIFF": lambda: saved(picture(96, 64), "TIFF"),
    **{f"JPEG turned by {n}": lambda n=n: turned("JPEG", n) for n in range(2, 9)},
    "PNG turned": lambda: turned("PNG", 6),
    "WebP turned": lambda: turned("WEBP", 8),
    "in memory": lambda: with_alpha("RGB"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_way_to_an_image_gives_what_the_model_saw(tool, name):
    source = SOURCES[name]()
    trajectory = Trajectory(message(source))
    code = """
import numpy as np, cv2, matplotlib.pyplot as plt
from PIL import Image, ImageOps
path = image_paths[0]
ways = {
    "images": images[0],
    "PIL": Image.open(path).convert("RGB"),
    "turned": ImageOps.exif_transpose(Image.open(path)).convert("RGB"),
    "cv2": cv2.cvtColor(cv2.imread(path), cv2.COLOR_BGR2RGB),
    "bytes": cv2.imdecode(np.fromfile(path, "uint8"), cv2.IMREAD_COLOR)[..., ::-1],
}
print({way: int(np.abs(np.asarray(p, dtype=int) - np.asarray(images[0], dtype=int)).max()) for way, p in ways.items()
       if np.shape(p) == np.shape(images[0])}, images[0].size)
import json; json.dumps([int(c.sum()) for c in np.asarray(images[0], dtype=int).T])
"""
    seen = open_image(source)
    differences, sums = say(tool, code, trajectory).rsplit("\n", 1)
    assert sums == repr(str([int(c.sum()) for c in np.asarray(seen, dtype=int).T]))
    *_, size = differences.partition("} ")
    assert size == str(seen.size)
    found = eval(differences.partition("}")[0] + "}")
    assert set(found) == {"images", "PIL", "turned", "cv2", "bytes"}, "another size"
    assert max(found.values()) <= 2, found  # Decoders of JPEG may round in another way.


def test_the_rule_is_that_of_an_ordinary_file(tool):
    """A file that every library reads alike is handed on as it is."""
    data = saved(picture(96, 64), "JPEG", quality=50)
    assert say(tool, "len(open(image_paths[0], 'rb').read())", Trajectory(message(data))) == str(len(data))
    assert ImageOps.exif_transpose(Image.open(io.BytesIO(turned("JPEG", 6)))).size == (64, 96)  # The case is real.


# ---------------------------------------------------------------- hints


@pytest.mark.parametrize(
    "name", ["image", "img", "image_0", "image0", "input_image", "image_path", "img1", "image_clue_0", "original_img"]
)
def test_guessed_names_of_images(tool, name):
    text = say(tool, f"{name}", Trajectory(message(photo())))
    assert text.endswith(f"NameError: name '{name}' is not defined ({ONE})")
    assert say(tool, f"{name}", Trajectory()).endswith(f"({NONE})")
    two = say(tool, f"{name}", Trajectory(message(photo(), photo())))
    assert two.endswith("(the conversation's images are images[0] to images[1], their files image_paths[0] = "
                        "'/work/image_0.png' and so on)")  # fmt: skip


@pytest.mark.parametrize("name", ["imagination", "x", "imgur", "timg"])
def test_other_names_get_no_hint(tool, name):
    assert say(tool, name, Trajectory(message(photo()))).endswith("is not defined")


@pytest.mark.parametrize(
    "code",
    ["open({!r}, 'rb')", "from PIL import Image; Image.open({!r})", "import skimage.io; skimage.io.imread({!r})"],
)
@pytest.mark.parametrize("path", ["image_1.jpg", "/mnt/data/input.png", "/home/user/IMG.JPEG"])
def test_guessed_paths_of_images(tool, code, path):
    text = say(tool, code.format(path), Trajectory(message(photo())))
    assert text.splitlines()[-1].startswith("FileNotFoundError") and text.endswith(f"({ONE})")


@pytest.mark.parametrize(
    "code",
    [
        "open('/home/user/a.txt', 'w')",
        "from PIL import Image; Image.new('RGB', (9, 9)).save('/home/user/a.png')",
        "import matplotlib.pyplot as plt; plt.savefig('/root/figures/a.png')",
        "import pandas as pd; pd.DataFrame().to_csv('/etc/a.csv')",
        "import os; os.makedirs('/var/data')",
    ],
)
def test_where_files_can_be_written(tool, code):
    text = say(tool, code, Trajectory())  # pandas says what is wrong itself.
    assert "(files can be written in /work, where cells start, and in /tmp)" in text or "non-existent" in text


def test_an_index_beyond_the_images_names_their_number(tool):
    text = say(tool, "images[1]", Trajectory(message(photo())))
    assert text.endswith("IndexError: images[1]: the conversation has 1 image")


def test_a_package_of_the_users_own_is_named():
    tool = load(packages=["pillow", "filelock"], spares=0)
    assert say(tool, "import numpy", Trajectory()).endswith("(installed: PIL, filelock)")
    pool_of(tool).close()


# ---------------------------------------------------------------- processes and timers


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess; subprocess.run(['ls'])",
        "import subprocess; subprocess.check_output('ls', shell=True)",
        "import os; os.popen('ls')",
        "import os; os.fork()",
        "import multiprocessing as mp\np = mp.Process(target=print)\np.start()",
        "import asyncio\nasync def f(): await asyncio.create_subprocess_shell('ls')\nawait f()",
    ],
)
def test_starting_a_process_is_one_line(tool, code):
    assert say(tool, code, Trajectory()).splitlines()[-1].endswith(NO_PROCESSES)


@pytest.mark.parametrize(
    "code, value",
    [
        ("import multiprocessing as mp\nwith mp.Pool(4) as p: r = p.map(abs, [-1, 2])\nr", "[1, 2]"),
        ("from multiprocessing import Pool, cpu_count\nPool(cpu_count()).starmap(pow, [(2, 3)])", "[8]"),
        ("import multiprocessing as mp\nmp.get_context('spawn').Pool(99).map(abs, [-1])", "[1]"),
        ("from concurrent.futures import ProcessPoolExecutor as E\nwith E(4) as e: r = list(e.map(abs, [-1]))\nr",
         "[1]"),
        ("from concurrent.futures import ProcessPoolExecutor as E\nE().submit(lambda: 42).result()", "42"),
        ("from scipy.optimize import brute\nround(float(brute(lambda x: (x[0] - 1) ** 2, [(0, 2)], workers=-1)[0]), 3)",
         "1.0"),
    ],
)  # fmt: skip
def test_pools_run_in_threads_and_say_so(tool, code, value):
    assert say(tool, code, Trajectory()) == f"note: no processes can be started here, the pool runs in threads\n{value}"


@pytest.mark.parametrize(
    "code, value",
    [
        ("from multiprocessing.pool import ThreadPool\nThreadPool(2).map(abs, [-1])", "[1]"),
        ("from joblib import Parallel, delayed\nParallel(n_jobs=-1)(delayed(abs)(-i) for i in range(3))", "[0, 1, 2]"),
        ("from joblib import Parallel, delayed\nParallel(n_jobs=4)(delayed(abs)(-i) for i in range(3))", "[0, 1, 2]"),
        ("from sklearn.ensemble import RandomForestClassifier as R\n"
         "R(5, n_jobs=-1).fit([[0], [1]] * 9, [0, 1] * 9).predict([[1]]).tolist()", "[1]"),
        ("import multiprocessing as mp\nq = mp.Queue(); q.put(5); q.get(), mp.Value('i', 3).value", "(5, 3)"),
        ("import os; os.system('ls') != 0", "os.system: no processes or programs can be started here: use one process, "
         "or threads\nTrue"),
    ],
)  # fmt: skip
def test_jobs_in_one_process(tool, code, value):
    assert say(tool, code, Trajectory()) == value


@pytest.mark.parametrize("timer", ["ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF"])
def test_a_timer_of_the_cell(tool, timer):
    trajectory = Trajectory()
    spin = f"import signal, time\nsignal.setitimer(signal.{timer}, 0.2)\nwhile True: pass"
    text = say(tool, spin, trajectory)
    assert re.search(r"TimeoutError: SIG\w+: the time that the code has set is up$", text)
    catch = (
        f"try:\n    signal.setitimer(signal.{timer}, 0.2)\n    while True: pass\nexcept TimeoutError: print('caught')"
    )
    assert say(tool, catch, trajectory) == "caught"
    say(tool, f"signal.setitimer(signal.{timer}, 0.3, 0.1); x = 42", trajectory)
    assert say(tool, "time.sleep(0.5)\nend = time.time() + 0.5\nwhile time.time() < end: pass\nx", trajectory) == "42"


def test_an_alarm_of_the_cell_does_not_move_the_limit(tool):
    trajectory = Trajectory()
    say(tool, "x = 42", trajectory)
    again = "import signal\ndef again(*_): signal.alarm(1)\nsignal.signal(signal.SIGALRM, again); signal.alarm(1)\n"
    response, metrics = call(tool, again + "while True: pass", trajectory)
    assert metrics["error"] == "timeout" and response.text.endswith("Variables are kept.")
    assert say(tool, "x", trajectory) == "42"


# ---------------------------------------------------------------- the description


def test_the_description_agrees_with_the_tool():
    tool = as_configured()
    said = tool.tool_schema.function.description
    assert f"up to {tool.options.code_timeout_s:g} s" in said
    named = "numpy, scipy, sympy, pandas, PIL, matplotlib, cv2, skimage, sklearn, networkx and shapely"
    assert named in said and all(word in said for word in ("no network", "images[i]", "image_paths[i]"))
    code = "\n".join(f"import {name}" for name in re.split(r", | and ", named))
    assert say(tool, f"{code}\nprint('all')", Trajectory()) == "all"
    assert os.environ.get("JOBLIB_MULTIPROCESSING") is None  # It is set in the jail alone.
