// Draws the landmarks of a face: 468 points, and the contours of face, brows, eyes, nose and lips.

const INK = "rgb(255 255 255 / 90%)";
const EDGE = "rgb(0 0 0 / 45%)"; // keeps lines visible on a bright face
const MIN_FACE = 150; // width in pixels of the page: on a smaller face the points would hide it, and lines are thinner

// Numbers of MediaPipe's face mesh; right and left are the person's.
const CONTOURS = [
  [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150,
    136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109, 10],
  [70, 63, 105, 66, 107],
  [300, 293, 334, 296, 336],
  [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 33],
  [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 263],
  [168, 6, 197, 195, 5, 4],
  [98, 97, 2, 326, 327],
  [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185, 61],
  [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78],
];

/** points: [x, y] in pixels of the canvas, 468 of them. unit: pixels of the canvas per pixel of the page. */
export function drawLandmarks(context, points, unit) {
  const lines = new Path2D();
  for (const contour of CONTOURS) {
    contour.forEach((number, i) => (i ? lines.lineTo(...points[number]) : lines.moveTo(...points[number])));
  }
  const width = Math.abs(points[454][0] - points[234][0]) / unit;
  context.save();
  context.lineJoin = "round";
  for (const [color, thick] of [[EDGE, 3], [INK, 1.25]]) {
    context.strokeStyle = color;
    context.lineWidth = thick * unit * Math.min(1, Math.max(0.4, width / MIN_FACE));
    context.stroke(lines);
  }
  if (width > MIN_FACE) {
    context.fillStyle = INK;
    for (const [x, y] of points) context.fillRect(x - unit / 2, y - unit / 2, unit, unit);
  }
  context.restore();
}
