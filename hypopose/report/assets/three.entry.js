// What the report's 3D panel uses of three.js, as one plain script that sets globalThis.THREE.
import {
  AmbientLight, BufferGeometry, Color, DirectionalLight, Float32BufferAttribute, GridHelper, Group,
  InstancedMesh, LineBasicMaterial, LineSegments, Matrix4, MeshBasicMaterial, MeshLambertMaterial,
  OrthographicCamera, Points, PointsMaterial, Scene, SphereGeometry, Vector3, WebGLRenderer,
} from 'three';
import { OrbitControls } from 'three/addons/controls/OrbitControls.js';
import { LineMaterial } from 'three/addons/lines/LineMaterial.js';
import { LineSegments2 } from 'three/addons/lines/LineSegments2.js';
import { LineSegmentsGeometry } from 'three/addons/lines/LineSegmentsGeometry.js';

globalThis.THREE = {
  AmbientLight, BufferGeometry, Color, DirectionalLight, Float32BufferAttribute, GridHelper, Group,
  InstancedMesh, LineBasicMaterial, LineMaterial, LineSegments, LineSegments2, LineSegmentsGeometry,
  Matrix4, MeshBasicMaterial, MeshLambertMaterial, OrbitControls, OrthographicCamera, Points,
  PointsMaterial, Scene, SphereGeometry, Vector3, WebGLRenderer,
};
