"""The animated .glb in a browser: three.js draws the body where the camera saw it, in its colors.

Needs Debian's chromium (or the one named by HYPOPOSE_CHROMIUM), playwright, and trimesh, whose
wheel carries three.js with its reader of glTF; skips visibly where one is absent. Set
HYPOPOSE_SCREENSHOTS to a folder to keep the picture.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import hypopose
from hypopose.api.meshes import make_meshes
from hypopose.bodies.mesh_files import save_mesh
from hypopose.bodies.mesh_scenes import MeshScene

pytestmark = pytest.mark.browser

SIDE, FRAME, FOV_DEG = 600, 3, 45.0
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
         "--no-first-run", "--disable-background-networking"]  # fmt: skip
SHOW = """
const scene = new THREE.Scene();
scene.background = new THREE.Color(0xffffff);
scene.add(new THREE.AmbientLight(0xffffff, 0.8));
const light = new THREE.DirectionalLight(0xffffff, 0.3);
light.position.set(0.3, 0.4, 0.9);
scene.add(light);
const renderer = new THREE.WebGLRenderer({antialias: true, preserveDrawingBuffer: true});
renderer.setPixelRatio(1);
renderer.setSize($SIDE, $SIDE);
renderer.outputEncoding = THREE.sRGBEncoding;
document.body.appendChild(renderer.domElement);
const camera = new THREE.PerspectiveCamera($FOV, 1, 0.1, 100);
camera.lookAt($X, $Y, $Z);
new THREE.GLTFLoader().load("data:model/gltf-binary;base64,$DATA", (gltf) => {
  scene.add(gltf.scene);
  const mixer = new THREE.AnimationMixer(gltf.scene);
  gltf.animations.forEach((clip) => mixer.clipAction(clip).play());
  mixer.setTime($TIME);
  renderer.render(scene, camera);
  document.title = "drawn " + renderer.info.render.triangles;
}, undefined, (error) => { document.title = "failed " + error; });
"""


@pytest.fixture(scope="module")
def scene() -> MeshScene:
    keypoints, _ = hypopose.datasets.example_pair(6)
    return make_meshes(hypopose.estimate(keypoints, sampler="boneflips", n_hypotheses=6))


def viewer(glb: bytes, middle: np.ndarray, seconds: float) -> str:
    """A page: trimesh's three.js and GLTFLoader, then a scene of ours."""
    trimesh = pytest.importorskip("trimesh", reason="the package trimesh is absent")
    packed = Path(trimesh.__file__).parent / "resources" / "templates" / "viewer.zip"
    with zipfile.ZipFile(packed) as archive:
        template = archive.read("viewer.html.template").decode()
    end = "THREE.GLTFLoader=GLTFLoader;})();"
    library = template[: template.index(end) + len(end)]
    values = {"SIDE": SIDE, "FOV": FOV_DEG, "TIME": seconds,
              **dict(zip("XYZ", middle.tolist(), strict=True))}  # fmt: skip
    script = SHOW
    for name, value in values.items():
        script = script.replace(f"${name}", str(value))
    data = base64.b64encode(glb).decode("ascii")
    return f"{library}{script.replace('$DATA', data)}</script></body></html>"


def photograph(page_file: Path) -> tuple[np.ndarray, str]:
    api = pytest.importorskip("playwright.sync_api", reason="the package playwright is absent")
    found = os.environ.get("HYPOPOSE_CHROMIUM") or shutil.which("chromium")
    if not found:
        pytest.skip("chromium is not installed; apt-get install -y chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS, timeout=120_000)
        page = browser.new_page(viewport={"width": SIDE, "height": SIDE})
        errors: list[str] = []
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.goto(page_file.as_uri())
        page.wait_for_function("/drawn|failed/.test(document.title)", timeout=120_000)
        title = page.title()
        picture = page.locator("canvas").screenshot()
        browser.close()
    assert errors == []
    folder = os.environ.get("HYPOPOSE_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "glb.png").write_bytes(picture)
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), dtype=float) / 255, title


def looked_at(vertices: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Pixels (V, 2) of a camera at the origin that looks at a point, y up."""
    forward = middle / np.linalg.norm(middle)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    seen = vertices @ np.stack([right, -up, forward], 1)
    focal = SIDE / 2 / np.tan(np.radians(FOV_DEG) / 2)
    return SIDE / 2 + focal * seen[:, :2] / seen[:, 2:]


def test_three_js_draws_the_body_where_the_camera_saw_it(scene: MeshScene, tmp_path: Path) -> None:
    save_mesh(tmp_path / "walk.glb", scene)
    vertices = scene.takes[0].vertices[FRAME]
    middle = (vertices.min(0) + vertices.max(0)) / 2
    page = tmp_path / "page.html"
    glb = (tmp_path / "walk.glb").read_bytes()
    page.write_text(viewer(glb, middle, FRAME / scene.fps), encoding="utf-8")
    picture, title = photograph(page)
    assert title == f"drawn {len(scene.faces)}"
    at = looked_at(vertices, middle)
    expected = Image.new("1", (SIDE, SIDE))
    for triangle in at[scene.faces]:
        ImageDraw.Draw(expected).polygon([tuple(p) for p in triangle], fill=1)
    body = (picture < 0.97).any(-1)
    both, either = np.asarray(expected) & body, np.asarray(expected) | body
    assert body.mean() > 0.02
    assert both.sum() / either.sum() > 0.95
    spread = scene.mean_spread()
    assert spread is not None
    inner = np.clip(at.round().astype(int), 0, SIDE - 1)
    shown = picture[inner[:, 1], inner[:, 0]]
    yellow = shown[:, 0] + shown[:, 1] - shown[:, 2]
    front = body[inner[:, 1], inner[:, 0]]
    high, low = spread > np.quantile(spread, 0.8), spread < np.quantile(spread, 0.2)
    assert yellow[front & high].mean() > yellow[front & low].mean() + 0.3
