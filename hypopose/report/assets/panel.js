/* The interactive panel of a HypoPose report. Plain script; needs globalThis.THREE (three.min.js).
 *
 * Camera frame: x right, y down, z forward, metres, root at the origin. The scene turns it upright:
 * (x, -y, -z). Everything is drawn on demand; nothing runs while nothing changes.
 */
(() => {
  "use strict";
  const LEFT = 0xe07b00, RIGHT = 0x0063a6, MIDDLE = 0x444444;
  const MISSING = -32768;

  function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0));
    const integers = new Int16Array(bytes.buffer);
    const values = new Float32Array(integers.length);
    for (let i = 0; i < integers.length; i++) {
      values[i] = integers[i] === MISSING ? NaN : integers[i] * packed.scale;
    }
    return { values, shape: packed.shape };
  }

  /* Values of one frame; arrays are (F, ...) or, with a hypothesis, (H, F, ...). */
  function frameOf(array, frame, hypothesis) {
    const skip = hypothesis === undefined ? 1 : 2;
    const size = array.shape.slice(skip).reduce((a, b) => a * b, 1);
    const row = hypothesis === undefined ? frame : hypothesis * array.shape[1] + frame;
    return array.values.subarray(row * size, (row + 1) * size);
  }

  function decode(raw) {
    const scene = { ...raw };
    for (const key of ["hypotheses", "mean", "keypoints", "ellipsoids", "truth", "reprojection"]) {
      if (raw[key]) scene[key] = unpack(raw[key]);
    }
    return scene;
  }

  function sideOf(bone, left, joints) {
    if (left.includes(bone[1])) return "left";
    return joints && joints[bone[1]].startsWith("right") ? "right" : "middle";
  }

  /* Positions of line segments for the bones of one pose; bones with a missing end are left out. */
  function segments(pose, bones) {
    const out = [];
    for (const [a, b] of bones) {
      const ends = [a, b].map((j) => [pose[3 * j], -pose[3 * j + 1], -pose[3 * j + 2]]);
      if (ends.flat().every(Number.isFinite)) out.push(...ends[0], ...ends[1]);
    }
    return out;
  }

  class View3D {
    constructor(canvas) {
      const T = THREE;
      this.canvas = canvas;
      this.renderer = new T.WebGLRenderer({ canvas, antialias: true, preserveDrawingBuffer: true });
      this.scene = new T.Scene();
      this.scene.background = new T.Color(0xffffff);
      this.camera = new T.OrthographicCamera(-1, 1, 1, -1, 0.01, 50);
      this.controls = new T.OrbitControls(this.camera, canvas);
      this.controls.enablePan = false;
      this.controls.addEventListener("change", () => this.render());
      this.scene.add(new T.AmbientLight(0xffffff, 1.6));
      const light = new T.DirectionalLight(0xffffff, 1.6);
      light.position.set(1, 2, 3);
      this.scene.add(light);
      this.grid = new T.GridHelper(2, 8, 0x999999, 0xdddddd);
      this.scene.add(this.grid);
      this.others = this.thin(0x9a9a9a, 0.55);
      this.lines = {
        left: this.thick(LEFT, 5, true),
        right: this.thick(RIGHT, 5, false),
        middle: this.thick(MIDDLE, 5, false),
        mean: this.thick(0x000000, 2, true),
        truth: this.thick(0x009e73, 3, false),
      };
      this.look("front");
    }

    thin(color, opacity) {
      const material = new THREE.LineBasicMaterial({ color, transparent: true, opacity });
      const line = new THREE.LineSegments(new THREE.BufferGeometry(), material);
      line.frustumCulled = false;
      this.scene.add(line);
      return line;
    }

    thick(color, linewidth, dashed) {
      const material = new THREE.LineMaterial({ color, linewidth, dashed });
      material.dashSize = 0.05;
      material.gapSize = 0.03;
      const line = new THREE.LineSegments2(new THREE.LineSegmentsGeometry(), material);
      line.frustumCulled = false;
      this.scene.add(line);
      return line;
    }

    /* A frame that fits everything the scene will ever show, so that the view never jumps. */
    fit(scene) {
      let extent = 0.5, low = 0;
      const v = scene.hypotheses.values;
      for (let i = 0; i < v.length; i += 3) {
        const r = Math.hypot(v[i], v[i + 1], v[i + 2]);
        if (r > extent) extent = r;
        if (v[i + 1] > low) low = v[i + 1];
      }
      this.extent = extent * 1.08;
      this.grid.position.y = -low;
      this.makeEllipsoids(scene);
      this.resize();
    }

    makeEllipsoids(scene) {
      if (this.balls) {
        this.scene.remove(this.balls);
        this.balls.dispose();
      }
      const material = new THREE.MeshLambertMaterial({
        color: 0x56b4e9, transparent: true, opacity: 0.35, depthWrite: false,
      });
      const n = scene.joints.length;
      this.balls = new THREE.InstancedMesh(new THREE.SphereGeometry(1, 24, 16), material, n);
      this.balls.frustumCulled = false;
      this.scene.add(this.balls);
    }

    resize() {
      const w = this.canvas.clientWidth || 1, h = this.canvas.clientHeight || 1;
      this.renderer.setPixelRatio(Math.min(2, window.devicePixelRatio || 1));
      this.renderer.setSize(w, h, false);
      const e = this.extent || 1, aspect = w / h;
      Object.assign(this.camera, {
        left: -e * Math.max(1, aspect), right: e * Math.max(1, aspect),
        top: e * Math.max(1, 1 / aspect), bottom: -e * Math.max(1, 1 / aspect),
      });
      this.camera.updateProjectionMatrix();
      for (const line of Object.values(this.lines)) line.material.resolution.set(w, h);
      this.render();
    }

    look(from) {
      const places = { front: [0, 0, 10], side: [-10, 0, 0], top: [0, 10, 0.01] };
      this.camera.position.set(...places[from]);
      this.controls.update();
      this.render();
    }

    turn(azimuth, polar) {
      const p = this.camera.position, r = p.length();
      const theta = Math.atan2(p.x, p.z) + azimuth;
      const phi = Math.min(3.1, Math.max(0.05, Math.acos(p.y / r) + polar));
      p.set(r * Math.sin(phi) * Math.sin(theta), r * Math.cos(phi),
        r * Math.sin(phi) * Math.cos(theta));
      this.controls.update();
      this.render();
    }

    zoom(factor) {
      this.camera.zoom = Math.min(20, Math.max(0.3, this.camera.zoom * factor));
      this.camera.updateProjectionMatrix();
      this.render();
    }

    set(line, positions) {
      line.visible = positions.length > 0;
      if (!line.visible) return;
      line.geometry.dispose();
      line.geometry = new THREE.LineSegmentsGeometry();
      line.geometry.setPositions(positions);
      line.computeLineDistances();
    }

    draw(scene, state) {
      const all = [];
      if (state.showOthers) {
        for (let h = 0; h < scene.shown.length; h++) {
          if (h !== state.hypothesis) {
            all.push(...segments(frameOf(scene.hypotheses, state.frame, h), scene.bones));
          }
        }
      }
      this.others.geometry.dispose();
      this.others.geometry = new THREE.BufferGeometry();
      this.others.geometry.setAttribute("position", new THREE.Float32BufferAttribute(all, 3));
      const pose = frameOf(scene.hypotheses, state.frame, state.hypothesis);
      for (const side of ["left", "right", "middle"]) {
        const bones = scene.bones.filter((b) => sideOf(b, scene.left, scene.joints) === side);
        this.set(this.lines[side], segments(pose, bones));
      }
      const mean = state.showMean ? segments(frameOf(scene.mean, state.frame), scene.bones) : [];
      this.set(this.lines.mean, mean);
      const truth = scene.truth && state.showTruth;
      this.set(this.lines.truth,
        truth ? segments(frameOf(scene.truth, state.frame), scene.bones) : []);
      this.drawEllipsoids(scene, state);
      this.render();
    }

    drawEllipsoids(scene, state) {
      this.balls.visible = Boolean(scene.ellipsoids) && state.showEllipsoids;
      if (!this.balls.visible) return;
      const f = frameOf(scene.ellipsoids, state.frame), m = frameOf(scene.mean, state.frame);
      const matrix = new THREE.Matrix4();
      for (let j = 0; j < scene.joints.length; j++) {
        const [a, b, c, d, e, g] = f.subarray(6 * j, 6 * j + 6);
        const [x, y, z] = m.subarray(3 * j, 3 * j + 3);
        if ([a, b, c, d, e, g, x, y, z].every(Number.isFinite)) {
          matrix.set(a, 0, 0, x, -b, -c, 0, -y, -d, -e, -g, -z, 0, 0, 0, 1);
        } else {
          matrix.makeScale(0, 0, 0);
        }
        this.balls.setMatrixAt(j, matrix);
      }
      this.balls.instanceMatrix.needsUpdate = true;
    }

    render() {
      this.renderer.render(this.scene, this.camera);
      this.canvas.dataset.renders = String(1 + Number(this.canvas.dataset.renders || 0));
    }
  }

  class View2D {
    constructor(canvas) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
    }

    draw(scene, state) {
      const ratio = Math.min(2, window.devicePixelRatio || 1);
      const w = this.canvas.clientWidth || 1, h = this.canvas.clientHeight || 1;
      this.canvas.width = w * ratio;
      this.canvas.height = h * ratio;
      const c = this.context, [iw, ih] = scene.image;
      const scale = Math.min(w / iw, h / ih) * 0.96;
      c.setTransform(ratio, 0, 0, ratio, 0, 0);
      c.clearRect(0, 0, w, h);
      c.translate((w - iw * scale) / 2, (h - ih * scale) / 2);
      c.strokeStyle = "#888888";
      c.lineWidth = 1;
      c.strokeRect(0, 0, iw * scale, ih * scale);
      const points = frameOf(scene.keypoints, state.frame);
      this.pose(points, scene.bones2d, scale, (bone) =>
        scene.left2d.includes(bone[1]) ? "#e07b00" : "#0063a6", 3, []);
      this.dots(points, scale);
      if (scene.reprojection) {
        const seen = frameOf(scene.reprojection, state.frame, state.hypothesis);
        this.pose(seen, scene.bones, scale, () => "#000000", 1.2, [3, 3]);
      }
    }

    pose(points, bones, scale, color, width, dash) {
      const c = this.context;
      c.lineWidth = width;
      c.setLineDash(dash);
      for (const bone of bones) {
        const [a, b] = bone.map((j) => [points[2 * j] * scale, points[2 * j + 1] * scale]);
        if (![...a, ...b].every(Number.isFinite)) continue;
        c.strokeStyle = color(bone);
        c.beginPath();
        c.moveTo(...a);
        c.lineTo(...b);
        c.stroke();
      }
      c.setLineDash([]);
    }

    dots(points, scale) {
      const c = this.context;
      c.fillStyle = "#000000";
      for (let j = 0; 2 * j < points.length; j++) {
        const x = points[2 * j] * scale, y = points[2 * j + 1] * scale;
        if (Number.isFinite(x) && Number.isFinite(y)) c.fillRect(x - 2, y - 2, 4, 4);
      }
    }
  }

  /* One panel: menus, sliders, keys and the two views. */
  class Panel {
    constructor(root) {
      this.root = root;
      this.find = (name) => root.querySelector(`[data-part="${name}"]`);
      const raw = JSON.parse(document.getElementById(root.dataset.source).textContent);
      this.scenes = raw.map(decode);
      this.state = { frame: 0, hypothesis: 0 };
      this.flat = new View2D(this.find("input"));
      try {
        this.solid = new View3D(this.find("space"));
      } catch (error) {
        this.find("space").hidden = true;
        this.find("no-webgl").hidden = false;
      }
      this.wire();
      this.choose(0);
      root.dataset.ready = "true";
    }

    wire() {
      const on = (name, event, action) => this.find(name).addEventListener(event, action);
      on("scene", "change", (e) => this.choose(Number(e.target.value)));
      on("frame", "input", (e) => this.update({ frame: Number(e.target.value) }));
      on("hypothesis", "input", (e) => this.update({ hypothesis: Number(e.target.value) }));
      on("play", "click", () => this.play());
      for (const name of ["ellipsoids", "others", "mean", "truth"]) {
        on(name, "change", () => this.update({}));
      }
      for (const button of this.root.querySelectorAll("[data-look]")) {
        button.addEventListener("click", () => this.solid && this.solid.look(button.dataset.look));
      }
      on("space", "keydown", (e) => this.key(e));
      new ResizeObserver(() => this.resize()).observe(this.find("space"));
    }

    resize() {
      if (this.solid) this.solid.resize();
      this.flat.draw(this.scene, this.state);
    }

    key(event) {
      const turn = 0.1;
      const actions = {
        ArrowLeft: () => this.solid.turn(-turn, 0), ArrowRight: () => this.solid.turn(turn, 0),
        ArrowUp: () => this.solid.turn(0, -turn), ArrowDown: () => this.solid.turn(0, turn),
        "+": () => this.solid.zoom(1.15), "-": () => this.solid.zoom(1 / 1.15),
        ".": () => this.step(1), ",": () => this.step(-1), " ": () => this.play(),
      };
      const action = actions[event.key];
      if (action) {
        action();
        event.preventDefault();
      }
    }

    choose(index) {
      this.scene = this.scenes[index];
      this.find("frame").max = this.scene.frames.length - 1;
      this.find("hypothesis").max = this.scene.shown.length - 1;
      this.find("truth").disabled = !this.scene.truth;
      this.find("notes").textContent = this.scene.notes.join("; ");
      if (this.solid) this.solid.fit(this.scene);
      const last = this.scene.frames.length - 1;
      this.update({ frame: Math.min(this.state.frame, last),
        hypothesis: Math.min(this.state.hypothesis, this.scene.shown.length - 1) });
    }

    step(by) {
      const n = this.scene.frames.length;
      this.update({ frame: (this.state.frame + by + n) % n });
    }

    play() {
      this.playing = !this.playing;
      this.find("play").textContent = this.playing ? "Pause" : "Play";
      this.find("play").setAttribute("aria-pressed", String(Boolean(this.playing)));
      const interval = 1000 / (this.scene.fps || 25);
      let last = performance.now();
      const tick = (now) => {
        if (!this.playing) return;
        const steps = Math.floor((now - last) / interval);
        if (steps > 0) {
          this.step(steps);
          last += steps * interval;
        }
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
    }

    update(change) {
      const checked = (name) => this.find(name).checked;
      Object.assign(this.state, change, {
        showEllipsoids: checked("ellipsoids"), showOthers: checked("others"),
        showMean: checked("mean"), showTruth: checked("truth"),
      });
      this.find("frame").value = this.state.frame;
      this.find("hypothesis").value = this.state.hypothesis;
      if (this.solid) this.solid.draw(this.scene, this.state);
      this.flat.draw(this.scene, this.state);
      this.tell();
    }

    tell() {
      const { scene, state } = this;
      const frame = scene.frames[state.frame], h = scene.shown[state.hypothesis];
      const time = scene.fps ? `, ${(frame / scene.fps).toFixed(2)} s` : "";
      const text = `frame ${frame}${time}; hypothesis ${h + 1} of ${scene.n_hypotheses}`;
      this.find("told").textContent = text;
      this.find("frame").setAttribute("aria-valuetext", `frame ${frame}${time}`);
      this.find("hypothesis").setAttribute("aria-valuetext", `hypothesis ${h + 1}`);
      this.root.dataset.frame = String(state.frame);
      this.root.dataset.hypothesis = String(state.hypothesis);
    }
  }

  for (const root of document.querySelectorAll(".panel")) new Panel(root);
})();
