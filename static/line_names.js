// The names of lines at their right ends, one below the other where lines are close, each led to from its line.

const GAP = 4;

/** The width that names take beside the lines, in pixels; 0 where lines would be left too little. */
export function nameWidth(context, names, { width, scale }) {
  const needed = Math.max(...names.map((name) => context.measureText(name).width)) + 24 * scale;
  return needed < 0.35 * width ? needed : 0;
}

/**
 * Where names lie that should be at the heights `wanted`: in the same order from top to bottom, `step` apart, between top
 * and bottom. Those with the lowest values, the last ones, are left out (null) where there is no room for all.
 */
export function spread(wanted, step, top, bottom) {
  const room = Math.max(0, Math.floor((bottom - top) / step) + 1);
  const order = wanted.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y || a.i - b.i).slice(0, room);
  let least = top;
  for (const each of order) least = (each.at = Math.max(each.y, least)) + step;
  let most = bottom;
  for (const each of order.toReversed()) most = (each.at = Math.min(each.at, most)) - step;
  const places = wanted.map(() => null);
  for (const { i, at } of order) places[i] = at;
  return places;
}

/** lines: [{name, y, color}]; x: the right end of the lines. */
export function drawNames(context, lines, { x, top, bottom, scale, color }) {
  const places = spread(lines.map(({ y }) => y), 14 * scale, top, bottom);
  context.textAlign = "left";
  context.textBaseline = "middle";
  lines.forEach((line, i) => {
    if (places[i] === null) return;
    context.beginPath();
    context.moveTo(x + GAP / 2, line.y);
    context.lineTo(x + GAP + 6 * scale, places[i]);
    context.lineTo(x + GAP + 12 * scale, places[i]);
    context.strokeStyle = line.color;
    context.lineWidth = 1.5;
    context.setLineDash([]);
    context.stroke();
    context.fillStyle = color;
    context.fillText(line.name, x + GAP + 16 * scale, places[i]);
  });
}
