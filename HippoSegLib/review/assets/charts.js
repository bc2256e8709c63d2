// Distributions and relations of the volumes; a click on a point opens its picture.

const MARGIN = { left: 58, right: 14, top: 12, bottom: 44 };
const SIDE_NAMES = ["left", "right"];

/** Draw all charts of the scans that the filters leave. Scans that were judged "fail" do not count. */
function drawCharts() {
  const measured = shown.filter((scan) => valueOf(scan, "left_mm3") !== null || valueOf(scan, "right_mm3") !== null);
  const failed = measured.filter((scan) => verdicts.of(scan).verdict === "fail");
  const counted = measured.filter((scan) => verdicts.of(scan).verdict !== "fail");
  const groups = [distribution(counted), leftAgainstRight(counted, failed), volumeAgainstIntracranial(counted, failed)];
  const boxes = ["chart-distribution", "chart-sides", "chart-intracranial"].map(byId);
  groups.forEach((group, index) => boxes[index].replaceChildren(group.svg, caption(group)));
  listOutliers(groups.flatMap((group) => group.outliers), counted.length);
  const left = failed.length ? ` ${failed.length} judged "fail" (crosses) are left out of all figures.` : "";
  byId("charts-note").textContent = `${counted.length} of the ${shown.length} scans that the filters leave have volumes and are counted.${left}`;
}

function caption({ words }) {
  return make("figcaption", {}, words);
}

