// Marks on the areas of lanes: two areas differ in their mark, or their colors differ for color-blind people too, as a
// test computes. Lines have dashes instead. The marks of the legend, in replay.css, look the same.

const TILE_PX = 6;

/** What is drawn on a tile of TILE_PX, which is repeated. */
export const MARKS = {
  angry(context) { // diagonal lines
    for (const shift of [-1, 0, 1]) {
      context.moveTo(TILE_PX * shift, TILE_PX);
      context.lineTo(TILE_PX * (shift + 1), 0);
    }
  },
  disgust(context) { // level lines
    context.moveTo(0, TILE_PX / 2);
    context.lineTo(TILE_PX, TILE_PX / 2);
  },
  fear(context) { // dots
    context.moveTo(TILE_PX / 2 - 1, TILE_PX / 2);
    context.lineTo(TILE_PX / 2 + 1, TILE_PX / 2);
  },
};

/** Patterns to fill areas with, over their color, by name of the expression. */
export function patterns(context, color) {
  return Object.fromEntries(Object.entries(MARKS).map(([name, draw]) => {
    const side = Math.round(TILE_PX * devicePixelRatio);
    const tile = new OffscreenCanvas(side, side);
    const pen = tile.getContext("2d");
    pen.scale(side / TILE_PX, side / TILE_PX);
    Object.assign(pen, { strokeStyle: color, globalAlpha: 0.75, lineWidth: name === "fear" ? 2 : 1 });
    pen.beginPath();
    draw(pen);
    pen.stroke();
    return [name, context.createPattern(tile, "repeat")];
  }));
}
