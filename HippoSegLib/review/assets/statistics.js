// Which values are unlike the others: robust, so that the outliers do not hide themselves.

/** So many robust standard deviations from the median, and from so many scans on, is an outlier. */
const OUTLIER = 3.5;
const FEWEST = 10;

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** For each value its distance from the median in robust standard deviations (1.4826 times the median deviation). */
function robustScores(values) {
  if (values.length < FEWEST) return values.map(() => 0);
  const middle = median(values);
  const spread = 1.4826 * median(values.map((value) => Math.abs(value - middle)));
  return values.map((value) => (spread > 0 ? (value - middle) / spread : 0));
}

/** Straight line through points by medians of slopes (Theil and Sen), over at most 300 of them: { slope, offset }. */
function robustLine(points) {
  const every = Math.ceil(points.length / 300);
  const some = [...points].sort((a, b) => a[0] - b[0]).filter((_, index) => index % every === 0);
  const slopes = [];
  for (let i = 0; i < some.length; i++) {
    for (let j = i + 1; j < some.length; j++) {
      const width = some[j][0] - some[i][0];
      if (width > 0) slopes.push((some[j][1] - some[i][1]) / width);
    }
  }
  const slope = slopes.length ? median(slopes) : 0;
  return { slope, offset: median(points.map(([x, y]) => y - slope * x)) };
}

/** Round numbers that divide a range into about `count` parts. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const unit = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  const found = [];
  for (let k = Math.ceil(low / unit); k * unit <= high + unit * 1e-6; k++) found.push(k * unit);
  return found;
}
