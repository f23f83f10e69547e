// Draws cartoon faces of known continuous parameters: node draw.mjs < request.json > pixels.rgb
//
// The request is {"side": 64, "faces": [{"face": 0, "turn": 0, "look": 0, "build": 0.5}, ...]}; the
// answer is their pixels, red green blue, row by row, side * side * 3 bytes a face.
//
//   face   which of FACES below
//   turn   degrees by which the head is turned in the plane, anticlockwise; any number
//   look   -1 (to the left of the picture) ... 1: features are shifted by their depth
//   build  0 (thin, small nose and ears) ... 1 (fat, large nose and ears)
//
// Features are drawn by facesjs, the picture is made by resvg: see README.md beside this file.
import { readFileSync, writeSync } from "node:fs";
import { Resvg } from "@resvg/resvg-js";
import { faceToSvgString } from "facesjs";

const PAPER = "#f6f3ec";
const CENTRE = [200, 290]; // of a head, in the units of facesjs
const REACH = 238; // half the side of a picture, in the same units
const SHIFT = 46; // of a feature of depth 1 at look = 1

// By feature, from back to front: how far before the axis of the head it lies. The outline is at 0.
const DEPTHS = {
  hairBg: -0.4,
  ear: -0.1,
  head: 0,
  eyeLine: 0.75,
  smileLine: 0.8,
  miscLine: 0.7,
  facialHair: 0.4,
  eye: 0.75,
  eyebrow: 0.75,
  mouth: 0.85,
  nose: 1.2,
  hair: 0.15,
  glasses: 0.8,
};

const FACES = [
  { skin: "#f2d6cb", hairColor: "#b5441f", hair: "curly3", head: "head4", eye: "eye1", eyebrow: "eyebrow3", mouth: "smile", nose: "honker", ear: "ear1" },
  { skin: "#74453d", hairColor: "#17120f", hair: "afro", head: "head2", eye: "eye2", eyebrow: "eyebrow2", mouth: "mouth", nose: "nose2", ear: "ear2" },
  { skin: "#f0c5a3", hairColor: "#3b2a8c", hair: "spike4", head: "head1", eye: "eye4", eyebrow: "eyebrow5", mouth: "smile3", nose: "nose3", ear: "ear1" },
  { skin: "#ddb7a0", hairColor: "#d9a520", hair: "middle-part", hairBg: "longHair", head: "female1", eye: "eye3", eyebrow: "eyebrow3", mouth: "smile4", nose: "nose5", ear: "ear1" },
];

function settings(look, build) {
  const id = (name) => ({ id: look[name] ?? "none" });
  return {
    fatness: 0.15 + 0.85 * build,
    teamColors: ["#89bfd3", "#7a1319", "#07364f"],
    hairBg: id("hairBg"),
    body: { id: "none", color: look.skin, size: 1 },
    jersey: { id: "none" },
    ear: { ...id("ear"), size: 0.6 + 0.8 * build },
    head: { ...id("head"), shave: "rgba(0,0,0,0)" },
    eyeLine: id("eyeLine"),
    smileLine: { ...id("smileLine"), size: 1 },
    miscLine: id("miscLine"),
    facialHair: id("facialHair"),
    eye: { ...id("eye"), angle: 0, size: 1.35 },
    eyebrow: { ...id("eyebrow"), angle: 0, size: 1.1 },
    hair: { ...id("hair"), color: look.hairColor, flip: false },
    mouth: { ...id("mouth"), flip: false, size: 1.25 },
    nose: { ...id("nose"), flip: false, size: 1 + 0.6 * build },
    glasses: id("glasses"),
    accessories: { id: "none" },
  };
}

// What facesjs draws of one feature alone, without the svg element around it.
function drawn(face, feature) {
  const alone = structuredClone(face);
  for (const name of Object.keys(DEPTHS)) if (name !== feature) alone[name].id = "none";
  const text = faceToSvgString(alone);
  return text.slice(text.indexOf(">") + 1, text.lastIndexOf("</svg>"));
}

function svg({ face, turn, look, build }) {
  if (!FACES[face] || ![turn, look, build].every(Number.isFinite)) {
    throw new Error(`no such face: ${JSON.stringify({ face, turn, look, build })}`);
  }
  const all = settings(FACES[face], build);
  const layers = Object.entries(DEPTHS).map(
    ([name, depth]) => `<g transform="translate(${SHIFT * depth * look} 0)">${drawn(all, name)}</g>`,
  );
  const [x, y] = CENTRE;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${x - REACH} ${y - REACH} ${2 * REACH} ${2 * REACH}">` +
    `<g transform="rotate(${-turn} ${x} ${y})">${layers.join("")}</g></svg>`
  );
}

function pixels(text, side) {
  const picture = new Resvg(text, { background: PAPER, fitTo: { mode: "width", value: side } });
  const rgba = picture.render().pixels;
  const rgb = Buffer.alloc(side * side * 3);
  for (let i = 0; i < side * side; i++) rgba.copy(rgb, 3 * i, 4 * i, 4 * i + 3);
  return rgb;
}

const { side, faces } = JSON.parse(readFileSync(0, "utf-8"));
for (const face of faces) {
  const rgb = pixels(svg(face), side);
  for (let sent = 0; sent < rgb.length; ) sent += writeSync(1, rgb, sent);
}
