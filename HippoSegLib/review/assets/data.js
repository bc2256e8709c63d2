// The scans of the folder, as they were when the page was built: worst first.

const DATA = JSON.parse(byId("data").textContent);
const SCANS = DATA.scans;
SCANS.forEach((scan, index) => {
  scan.index = index;
});
const BY_NAME = new Map(SCANS.map((scan) => [scan.scan, scan]));
const COLUMN_INDEX = new Map(DATA.columns.map((column, index) => [column.name, index]));
const STATUS_WORDS = { ok: "OK", review: "To review", failed: "No result" };
const STATUS_SIGNS = { ok: "✓", review: "!", failed: "✕" };
const VERDICT_WORDS = { pass: "Pass", fail: "Fail", "": "Not judged" };
const VERDICT_SIGNS = { pass: "✓", fail: "✕", "": "" };

/** A measured value of a scan, null where it is unknown. */
function valueOf(scan, column) {
  const index = COLUMN_INDEX.get(column);
  return index === undefined ? null : scan.values[index];
}

/** A value of a column in words, without its unit. */
function shownValue(scan, name) {
  const value = valueOf(scan, name);
  return value === null ? "" : value.toFixed(DATA.columns[COLUMN_INDEX.get(name)].digits);
}

/** Where a file beside this page is found. */
function addressOf(name) {
  return name.split("/").map(encodeURIComponent).join("/");
}

/** "quality:left" and the like. */
function flagName(flag) {
  return flag.side === null ? flag.code : `${flag.code}:${flag.side}`;
}

/** Volumes, quality and agreement of a scan on one line. */
function summary(scan) {
  const words = [];
  for (const [side, letter] of [["left", "L"], ["right", "R"]]) {
    const volume = shownValue(scan, `${side}_mm3`);
    words.push(volume === "" ? `${letter} not found` : `${letter} ${volume} mm³`);
  }
  for (const what of ["quality", "agreement"]) {
    const both = ["left", "right"].map((side) => shownValue(scan, `${side}_${what}`) || "–");
    if (both.some((value) => value !== "–")) words.push(`${what} ${both.join(" / ")}`);
  }
  return words.join("  ·  ");
}

/** A sign and a word: colour is never the only sign. */
function statusBadge(scan) {
  const sign = make("span", { "aria-hidden": "true" }, STATUS_SIGNS[scan.status]);
  return make("span", { class: `badge ${scan.status}` }, sign, ` ${STATUS_WORDS[scan.status]}`);
}
