/* The interactive panel of a HypoPose report: a plain script that draws on two canvases.
 *
 * Camera frame: x right, y down, z forward, meters, root at the origin. Everything is drawn on
 * demand; nothing runs while nothing changes.
 */
(() => {
  "use strict";
  /* Color, width and dashes. */
  const LIMBS = {
    left: ["#e07b00", 5, [7, 4]], right: ["#0063a6", 5, []], middle: ["#6b6b6b", 5, []],
  };
  const TRUTH = "#009e73";
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

  function sideOf(bone, left, right) {
    if (left.includes(bone[1])) return "left";
    return right.includes(bone[1]) ? "right" : "middle";
  }

  /* Orthographic view on a plain canvas: no library, nothing but lines and ellipses. */
  class View3D {
    constructor(canvas) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
      this.zoomed = 1;
      this.extent = 1;
      this.floor = 0;
      this.pointers();
      this.look("front");
    }

    pointers() {
      let last = null;
      this.canvas.addEventListener("pointerdown", (e) => {
        last = [e.clientX, e.clientY];
        this.canvas.setPointerCapture(e.pointerId);
      });
      this.canvas.addEventListener("pointermove", (e) => {
        if (!last) return;
        this.turn((last[0] - e.clientX) / 150, (last[1] - e.clientY) / 150);
        last = [e.clientX, e.clientY];
      });
      this.canvas.addEventListener("pointerup", () => { last = null; });
      this.canvas.addEventListener("wheel", (e) => {
        this.zoom(Math.exp(-e.deltaY / 500));
        e.preventDefault();
      }, { passive: false });
    }

    /* A frame that fits everything the scene will ever show, so that the view never jumps. */
    fit(scene) {
      let extent = 0.5, low = 0;
      const v = scene.hypotheses.values;
      for (let i = 0; i < v.length; i += 3) {
        extent = Math.max(extent, Math.hypot(v[i], v[i + 1], v[i + 2]) || 0);
        low = Math.max(low, v[i + 1] || 0);
      }
      this.extent = extent * 1.08;
      this.floor = -low;
    }

    look(from) {
      const [azimuth, polar] = {
        front: [0, Math.PI / 2], side: [-Math.PI / 2, Math.PI / 2], top: [0, 0.02],
      }[from];
      Object.assign(this, { azimuth, polar });
      this.render();
    }

    turn(azimuth, polar) {
      this.azimuth += azimuth;
      this.polar = Math.min(3.1, Math.max(0.02, this.polar + polar));
      this.render();
    }

    zoom(factor) {
      this.zoomed = Math.min(20, Math.max(0.3, this.zoomed * factor));
      this.render();
    }

    draw(scene, state) {
      this.shown = [scene, state];
      this.render();
    }

    /* Rows of the camera frame (x right, y down, z forward) -> screen x, screen y (down), depth. */
    axes() {
      const [s, c] = [Math.sin(this.azimuth), Math.cos(this.azimuth)];
      const [p, q] = [Math.sin(this.polar), Math.cos(this.polar)];
      return [[c, 0, s], [q * s, p, -q * c], [p * s, -q, -p * c]];
    }

    place(x, y, z) {
      return this.rows.map((row) => row[0] * x + row[1] * y + row[2] * z);
    }

    render() {
      if (!this.shown) return;
      const [scene, state] = this.shown, c = this.context;
      const ratio = Math.min(2, window.devicePixelRatio || 1);
      const w = this.canvas.clientWidth || 1, h = this.canvas.clientHeight || 1;
      this.canvas.width = w * ratio;
      this.canvas.height = h * ratio;
      this.rows = this.axes();
      const scale = this.zoomed * Math.min(w, h) / (2 * this.extent);
      c.setTransform(ratio * scale, 0, 0, ratio * scale, ratio * w / 2, ratio * h / 2);
      this.pixel = 1 / scale;
      this.grid();
      if (state.showOthers) this.others(scene, state);
      if (scene.ellipsoids && state.showEllipsoids) this.ellipsoids(scene, state);
      if (scene.truth && state.showTruth) {
        this.bones(frameOf(scene.truth, state.frame), scene.bones, () => [TRUTH, 3, []]);
      }
      this.bones(frameOf(scene.hypotheses, state.frame, state.hypothesis), scene.bones,
        (bone) => LIMBS[sideOf(bone, scene.left, scene.right)]);
      if (state.showMean) {
        this.bones(frameOf(scene.mean, state.frame), scene.bones, () => ["#000000", 2, [5, 3]]);
      }
    }

    grid() {
      for (let i = -4; i <= 4; i++) {
        const style = [i ? "#dddddd" : "#999999", 1, []];
        this.line([i / 4, -this.floor, -1], [i / 4, -this.floor, 1], style);
        this.line([-1, -this.floor, i / 4], [1, -this.floor, i / 4], style);
      }
    }

    others(scene, state) {
      this.context.globalAlpha = 0.55;
      for (let h = 0; h < scene.shown.length; h++) {
        if (h === state.hypothesis) continue;
        const pose = frameOf(scene.hypotheses, state.frame, h);
        this.bones(pose, scene.bones, () => ["#9a9a9a", 1, []]);
      }
      this.context.globalAlpha = 1;
    }

    /* Bones of one pose, the far ones first; bones with a missing end are left out. */
    bones(pose, bones, style) {
      const depth = (bone) => bone.reduce((sum, j) =>
        sum + this.place(...pose.subarray(3 * j, 3 * j + 3))[2], 0);
      const whole = bones.filter((b) => Number.isFinite(depth(b)));
      for (const bone of whole.sort((a, b) => depth(a) - depth(b))) {
        const [a, b] = bone.map((j) => [...pose.subarray(3 * j, 3 * j + 3)]);
        this.line(a, b, style(bone));
      }
    }

    line(a, b, [color, width, dash]) {
      const c = this.context, [start, end] = [this.place(...a), this.place(...b)];
      c.strokeStyle = color;
      c.lineWidth = width * this.pixel;
      c.lineCap = dash.length ? "butt" : "round";
      c.setLineDash(dash.map((d) => d * this.pixel));
      c.beginPath();
      c.moveTo(start[0], start[1]);
      c.lineTo(end[0], end[1]);
      c.stroke();
    }

    /* The outline of an ellipsoid is the ellipse of the projected factor: L L' = (P F)(P F)'. */
    ellipsoids(scene, state) {
      const c = this.context;
      const factors = frameOf(scene.ellipsoids, state.frame), mean = frameOf(scene.mean, state.frame);
      for (let j = 0; j < scene.joints.length; j++) {
        const [f00, f10, f11, f20, f21, f22] = factors.subarray(6 * j, 6 * j + 6);
        const [x, y] = this.place(...mean.subarray(3 * j, 3 * j + 3));
        const columns = [[f00, f10, f20], [0, f11, f21], [0, 0, f22]].map((v) => this.place(...v));
        const dot = (a, b) => columns.reduce((sum, v) => sum + v[a] * v[b], 0);
        const l00 = Math.sqrt(dot(0, 0)), l10 = dot(1, 0) / l00;
        const l11 = Math.sqrt(Math.max(0, dot(1, 1) - l10 * l10));
        if (![x, y, l00, l10, l11].every(Number.isFinite)) continue;
        c.save();
        c.transform(l00, l10, 0, l11, x, y);
        c.beginPath();
        c.arc(0, 0, 1, 0, 2 * Math.PI);
        c.restore();
        c.fillStyle = "rgba(86, 180, 233, 0.3)";
        c.fill();
        c.setLineDash([]);
        c.strokeStyle = "rgba(0, 90, 140, 0.5)";
        c.lineWidth = this.pixel;
        c.stroke();
      }
    }
  }

  class View2D {
    constructor(canvas) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
      this.pictures = new Map();
    }

    /* What the camera saw: the frame's picture or the last one before it, once it is decoded. */
    picture(scene, state) {
      let frame = state.frame;
      while (frame > 0 && !scene.pictures[frame]) frame -= 1;
      const source = scene.pictures[frame];
      if (!source) return null;
      if (!this.pictures.has(source)) {
        const image = new Image();
        image.onload = () => this.draw(scene, state);
        image.src = source;
        this.pictures.set(source, image);
      }
      const image = this.pictures.get(source);
      return image.complete && image.naturalWidth ? image : null;
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
      const seen = scene.pictures ? this.picture(scene, state) : null;
      if (seen) c.drawImage(seen, 0, 0, iw * scale, ih * scale);
      c.strokeRect(0, 0, iw * scale, ih * scale);
      const points = frameOf(scene.keypoints, state.frame);
      this.pose(points, scene.bones2d, scale,
        (bone) => LIMBS[sideOf(bone, scene.left2d, scene.right2d)][0], 3, []);
      this.dots(points, scale);
      if (scene.reprojection) {
        const through = frameOf(scene.reprojection, state.frame, state.hypothesis);
        this.pose(through, scene.bones, scale, () => "#000000", 1.2, [3, 3]);
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
      this.solid = new View3D(this.find("space"));
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
        button.addEventListener("click", () => this.solid.look(button.dataset.look));
      }
      on("space", "keydown", (e) => this.key(e));
      new ResizeObserver(() => this.resize()).observe(this.find("space"));
    }

    resize() {
      this.solid.render();
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
      this.solid.fit(this.scene);
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
      this.solid.draw(this.scene, this.state);
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
