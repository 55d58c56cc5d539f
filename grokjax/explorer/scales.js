// Colours of numbers, and where the levels of a map's axis lie.

const COLOURS = {
  probability: ["#f7fbff", "#deebf7", "#c6dbef", "#9dcae1", "#6aaed6", "#4191c6", "#2070b4", "#08509b", "#08306b"],
  time: ["#fee838", "#ddc858", "#bbad6d", "#9a9376", "#7c7b78", "#60646f", "#424e6c", "#18376f", "#00224e"],
  diverging: ["#7f3b08", "#be630a", "#ef9e3c", "#fed7a2", "#f6f6f7", "#cecde4", "#988dbe", "#5d3790", "#2d004b"],
};
COLOURS.plain = COLOURS.probability;
// Okabe and Ito's, without the two that mean train and test.
const KINDS = ["#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8a7400", "#555555"];
const PHASES = { comprehension: "#56B4E9", grokking: "#009E73", memorization: "#E69F00", confusion: "#CC79A7" };
const MISSING = "#a8a8a8";

function colourAt(colours, share) {
  const place = Math.min(Math.max(share, 0), 1) * (colours.length - 1);
  const below = Math.min(Math.floor(place), colours.length - 2);
  const [low, high] = [rgb(colours[below]), rgb(colours[below + 1])];
  return low.map((value, channel) => Math.round(value + (place - below) * (high[channel] - value)));
}

function rgb(hex) {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

function inkOn([red, green, blue]) {
  return 0.299 * red + 0.587 * green + 0.114 * blue < 140 ? "#ffffff" : DARK_INK;
}

// How numbers become colours: `warp` before the colours are spread evenly from `low` to `high`.
function colourScale(values, { log, scale }) {
  const known = values.filter((value) => Number.isFinite(value));
  const positive = known.filter((value) => value > 0);
  const colours = COLOURS[scale] ?? COLOURS.plain;
  if (scale === "probability") return { colours, warp: (value) => value, low: 0, high: 1, ticks: spread(0, 1) };
  if (scale === "diverging") {
    const most = Math.max(...known.map(Math.abs), 0) || 1;
    return { colours, warp: (value) => value, low: -most, high: most, ticks: spread(-most, most) };
  }
  if (log && positive.length) return logScale(colours, Math.min(...positive), Math.max(...positive));
  const low = known.length ? Math.min(...known) : 0;
  const high = known.length ? Math.max(...known) : 1;
  const top = high > low ? high : low + (Math.abs(low) || 1);
  return { colours, warp: (value) => value, low, high: top, ticks: spread(low, top) };
}

// A gap can be negative, where a run generalises first: it has the colour of the smallest positive.
function logScale(colours, least, most) {
  const top = most > least ? most : least * 10;
  const warp = (value) => Math.log10(Math.max(value, least));
  return { colours, warp, low: Math.log10(least), high: Math.log10(top), ticks: roundNumbers(least, top) };
}

// Round numbers that spread over a range, about `most` of them.
function spread(low, high, most = 5) {
  const rough = (high - low) / most;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((digit) => digit * unit).find((size) => size >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const length = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

// 1, 2 and 5 times powers of ten, the powers alone where those are many.
function roundNumbers(low, high) {
  const within = (digits) => {
    const found = [];
    for (let decade = Math.floor(Math.log10(low)); decade <= Math.log10(high); decade++) {
      found.push(...digits.map((digit) => digit * 10 ** decade));
    }
    return found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  };
  const fine = within([1, 2, 5]);
  if (fine.length < 2) return spread(low, high, 4);
  return fine.length > 8 ? within([1]) : fine;
}

// Where the cells of one axis lie: true to scale, logarithmic or not, where the levels are numbers
// that allow it, else one after the other.
function axisScale(column, levels) {
  const numeric = levels.every((level) => Number.isFinite(level)) && ascending(levels);
  const log = numeric && levels.length > 2 && levels[0] > 0 && growsByFactors(levels);
  const warp = log ? Math.log10 : (value) => value;
  const real = numeric && roughlyEven(levels.map(warp));
  const positions = levels.map((level, place) => (real ? warp(level) : place));
  const at = real ? warp : (value) => placeAmong(levels, value);
  return { column, levels, positions, edges: bordersOf(positions), at };
}

function ascending(levels) {
  return levels.every((level, index) => index === 0 || level > levels[index - 1]);
}

function steps(numbers) {
  return numbers.slice(1).map((number, index) => number - numbers[index]);
}

function growsByFactors(levels) {
  if (levels.at(-1) / levels[0] < 4) return false;
  const unevenness = (sizes) => (Math.max(...sizes) - Math.min(...sizes)) / (sizes.reduce((a, b) => a + b) / sizes.length);
  return unevenness(steps(levels.map(Math.log))) < unevenness(steps(levels));
}

function roughlyEven(numbers) {
  const sizes = steps(numbers);
  return sizes.length < 2 || Math.max(...sizes) < 4 * Math.min(...sizes);
}

function bordersOf(centres) {
  if (centres.length === 1) return [centres[0] - 0.5, centres[0] + 0.5];
  const middles = steps(centres).map((size, index) => centres[index] + size / 2);
  return [2 * centres[0] - middles[0], ...middles, 2 * centres.at(-1) - middles.at(-1)];
}

// The place of a value between levels that stand one after the other.
function placeAmong(levels, value) {
  if (levels.length < 2) return 0;
  const above = levels.findIndex((level) => level >= value);
  const below = above < 0 ? levels.length - 2 : Math.max(above - 1, 0);
  return below + (value - levels[below]) / (levels[below + 1] - levels[below]);
}