/** A drawing with axes: { svg, x, y } where x and y turn values into pixels. */
function axes(box, xs, ys, titles) {
  const width = Math.max(320, byId(box).clientWidth - 2);
  const height = Math.round(Math.min(460, Math.max(280, width * 0.72)));
  const [xLow, xHigh] = padded(xs);
  const [yLow, yHigh] = padded(ys);
  const x = (value) => MARGIN.left + ((value - xLow) / (xHigh - xLow)) * (width - MARGIN.left - MARGIN.right);
  const y = (value) => height - MARGIN.bottom - ((value - yLow) / (yHigh - yLow)) * (height - MARGIN.top - MARGIN.bottom);
  const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": titles.name });
  const label = (text, at) => svg.append(makeSvg("text", { class: "axis", ...at }, text));
  for (const value of ticks(xLow, xHigh, width / 90)) {
    svg.append(makeSvg("line", { class: "grid", x1: x(value), x2: x(value), y1: MARGIN.top, y2: height - MARGIN.bottom }));
    label(String(Math.round(value)), { x: x(value), y: height - MARGIN.bottom + 16, "text-anchor": "middle" });
  }
  for (const value of ticks(yLow, yHigh, height / 60).filter((tick) => Number.isInteger(tick))) {
    svg.append(makeSvg("line", { class: "grid", y1: y(value), y2: y(value), x1: MARGIN.left, x2: width - MARGIN.right }));
    label(String(Math.abs(Math.round(value))), { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" });
  }
  label(titles.x, { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 8, "text-anchor": "middle" });
  const middle = (MARGIN.top + height - MARGIN.bottom) / 2;
  label(titles.y, { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` });
  return { svg, x, y, range: [xLow, xHigh] };
}

function padded(values) {
  if (!values.length) return [0, 1];
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const space = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low >= 0 ? Math.max(0, low - space) : low - space, high + space];
}

/** Points as one path, outliers as buttons of their own; a click near any point opens its scan. */
function drawPoints(plot, points, failed, outliers) {
  const { svg, x, y } = plot;
  const marked = new Set(outliers.map(({ scan }) => scan));
  const dots = points.filter(({ scan }) => !marked.has(scan)).map((p) => `M${x(p.x).toFixed(1)} ${y(p.y).toFixed(1)}h0`);
  svg.append(makeSvg("path", { class: "points", d: dots.join("") }));
  const cross = (p) => `M${x(p.x) - 4} ${y(p.y) - 4}l8 8m-8 0l8 -8`;
  svg.append(makeSvg("path", { class: "crosses", d: failed.map(cross).join("") }));
  for (const { scan, words } of outliers) {
    const point = points.find((p) => p.scan === scan);
    svg.append(outlierMark(scan, words, x(point.x), y(point.y)));
  }
  openNearest(svg, [...points, ...failed].map((p) => ({ scan: p.scan, x: x(p.x), y: y(p.y) })));
}

/** A ring with a dot, which the keyboard reaches too. */
function outlierMark(scan, words, cx, cy) {
  const open = () => openViewer(scan);
  return makeSvg(
    "g",
    {
      class: "outlier", tabindex: "0", role: "button", "data-scan": scan.scan, "aria-label": `${scan.scan}: ${words}`,
      onclick: (event) => { event.stopPropagation(); open(); },
      onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); } },
    },
    makeSvg("title", {}, `${scan.scan}: ${words}`),
    makeSvg("circle", { cx, cy, r: 7 }),
    makeSvg("circle", { class: "dot", cx, cy, r: 2.5 }),
  );
}

function openNearest(svg, places) {
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let best = null, least = 12 ** 2;
    for (const place of places) {
      const distance = (place.x - px) ** 2 + (place.y - py) ** 2;
      if (distance < least) [best, least] = [place.scan, distance];
    }
    return best;
  };
  svg.addEventListener("click", (event) => {
    const scan = nearest(event);
    if (scan !== null) openViewer(scan);
  });
  svg.addEventListener("pointermove", (event) => {
    const scan = nearest(event);
    svg.style.cursor = scan === null ? "" : "pointer";
    byId("charts-name").replaceChildren(scan === null ? "" : bdi(scan.scan));
  });
}

function outliersOf(points, scores, words) {
  const far = points.map(({ scan }, i) => ({ scan, score: scores[i], words: words(scores[i]) }));
  return far.filter(({ score }) => Math.abs(score) > OUTLIER);
}

const times = (score) => Math.abs(score).toFixed(1);

/** Histograms of both sides over one axis: left upwards, right downwards. */
function distribution(counted) {
  const sides = SIDE_NAMES.map((side) => {
    const points = counted.map((scan) => ({ scan, x: valueOf(scan, `${side}_mm3`) })).filter((p) => p.x !== null);
    const words = (score) => `the ${side} volume lies ${times(score)} standard deviations ${score < 0 ? "below" : "above"} the median`;
    return { side, points, outliers: outliersOf(points, robustScores(points.map((p) => p.x)), words) };
  });
  const all = sides.flatMap(({ points }) => points.map((p) => p.x));
  const [low, high] = padded(all);
  const borders = ticks(low, high, Math.min(40, Math.max(10, 1.5 * Math.sqrt(all.length))));
  const width = borders.length > 1 ? borders[1] - borders[0] : high - low;
  const start = (borders.length ? borders[0] : low) - width;
  const bins = sides.map(({ points }) => {
    const counts = new Map();
    for (const p of points) {
      const bin = Math.floor((p.x - start) / width);
      counts.set(bin, (counts.get(bin) ?? 0) + 1);
    }
    return counts;
  });
  const most = bins.map((counts) => Math.max(1, ...counts.values()));
  const titles = { name: "Distribution of the volumes", x: "Volume (mm³)", y: "Right   ·   scans   ·   Left" };
  const edges = bins.flatMap((counts) => [...counts.keys()]).flatMap((bin) => [start + bin * width, start + (bin + 1) * width]);
  const plot = axes("chart-distribution", edges, [-most[1], most[0]], titles);
  sides.forEach(({ side, points, outliers }, index) => {
    const sign = index === 0 ? 1 : -1;
    for (const [bin, count] of bins[index]) {
      const [x, other] = [plot.x(start + bin * width), plot.x(start + (bin + 1) * width)];
      const [top, bottom] = [plot.y(Math.max(0, sign * count)), plot.y(Math.min(0, sign * count))];
      const words = `${side}, from ${Math.round(start + bin * width)} mm³: ${count}`;
      plot.svg.append(makeSvg("rect", { class: `bar ${side}`, x, y: top, width: Math.max(1, other - x - 1), height: bottom - top }, makeSvg("title", {}, words)));
    }
    for (const { scan, words } of outliers) {
      const volume = points.find((p) => p.scan === scan).x;
      plot.svg.append(outlierMark(scan, words, plot.x(volume), plot.y(0) - sign * 12));
    }
  });
  plot.svg.append(makeSvg("line", { class: "line", x1: plot.x(plot.range[0]), x2: plot.x(plot.range[1]), y1: plot.y(0), y2: plot.y(0) }));
  const medians = sides.filter(({ points }) => points.length).map(({ side, points }) => `${side} ${Math.round(median(points.map((p) => p.x)))} mm³`);
  return { svg: plot.svg, outliers: sides.flatMap((one) => one.outliers), words: medians.length ? `Medians: ${medians.join(", ")}.` : "No volumes." };
}

function pointsOf(scans, xName, yName) {
  const points = scans.map((scan) => ({ scan, x: valueOf(scan, xName), y: valueOf(scan, yName) }));
  return points.filter((p) => p.x !== null && p.y !== null);
}

/** A line y = slope x + offset over the whole plot. */
function drawLine({ svg, x, y, range: [low, high] }, slope, offset) {
  svg.append(makeSvg("line", { class: "line", x1: x(low), y1: y(slope * low + offset), x2: x(high), y2: y(slope * high + offset) }));
}

function leftAgainstRight(counted, failed) {
  const [points, crosses] = [counted, failed].map((scans) => pointsOf(scans, "left_mm3", "right_mm3"));
  const all = [...points, ...crosses].flatMap((p) => [p.x, p.y]);
  const plot = axes("chart-sides", all, all, { name: "Left against right", x: "Left (mm³)", y: "Right (mm³)" });
  drawLine(plot, 1, 0);
  const scores = robustScores(points.map((p) => (p.y - p.x) / ((p.x + p.y) / 2)));
  const outliers = outliersOf(points, scores, (score) => `the asymmetry lies ${times(score)} standard deviations from the median`);
  drawPoints(plot, points, crosses, outliers);
  return { svg: plot.svg, outliers, words: "The line: both sides equal. Outliers by their asymmetry." };
}

function volumeAgainstIntracranial(counted, failed) {
  const [points, crosses] = [counted, failed].map((scans) => pointsOf(scans, "intracranial_ml", "total_mm3"));
  const all = [...points, ...crosses];
  const titles = { name: "Volume against intracranial volume", x: "Intracranial volume (mL)", y: "Left and right together (mm³)" };
  const plot = axes("chart-intracranial", all.map((p) => p.x), all.map((p) => p.y), titles);
  if (points.length < 3) {
    drawPoints(plot, points, crosses, []);
    return { svg: plot.svg, outliers: [], words: points.length ? "" : "No scan has both." };
  }
  const { slope, offset } = robustLine(points.map((p) => [p.x, p.y]));
  drawLine(plot, slope, offset);
  const scores = robustScores(points.map((p) => p.y - slope * p.x - offset));
  const words = (score) => `for its intracranial volume ${times(score)} standard deviations ${score < 0 ? "below" : "above"} the line`;
  const outliers = outliersOf(points, scores, words);
  drawPoints(plot, points, crosses, outliers);
  return { svg: plot.svg, outliers, words: `The line (Theil–Sen): ${slope.toFixed(1)} mm³ per mL. Outliers by their distance from it.` };
}

/** The outliers of all charts as a list, the farthest first. */
function listOutliers(outliers, count) {
  const byScan = new Map();
  for (const one of outliers) byScan.set(one.scan, [...(byScan.get(one.scan) ?? []), one]);
  const worst = ([, ones]) => Math.max(...ones.map(({ score }) => Math.abs(score)));
  const sorted = [...byScan].sort((a, b) => worst(b) - worst(a)).slice(0, 200);
  byId("outliers-title").textContent = `Outliers (${byScan.size})`;
  byId("outliers-note").textContent =
    count < FEWEST
      ? `Outliers are looked for where there are at least ${FEWEST} scans.`
      : `More than ${OUTLIER} robust standard deviations (median deviation × 1.4826) from the median or the line.`;
  byId("outliers").replaceChildren(
    ...sorted.map(([scan, ones]) => {
      const open = make("button", { type: "button", class: "link", onclick: () => openViewer(scan) }, bdi(scan.scan));
      const { verdict } = verdicts.of(scan);
      return make("li", {}, open, `: ${ones.map(({ words }) => words).join("; ")}.${verdict ? ` Judged: ${verdict}.` : ""}`);
    }),
  );
}
