// Which scans are shown, and in what order.

const filters = { text: "", status: "", flag: "", verdict: "", sort: "worst", descending: false };

/** The words in which a scan is searched. */
function searchText(scan) {
  if (scan.words === undefined) {
    const flags = scan.flags.flatMap((flag) => [flagName(flag), flag.message]);
    scan.words = [scan.scan, ...Object.values(scan.facts), ...flags, ...(scan.failure ?? [])].join("\n").toLowerCase();
  }
  return `${scan.words}\n${verdicts.of(scan).comment.toLowerCase()}`;
}

function hasFlag(scan, code) {
  return scan.flags.some((flag) => flag.code === code) || scan.failure?.[0] === code;
}

const VERDICT_FILTERS = {
  none: ["Not judged", (scan) => verdicts.of(scan).verdict === ""],
  pass: ["Pass", (scan) => verdicts.of(scan).verdict === "pass"],
  fail: ["Fail", (scan) => verdicts.of(scan).verdict === "fail"],
  comment: ["With a comment", (scan) => verdicts.of(scan).comment !== ""],
  earlier: ["Of an earlier result", (scan) => verdicts.earlier(scan) !== null],
};

/** What a scan is sorted by. */
function sortKey(scan, name) {
  if (name === "worst") return scan.index;
  if (name === "verdict") return ["fail", "", "pass"].indexOf(verdicts.of(scan).verdict);
  if (name === "comment") return verdicts.of(scan).comment || null;
  if (name === "flags") return scan.flags.length ? scan.flags.map(flagName).join(" ") : null;
  if (name === "status") return ["failed", "review", "ok"].indexOf(scan.status);
  if (name === "seconds" || name === "scan") return scan[name];
  return COLUMN_INDEX.has(name) ? valueOf(scan, name) : (scan.facts[name] ?? null);
}

const collator = new Intl.Collator("en", { numeric: true });

/** The scans that the filters leave, sorted; unknown values last, whichever way. */
function shownScans() {
  const words = filters.text.toLowerCase().split(/\s+/).filter(Boolean);
  const judged = VERDICT_FILTERS[filters.verdict]?.[1] ?? (() => true);
  const left = SCANS.filter(
    (scan) =>
      (!filters.status || scan.status === filters.status) &&
      (!filters.flag || hasFlag(scan, filters.flag)) &&
      judged(scan) &&
      (!words.length || words.every((word) => searchText(scan).includes(word))),
  );
  const sign = filters.descending ? -1 : 1;
  const keyed = left.map((scan) => [sortKey(scan, filters.sort), scan]);
  keyed.sort(([a, one], [b, other]) => {
    if (a === null || b === null) return (a === null) - (b === null) || one.index - other.index;
    const order = typeof a === "number" ? a - b : collator.compare(a, b);
    return sign * order || one.index - other.index;
  });
  return keyed.map(([, scan]) => scan);
}

/** How many scans there are of each kind, for the lists of choices: [value, words, number]. */
function choices() {
  const flags = new Map();
  for (const scan of SCANS) {
    const codes = new Set(scan.flags.map((flag) => flag.code));
    if (scan.failure) codes.add(scan.failure[0]);
    for (const code of codes) flags.set(code, (flags.get(code) ?? 0) + 1);
  }
  const count = (test) => SCANS.filter(test).length;
  return {
    status: Object.entries(STATUS_WORDS).map(([v, words]) => [v, words, count((scan) => scan.status === v)]),
    flag: [...flags].sort(([, a], [, b]) => b - a).map(([code, number]) => [code, code, number]),
    verdict: Object.entries(VERDICT_FILTERS).map(([v, [words, test]]) => [v, words, count(test)]),
  };
}
